from __future__ import annotations

import itertools
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.streamed_domain import StreamedDomain, _HistoryReader
from qbert4rec_hf.errors import QBert4RecError


def shop(num_users: int = 40, *, stamps: bool = True, name: str = "shop") -> Domain:
    """Users of one to nine interactions, many of them on the same day."""
    rng = np.random.default_rng(0)
    ids = [f"item-{row}" for row in range(30)]
    items = pd.DataFrame({"item_id": ids, "title": ids})
    items["text"] = items["images"] = [[] for _ in ids]
    users = np.repeat([f"u{user}" for user in range(num_users)], rng.integers(1, 10, num_users))
    log = pd.DataFrame({"user_id": users, "item_id": rng.choice(ids, len(users))})
    if stamps:
        log["timestamp"] = rng.integers(0, 12, len(users))
    return Domain.from_tables(items, log, name=name, tie_seed=7)


def training_part(domain: Domain) -> list[tuple[str, list[int]]]:
    """What a stream must give: of every user the whole training part, if it has two items."""
    pairs = zip(domain.user_ids, domain.split().train, strict=True)
    return [(user, history.tolist()) for user, history in pairs if len(history) >= 2]


def streamed(rows) -> list[tuple[str, list[int]]]:
    return [(row["user_id"], row["items"]) for row in rows]


@pytest.fixture
def folder(tmp_path) -> Path:
    return shop().save(tmp_path / "shop")


@pytest.mark.parametrize("rows_at_a_time", [1, 5, 64, 100_000])
@pytest.mark.parametrize("stamps", [True, False])
def test_every_history_is_complete_and_in_order(stamps, rows_at_a_time, tmp_path):
    domain = shop(stamps=stamps)
    stream = StreamedDomain.load(domain.save(tmp_path / "shop"))
    rows = stream.training_histories(rows_at_a_time=rows_at_a_time)
    assert streamed(rows) == training_part(domain)
    # Another round gives the same.
    assert streamed(rows) == training_part(domain)


@pytest.mark.parametrize(
    "split",
    [
        {"ties": "drop-users"},
        {"split": "temporal", "validation_from": 7, "test_from": 10},
        {"split": "temporal", "validation_from": 7, "test_from": 10, "ties": "drop-users"},
    ],
)
def test_no_item_that_another_split_holds_out_is_in_it(split, folder):
    domain = Domain.load(folder).with_split(**split)
    domain.save(folder)
    rows = StreamedDomain.load(folder).training_histories(rows_at_a_time=16)
    assert streamed(rows) == training_part(domain) != training_part(shop())


def test_shuffled_histories_are_the_same_histories(folder):
    rows = StreamedDomain.load(folder).training_histories(rows_at_a_time=16)
    shuffled = rows.shuffle(seed=3, buffer_size=8)
    first = streamed(shuffled)
    assert first != training_part(shop()) and sorted(first) == sorted(training_part(shop()))
    shuffled.set_epoch(1)
    assert first != streamed(shuffled) and sorted(first) == sorted(streamed(shuffled))


def test_rows_of_a_user_in_two_shards_and_out_of_order_within_the_user(folder):
    table = pq.read_table(folder / "interactions.parquet")
    users = table["user_id"].to_pylist()
    # A user's rows may stand in any order, as long as they stand together.
    order = sorted(range(len(users)), key=lambda row: (users.index(users[row]), -row))
    table = table.take(order)
    middle = next(
        row for row in range(50, len(users)) if users[order[row]] == users[order[row - 1]]
    )
    (folder / "interactions.parquet").unlink()
    (folder / "interactions").mkdir()
    pq.write_table(table.slice(0, middle), folder / "interactions" / "0.parquet")
    pq.write_table(table.slice(middle), folder / "interactions" / "1.parquet")
    rows = StreamedDomain.load(folder).training_histories(rows_at_a_time=7)
    assert streamed(rows) == training_part(Domain.load(folder)) == training_part(shop())


def test_it_knows_of_a_domain_what_a_recommender_needs(folder):
    domain, stream = Domain.load(folder), StreamedDomain.load(folder)
    assert stream.items.equals(domain.items) and stream.item_ids == domain.item_ids
    assert stream.name == "shop" and len(stream) == 30 and stream.path == folder
    assert stream.info == domain.info
    assert repr(stream) == repr(domain).replace("Domain", "StreamedDomain")


def test_the_tables_stream_with_the_datasets_library_too(folder, tmp_path):
    rows = load_dataset(
        str(folder), "interactions", split="train", streaming=True, cache_dir=str(tmp_path / "c")
    )
    here = Domain.load(folder).interactions()
    assert [row["item_id"] for row in rows] == here["item_id"].tolist()


def test_a_log_without_end_needs_no_more_memory_than_a_short_one(folder, monkeypatch):
    def endless(reader, rows_at_a_time):
        for number in itertools.count():
            # A user of three batches, and one who begins in the last row of them.
            users = [f"u{number // 3 * 2}"] * rows_at_a_time
            users[-1] = f"u{number // 3 * 2 + (number % 3 == 2)}"
            items = [f"item-{number % 30}"] * rows_at_a_time
            stamps = list(range(number * rows_at_a_time, (number + 1) * rows_at_a_time))
            yield pa.table({"user_id": users, "item_id": items, "timestamp": stamps})

    monkeypatch.setattr(_HistoryReader, "_tables", endless)
    reader = _HistoryReader(folder)

    def peak(parts: int) -> int:
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        arrow = lengths = 0
        for _, train in itertools.islice(reader.histories(50), parts):
            lengths += train.lengths.sum()
            arrow = max(arrow, pa.total_allocated_bytes() - before)
        found = tracemalloc.get_traced_memory()[1] + arrow
        tracemalloc.stop()
        assert lengths > 40 * parts
        return found

    peak(20)
    assert peak(300) < 1.5 * peak(60)


def rewrite(folder: Path, change) -> None:
    table = pq.read_table(folder / "interactions.parquet").to_pandas()
    pq.write_table(pa.Table.from_pandas(change(table)), folder / "interactions.parquet")


def test_rows_that_do_not_stand_together_are_refused(folder):
    rewrite(folder, lambda table: table.sort_values("timestamp"))
    with pytest.raises(QBert4RecError, match="the user changes .* counts 40 users") as caught:
        StreamedDomain.load(folder)
    assert "\n" not in str(caught.value) and "Domain.load(FOLDER).save(" in str(caught.value)
    # The way out that it names.
    Domain.load(folder).save(folder)
    rows = StreamedDomain.load(folder).training_histories()
    assert sorted(streamed(rows)) == sorted(training_part(shop()))


def test_without_the_counts_of_a_domain_nothing_is_believed(folder):
    (folder / "domain.json").unlink()
    with pytest.raises(QBert4RecError, match="counts 0 users"):
        StreamedDomain.load(folder)


def test_time_stamps_that_domain_json_denies(folder):
    info = json.loads((folder / "domain.json").read_text())
    (folder / "domain.json").write_text(json.dumps({**info, "time_order": "trust"}))
    with pytest.raises(
        QBert4RecError, match="row 0: .* have time stamps, which domain.json denies"
    ):
        list(StreamedDomain.load(folder).training_histories())


def test_an_item_that_nobody_sells_is_named_with_its_row(folder):
    rewrite(folder, lambda table: table.assign(item_id=["nowhere", *table["item_id"][1:]]))
    with pytest.raises(QBert4RecError, match=r"interactions.parquet, row 0.*'nowhere' is not in"):
        list(StreamedDomain.load(folder).training_histories())


def test_what_is_no_domain_folder_or_size(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "half")
    (tmp_path / "half" / "interactions.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(QBert4RecError, match="cannot be read as Parquet"):
        StreamedDomain.load(tmp_path / "half")
    with pytest.raises(QBert4RecError, match="is not a folder"):
        StreamedDomain.load(tmp_path / "no such folder")
    with pytest.raises(QBert4RecError, match="rows_at_a_time must be 1 or more, got 0"):
        StreamedDomain.load(folder).training_histories(rows_at_a_time=0)

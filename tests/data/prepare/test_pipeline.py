from __future__ import annotations

import errno
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.prepare import pipeline, write_tables
from qbert4rec_hf.data.prepare.pipeline import prepare_domain
from qbert4rec_hf.data.prepare.settings import PrepareSettings
from qbert4rec_hf.errors import QBert4RecError

ITEMS = [
    {"item_id": "a", "title": "Tent", "images": ["https://shop.example/a.jpg"], "price": 90.0},
    {"item_id": "b", "title": "Mat", "description": "soft"},
    {"item_id": "new", "title": "Stove", "brand": "Holm"},
]
ROWS = [("u", "a", 1), ("u", "b", 2), ("u", "orphan", 3), ("v", "a", 1), ("v", "b", 9)]


def left_in(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith("-files"))


def test_the_file_is_in_the_order_that_loading_gives(prepare, tied_rows, file_order, tmp_path):
    prepared = prepare(tied_rows, seed=3)
    domain = Domain.load(tmp_path / "shop")
    users, sequences = domain.sequences()
    written = file_order(tmp_path / "shop")
    assert list(written) == list(users)
    for user, history in zip(users, sequences, strict=True):
        assert [domain.item_ids[row] for row in history] == [item for item, _ in written[user]]
    assert np.array_equal(
        domain.timestamps, [stamp for history in written.values() for _, stamp in history]
    )
    assert domain.info == prepared.info
    assert prepared.info.tied_pairs > 0 and prepared.info.tied_users > 0
    assert prepared.info.time_unit == "ms"


def test_shuffled_rows_give_the_same_bytes(prepare, tied_rows, tmp_path):
    prepare(tied_rows, ITEMS + [{"item_id": "item 0", "title": "x"}], folder="first", core=2)
    random.Random(0).shuffle(tied_rows)
    prepare(tied_rows, ITEMS + [{"item_id": "item 0", "title": "x"}], folder="second", core=2)
    for name in ("interactions.parquet", "items.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_seed_shuffles_item_rows_and_ties(prepare, tied_rows, loaded_histories, tmp_path):
    first, second = (prepare(tied_rows, folder=f"seed{seed}", seed=seed) for seed in (0, 1))
    assert Domain.load(first.folder).item_ids != Domain.load(second.folder).item_ids
    assert loaded_histories(first.folder) != loaded_histories(second.folder)


def test_item_rows_follow_neither_the_log_nor_the_ids(prepare, tmp_path):
    prepare([("u", f"item {n:03d}", n) for n in range(200)])
    rows = [int(item.split()[1]) for item in Domain.load(tmp_path / "shop").item_ids]
    assert sorted(rows) == list(range(200))
    assert abs(np.corrcoef(rows, np.arange(200))[0, 1]) < 0.3


def test_every_row_is_an_interaction_or_counted_under_a_reason(prepare, tied_rows):
    rows = [
        *tied_rows,
        tied_rows[0],
        ("", "item 1", 5, 5.0),
        ("lonely", "item 1", 2 * 86_400_000, 5.0),
    ]
    prepared = prepare(rows, core=3, min_rating=2, since="1970-01-02", max_history=6)
    assert len(rows) == sum(prepared.dropped.values()) + prepared.info.num_interactions
    assert set(prepared.dropped) == {
        "no user id",
        "duplicate row",
        "before since",
        "rating below 2",
        "outside the 3-core",
        "older than the latest 6 of the user",
    }


def test_items_carry_their_metadata(prepare, tmp_path):
    prepared = prepare(ROWS, ITEMS)
    items = Domain.load(tmp_path / "shop").items.set_index("item_id")
    assert items.loc["a", "title"] == "Tent" and items.loc["a", "price"] == 90.0
    assert items.loc["a", "images"] == ["https://shop.example/a.jpg"]
    assert items.loc["b", "text"] == ["soft"]
    assert items.loc["orphan", "title"] is None and items.loc["orphan", "text"] == []
    assert items.loc["new", "brand"] == "Holm"
    table = prepared.table
    assert table["share of items with text"] == 0.75
    assert table["share of items with image"] == table["share of items with both"] == 0.25
    assert table["items without metadata"] == table["interactions of items without metadata"] == 1


def test_with_a_core_items_that_nobody_has_go(prepare, tmp_path):
    prepare(ROWS, ITEMS, core=1)
    assert sorted(Domain.load(tmp_path / "shop").item_ids) == ["a", "b", "orphan"]


def test_items_without_metadata_are_dropped_on_request(prepare, tmp_path):
    prepared = prepare(ROWS, ITEMS, core=1, items_without_metadata="drop")
    assert sorted(Domain.load(tmp_path / "shop").item_ids) == ["a", "b"]
    assert prepared.dropped == {"item without metadata": 1}
    with pytest.raises(QBert4RecError, match="needs metadata"):
        prepare(ROWS, items_without_metadata="drop")


def test_metadata_of_another_category_is_refused(prepare, tmp_path):
    others = [{"item_id": "x", "title": "Piano"}]
    with pytest.raises(QBert4RecError, match=r"none of the items .*'a'.*'x'.*another category"):
        prepare(ROWS, others)
    assert left_in(tmp_path) == []


def test_a_log_without_time_stamps_is_taken_on_trust(prepare, file_order, tmp_path):
    rows = [("u", "b"), ("v", "c"), ("u", "a"), ("u", "c"), ("v", "a"), ("u", "b")]
    prepared = prepare(rows)
    assert prepared.info.time_order == "trust" and prepared.info.tied_users is None
    assert {user: [i for i, _ in row] for user, row in file_order(prepared.folder).items()} == {
        "u": ["b", "a", "c"],
        "v": ["c", "a"],
    }
    assert Domain.load(prepared.folder).info == prepared.info
    assert prepared.info.rising_pairs == 1
    assert str(prepared).endswith("taken on trust.")
    kept = prepare(rows, repeats="keep")
    assert [item for item, _ in file_order(kept.folder)["u"]] == ["b", "a", "c", "b"]
    assert kept.info.repeats and Domain.load(kept.folder).info == kept.info
    capped = prepare(rows, repeats="keep", max_history=3)
    assert [item for item, _ in file_order(capped.folder)["u"]] == ["a", "c", "b"]


def test_a_log_without_time_stamps_that_is_sorted_by_item_says_so(prepare):
    rows = [(f"u{user}", f"i{item}") for user in range(300) for item in range(user % 3, 9, 2)]
    prepared = prepare(rows)
    assert prepared.info.rising_share == 1
    assert "100% of neighbouring items rise by id" in str(prepared)
    assert "look sorted by item" in (prepared.folder / "README.md").read_text()
    assert Domain.load(prepared.folder).info == prepared.info
    numbered = prepare([(user, item.removeprefix("i")) for user, item in rows])
    assert numbered.info.rising_pairs is None
    assert Domain.load(numbered.folder).info == numbered.info


@pytest.mark.parametrize(
    "setting",
    [{"since": "2020-01-01"}, {"ties": "drop-users"}, {"split": "temporal"}],
    ids=["since", "ties", "split"],
)
def test_settings_about_time_need_time_stamps(prepare, setting, tmp_path):
    with pytest.raises(QBert4RecError, match=r"needs time stamps.*log.parquet has none"):
        prepare([("u", "a"), ("u", "b")], **setting)
    assert left_in(tmp_path) == []


def test_odd_ids_and_odd_folder_names_survive(prepare, loaded_histories):
    ids = ["two words", 'it\'s "quoted"', "🏕️ tent", "x" * 10_000, "a\\b/c", "%s; --", "007"]
    rows = [(user, item, n) for user in ids for n, item in enumerate(ids)]
    prepared = prepare(rows, folder="it's [a] *?", core=5)
    assert loaded_histories(prepared.folder) == {user: ids for user in ids}


def test_many_interactions_become_shards_that_cut_no_user(prepare, tied_rows, monkeypatch):
    whole = prepare(tied_rows, folder="whole")
    monkeypatch.setattr(write_tables, "SHARD_ROWS", 45)
    sharded = prepare(tied_rows, folder="sharded")
    shards = sorted((sharded.folder / "interactions").iterdir())
    users = [set(pq.ParquetFile(path).read()["user_id"].to_pylist()) for path in shards]
    assert [path.name for path in shards][:2] == ["part-00000.parquet", "part-00001.parquet"]
    assert len(shards) > 2 and sum(map(len, users)) == len(set().union(*users)) == 20
    loaded = Domain.load(sharded.folder)
    expected = Domain.load(whole.folder)
    assert loaded.sequences()[1] == expected.sequences()[1]
    assert loaded.info == sharded.info
    # As any data set of the Hub.
    rows = load_dataset(
        str(sharded.folder), "interactions", split="train", cache_dir=whole.folder / "cache"
    )
    assert len(rows) == whole.info.num_interactions
    assert prepare(tied_rows, folder="sharded").info.num_users == 20


def test_report_and_card_tell_what_was_done(prepare):
    prepared = prepare(ROWS, ITEMS, core=1, min_rating=None)
    written = json.loads((prepared.folder / "preparation.json").read_text())
    assert list(written) == ["table", "dropped", "read", "settings"]
    assert written["table"]["sparsity"] == pytest.approx(1 - 5 / 6)
    assert [file["file"] for file in written["read"]] == ["log.parquet", "items.jsonl"]
    assert written["settings"]["user_core"] == 1
    card = (prepared.folder / "README.md").read_text()
    assert "| interactions | 5 |" in card and "items.jsonl" in card
    # The folder may be published: nothing in it tells where its author keeps files.
    texts = [prepared.folder / name for name in ("README.md", "preparation.json", "domain.json")]
    assert not any(str(prepared.folder.parent) in path.read_text() for path in texts)
    printed = str(prepared)
    assert "16.67%" in printed and "items without metadata" in printed


def test_a_failure_leaves_the_former_domain_and_nothing_else(prepare, tmp_path, monkeypatch):
    prepare(ROWS)
    before = {path.name: path.read_bytes() for path in (tmp_path / "shop").iterdir()}

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "write_items", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare([("w", "z", 1)])
    assert {path.name: path.read_bytes() for path in (tmp_path / "shop").iterdir()} == before
    assert left_in(tmp_path) == ["shop"]


def test_what_is_no_domain_is_not_overwritten(prepare, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "thesis.tex").write_text("years of work")
    with pytest.raises(QBert4RecError, match="holds no domain"):
        prepare(ROWS)
    assert left_in(tmp_path / "shop") == ["thesis.tex"]


def test_a_disk_that_is_full_for_the_tables_is_one_line(prepare, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipeline, "write_items", full)
    with pytest.raises(QBert4RecError, match="disk of .* is full; free some space") as caught:
        prepare(ROWS)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert left_in(tmp_path) == []


def test_a_memory_limit_far_below_the_log_suffices(tmp_path):
    random_numbers = np.random.default_rng(0)
    rows = 200_000
    log = {
        "user_id": [f"user {n}" for n in random_numbers.integers(0, 40_000, rows)],
        "item_id": [f"item {n}" for n in random_numbers.integers(0, 5_000, rows)],
        "timestamp": random_numbers.integers(0, 10**9, rows),
    }
    pq.write_table(pa.table(log), tmp_path / "log.parquet")
    prepared = prepare_domain(
        [tmp_path / "log.parquet"],
        tmp_path / "shop",
        settings=PrepareSettings(user_core=3, item_core=3),
        memory_limit="40MB",
        threads=1,
    )
    assert prepared.info.num_interactions > 150_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_limit": "much"}, "memory_limit must be a size such as 3GB"),
        ({"threads": 0}, "threads must be 1 or more"),
        ({"images": "absent"}, "absent is not a folder"),
    ],
)
def test_options_of_the_machine_are_checked(tmp_path, options, message):
    with pytest.raises(QBert4RecError, match=message):
        prepare_domain([tmp_path / "log.csv"], tmp_path / "shop", **options)
    assert left_in(tmp_path) == []

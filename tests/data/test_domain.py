from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError


def test_save_and_load_change_nothing(domain, folder):
    loaded = Domain.load(folder)
    assert loaded.items.to_dict("list") == domain.items.to_dict("list")
    assert loaded.user_ids.tolist() == domain.user_ids.tolist()
    assert loaded.sequences()[1] == domain.sequences()[1]
    np.testing.assert_array_equal(loaded.timestamps, domain.timestamps)
    assert loaded.info == domain.info
    assert loaded.path == folder
    assert loaded.item_ids[0] == "007"
    assert loaded.item_row == {"007": 0, "b": 1, "c": 2, "d": 3}


def test_info_counts_what_is_there(domain):
    info = domain.info
    assert (info.num_items, info.num_users, info.num_interactions) == (4, 3, 8)
    assert info.time_order == "timestamps"
    assert info.tied_users == 0
    assert info.exclude_seen and not info.repeats


def test_repeats_switch_the_default_of_seen_items(items, interactions):
    interactions.loc[0, "item_id"] = "c"
    info = Domain.from_tables(items, interactions, name="x").info
    assert info.repeats and not info.exclude_seen


def test_without_time_stamps_the_order_of_rows_is_taken_on_trust(
    items, interactions, histories, tmp_path
):
    domain = Domain.from_tables(items, interactions.drop(columns="timestamp"), name="x")
    assert histories(domain)["u1"] == ["c", "007", "b", "d"]
    loaded = Domain.load(domain.save(tmp_path / "x"))
    assert histories(loaded) == histories(domain)
    assert loaded.info.time_order == "trust" and loaded.info.tied_users is None
    assert "on trust" in (tmp_path / "x" / "README.md").read_text()


@pytest.mark.parametrize("form", ["items/{}.parquet", "items-{}.parquet"])
def test_shards(folder, domain, form):
    table = pq.read_table(folder / "items.parquet")
    (folder / "items.parquet").unlink()
    (folder / "items").mkdir()
    for start in range(0, 4, 2):
        pq.write_table(table.slice(start, 2), folder / form.format(start))
    assert Domain.load(folder).items.to_dict("list") == domain.items.to_dict("list")


def test_two_forms_of_one_table_are_refused(folder):
    table = pq.read_table(folder / "items.parquet")
    pq.write_table(table, folder / "items-0.parquet")
    with pytest.raises(QBert4RecError, match="both claim to be the items table"):
        Domain.load(folder)


def test_datasets_reads_both_configs(folder, tmp_path):
    from datasets import load_dataset

    cache = str(tmp_path / "cache")
    items = load_dataset(str(folder), "items", split="train", cache_dir=cache)
    assert items["item_id"] == ["007", "b", "c", "d"]
    rows = load_dataset(str(folder), "interactions", split="train", cache_dir=cache)
    assert rows.column_names == ["user_id", "item_id", "timestamp"] and len(rows) == 8


def test_images_travel_with_the_folder(folder, tmp_path):
    (folder / "images").mkdir()
    (folder / "images" / "007.png").write_bytes(b"picture")
    domain = Domain.load(folder)
    copy = domain.save(tmp_path / "copy")
    assert (copy / "images" / "007.png").read_bytes() == b"picture"
    # In place too, where the old folder makes room for the new one.
    Domain.load(copy).save(copy)
    assert (copy / "images" / "007.png").read_bytes() == b"picture"
    assert domain.image_path("https://shop.example/007.jpg") is None


def test_save_replaces_domains_only(domain, tmp_path):
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("years of work")
    with pytest.raises(QBert4RecError, match="thesis is not empty and holds no domain"):
        domain.save(other)
    with pytest.raises(QBert4RecError, match="chapter.txt is a file"):
        domain.save(other / "chapter.txt")
    assert (other / "chapter.txt").read_text() == "years of work"


def test_a_save_that_fails_leaves_the_old_folder(domain, folder):
    before = (folder / "items.parquet").read_bytes()
    domain.items["odd"] = [object()] * 4
    with pytest.raises(Exception):  # noqa: B017  # whatever Arrow says of such a column
        domain.save(folder)
    assert (folder / "items.parquet").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["camp"]


def test_no_folder(tmp_path):
    with pytest.raises(QBert4RecError, match="nowhere is not a folder"):
        Domain.load(tmp_path / "nowhere")


def test_sequences_outside_the_items_are_refused(items):
    with pytest.raises(QBert4RecError, match="item row 4 is outside the items table of 4 rows"):
        Domain.from_sequences(items, ["u"], Sequences.from_lists([[0, 4]]), name="x")


def test_a_user_has_one_sequence(items):
    with pytest.raises(QBert4RecError, match="user 'u' has two sequences"):
        Domain.from_sequences(
            items, ["u", "v", "u"], Sequences.from_lists([[0], [1], [2]]), name="x"
        )


def test_a_domain_keeps_how_it_is_to_be_split(domain, folder):
    other = domain.with_split("temporal", validation_from=30, test_from=40, ties="drop-users")
    loaded = Domain.load(other.save(folder))
    assert loaded.info == other.info
    split = loaded.split()
    assert split.kind == "temporal" and (split.validation_from, split.test_from) == (30, 40)
    users = loaded.user_ids[split.evaluated("test")].tolist()
    assert users == ["u2"] and loaded.item_ids[split.targets("test")[0]] == "b"
    assert "temporal" in (folder / "README.md").read_text()
    back = loaded.with_split()
    assert back.info.validation_from is None and back.split().kind == "leave_one_out"


def test_ties_are_counted_whether_or_not_they_are_left_out(items, interactions):
    interactions["timestamp"] = 7
    domain = Domain.from_tables(items, interactions, name="x", time_unit="s")
    assert (domain.info.tied_users, domain.info.tied_pairs) == (2, 5)
    dropped = domain.with_split(ties="drop-users")
    assert (dropped.info.tied_users, dropped.info.tied_pairs) == (2, 5)
    assert len(dropped.split().evaluated("test")) == 0
    assert len(dropped.split().train.items) == 8


def test_a_temporal_split_of_a_folder_without_time_stamps_is_refused(items, interactions, tmp_path):
    domain = Domain.from_tables(items, interactions.drop(columns="timestamp"), name="x")
    with pytest.raises(QBert4RecError, match="needs time stamps"):
        domain.with_split("temporal", validation_from=1, test_from=2)
    folder = domain.save(tmp_path / "x")
    values = json.loads((folder / "domain.json").read_text())
    cutoffs = {"split": "temporal", "validation_from": 1, "test_from": 2}
    (folder / "domain.json").write_text(json.dumps(values | cutoffs))
    with pytest.raises(QBert4RecError, match="domain.json: .*needs time stamps"):
        Domain.load(folder)

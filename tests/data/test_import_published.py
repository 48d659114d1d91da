from __future__ import annotations

import json

import numpy as np
import pytest

from qbert4rec_hf.data.codes import load_codes
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.errors import QBert4RecError

INTER = {"0": [0, 1, 2], "1": [3, 1], "2": [2, 3, 0, 1]}
IDS = "B000\t0\nB001\t1\n0002\t2\nB003\t3\n"
INDEX = {
    "0": ["<a_1>", "<b_5>"],
    "1": ["<a_1>", "<b_6>"],
    "2": ["<a_1>", "<b_5>"],
    "3": ["<a_0>", "<b_0>"],
}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "Toys.inter.json").write_text(json.dumps(INTER))
    (folder / "Toys.item2id").write_text(IDS)
    (folder / "Toys.index.json").write_text(json.dumps(INDEX))
    capital = {key: [token.upper() for token in tokens] for key, tokens in INDEX.items()}
    (folder / "Toys.index_vitemb.json").write_text(json.dumps(capital))
    (folder / "Toys.item.json").write_text(
        json.dumps(
            {
                "0": {"title": " red  ball ", "description": ["bounces"], "brand": "Hop"},
                "1": {"title": None, "categories": [["Toys", "Games"]]},
                "3": {"title": ""},
            }
        )
    )
    return folder


def test_histories_and_codes_follow_their_items(source, histories):
    for seed in range(4):
        imported = import_published(source, seed=seed)
        assert histories(imported.domain) == {
            "0": ["B000", "B001", "0002"],
            "1": ["B003", "B001"],
            "2": ["0002", "B003", "B000", "B001"],
        }
        codes = imported.codes["index"]
        rows = imported.domain.item_row
        assert codes.codes[rows["B001"]].tolist() == [1, 6]
        assert codes.codes[rows["B003"]].tolist() == [0, 0]
        assert codes.codebook_sizes == [8, 8]
        flagged = {imported.domain.item_ids[row] for row in np.flatnonzero(codes.collides)}
        assert flagged == {"B000", "0002"}
        assert imported.codes["vitemb"].tokens(rows["B001"]) == "<A_1><B_6>"


def test_rows_are_shuffled_with_the_seed(source):
    orders = {tuple(import_published(source, seed=seed).domain.item_ids) for seed in range(12)}
    assert len(orders) > 4
    assert (
        import_published(source, seed=3).domain.item_ids
        == import_published(source, seed=3).domain.item_ids
    )


def test_texts_where_there_are_any(source):
    domain = import_published(source).domain
    items = domain.items.set_index("item_id")
    assert items.loc["B000", "title"] == "red ball"
    assert items.loc["B000", "text"] == ["bounces", "Hop"]
    assert items.loc["B001", "title"] is None
    assert items.loc["B001", "text"] == ["Toys", "Games"]
    assert items.loc["0002", "title"] is None and items.loc["0002", "text"] == []
    assert items.loc["B003", "title"] is None


def test_order_is_marked_as_taken_on_trust(source):
    info = import_published(source, seed=7).domain.info
    assert info.name == "Toys"
    assert info.time_order == "trust" and info.tied_users is None
    assert info.item_shuffle_seed == 7


def test_save_and_load(source, tmp_path):
    imported = import_published(source)
    folder = imported.save(tmp_path / "toys")
    loaded = Domain.load(folder)
    assert loaded.info == imported.domain.info
    assert loaded.sequences()[1] == imported.domain.sequences()[1]
    codes = load_codes(folder)
    assert sorted(codes) == ["index", "vitemb"]
    np.testing.assert_array_equal(codes["index"].codes, imported.codes["index"].codes)


def test_interactions_alone_are_enough(source):
    for name in ("Toys.index.json", "Toys.index_vitemb.json", "Toys.item.json"):
        (source / name).unlink()
    imported = import_published(source / "Toys.inter.json")
    assert imported.codes == {}
    (source / "Toys.item2id").unlink()
    assert sorted(import_published(source).domain.item_ids) == ["0", "1", "2", "3"]


def test_users_without_interactions_are_left_out(source):
    (source / "Toys.inter.json").write_text(json.dumps(INTER | {"9": []}))
    assert import_published(source).domain.user_ids.tolist() == ["0", "1", "2"]


def test_several_splits_need_a_name(source):
    (source / "Arts.inter.json").write_text(json.dumps({"0": [0]}))
    with pytest.raises(QBert4RecError, match=r"several splits \(Arts, Toys\)"):
        import_published(source)
    assert import_published(source, name="Toys").domain.name == "Toys"


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("Toys.inter.json", "{", ["not valid JSON"]),
        ("Toys.inter.json", "[]", ["must hold an object"]),
        ("Toys.inter.json", '{"a": [0], "b": "x"}', ["key 'b'", "found 'x'"]),
        ("Toys.inter.json", '{"a": [0], "b": [1.5]}', ["key 'b'", "found [1.5]"]),
        ("Toys.inter.json", '{"a": [0], "b": [true]}', ["key 'b'"]),
        ("Toys.inter.json", '{"a": [0, 8]}', ["user 'a'", "item 8 has no item id"]),
        ("Toys.inter.json", '{"a": [-1]}', ["user 'a'", "item -1 has no item id"]),
        ("Toys.item2id", "B000\t0\nB001 1\n", ["line 2", "'B001 1'"]),
        ("Toys.item2id", "B000\t0\nB001\t0\n", ["line 2", "already"]),
        ("Toys.item2id", "B000\t0\nB000\t1\n", ["line 2", "already"]),
        ("Toys.item2id", "", ["lists no items"]),
        ("Toys.item2id", f"B000\t{10**20}\n", ["line 1", "number expected"]),
        ("Toys.item.json", '{"x": {}}', ["key 'x'", "item number"]),
        ("Toys.item.json", '{"0": "ball"}', ["key '0'", "an object expected"]),
        ("Toys.item.json", '{"0": {"title": 5}}', ["key '0'", "title must be text"]),
        ("Toys.index.json", "{}", ["no codes"]),
        ("Toys.index.json", '{"0": ["<a_1>"]}', ["no codes for item 1", "3 such items"]),
        ("Toys.index.json", '{"0": ["a_1"]}', ["key '0'", "<a_170>"]),
        ("Toys.index.json", '{"0": "<a_1>"}', ["key '0'", "<a_170>"]),
        ("Toys.index.json", '{"0": ["<a_1>"], "1": ["<b_1>"]}', ["key '1'", "levels b"]),
        ("Toys.index.json", '{"0": ["<a_1>"], "1": ["<a_1>", "<b_2>"]}', ["key '1'", "a, b"]),
        (
            "Toys.index.json",
            json.dumps(INDEX | {"77": ["<a_1>", "<b_1>"]}),
            ["key 77", "no such item"],
        ),
    ],
)
def test_malformed_files_are_named_with_their_key(source, name, content, parts):
    (source / name).write_text(content)
    with pytest.raises(QBert4RecError) as caught:
        import_published(source)
    for part in (name, *parts):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_code_files_of_one_key(source):
    (source / "Toys.index-vitemb.json").write_text((source / "Toys.index.json").read_text())
    with pytest.raises(QBert4RecError, match="both be the codes 'vitemb'"):
        import_published(source)


def test_a_folder_that_is_no_split(tmp_path):
    with pytest.raises(QBert4RecError, match=r"has no \*.inter.json"):
        import_published(tmp_path)
    with pytest.raises(QBert4RecError, match="is not a folder"):
        import_published(tmp_path / "nowhere")

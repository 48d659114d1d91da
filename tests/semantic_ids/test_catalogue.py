"""The catalogue: look-ups, adding items, files, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog
from qbert4rec_hf.semantic_ids.tokenization_semantic_id import QBert4RecTokenizer

SIZES = [4, 3]


def make(**changes) -> ItemCatalog:
    """Two domains that share the item id `x` and the semantic ID of codes (0, 0)."""
    values = {
        "item_ids": ["x", "B-1", "é 7", "x", "z"],
        "titles": ["Rope", None, "Wire", "Lamp", "Shade"],
        "codes": np.array([[0, 0], [0, 1], [3, 2], [0, 0], [1, 0]]),
        "codebook_sizes": SIZES,
        "domains": ["garden", "light"],
        "domain_sizes": [3, 2],
    }
    return ItemCatalog(**{**values, **changes})


def same(left: ItemCatalog, right: ItemCatalog) -> bool:
    names = ("item_ids", "titles", "codebook_sizes", "domains", "domain_sizes", "allow_shared")
    return all(getattr(left, name) == getattr(right, name) for name in names) and (
        np.array_equal(left.codes, right.codes) and np.array_equal(left.collides, right.collides)
    )


def test_every_item_comes_back_from_its_semantic_id():
    catalog = make()
    for domain in catalog.domains:
        for item_id in catalog.subset(domain).item_ids:
            text = catalog.encode(item_id, domain=domain)
            assert catalog.decode(text, domain=domain) == [item_id]
    assert catalog.encode("é 7") == "<a_3><b_2>"
    # Shared between domains, and of no item at all.
    assert catalog.decode("<a_0><b_0>") == ["x", "x"]
    assert catalog.decode("<a_2><b_2>") == []


@pytest.mark.parametrize("text", ["<a_4><b_0>", "<b_0><a_0>", "<a_0>", "", "<a_0><b_0><a_0><b_0>"])
def test_text_that_is_no_semantic_id(text):
    with pytest.raises(QBert4RecError, match="<a_3><b_2>"):
        make().decode(text)


def test_tokens_agree_with_the_tokenizer():
    catalog = make()
    tokenizer = QBert4RecTokenizer.from_codebook_sizes(SIZES)
    texts = [
        catalog.encode(item_id, domain=domain)
        for domain in catalog.domains
        for item_id in catalog.subset(domain).item_ids
    ]
    assert catalog.tokens().tolist() == tokenizer(texts)["input_ids"]


def test_rows():
    catalog = make()
    assert catalog.rows(["z", "B-1", "z"]).tolist() == [4, 1, 4]
    assert catalog.rows(["x"], domain="light").tolist() == [3]
    assert catalog.rows(["nope", "z"], missing="skip").tolist() == [4]
    assert catalog.rows([]).dtype == np.int64
    with pytest.raises(QBert4RecError, match="'nope' is not in the catalogue of 5 items"):
        catalog.rows(["z", "nope"])
    with pytest.raises(QBert4RecError, match="'x' occurs in several domains"):
        catalog.rows(["x"])
    with pytest.raises(QBert4RecError, match="no domain 'toys', only garden, light"):
        catalog.rows(["x"], domain="toys")
    with pytest.raises(QBert4RecError, match="list of ids"):
        catalog.rows("B-1")


def test_adding_leaves_those_there_as_they_are():
    catalog = make()
    larger = catalog.add(["new", "newer"], [None, "Hose"], np.array([[2, 0], [2, 1]]), "garden")
    assert larger.domain_sizes == [5, 2]
    assert larger.item_ids == ["x", "B-1", "é 7", "new", "newer", "x", "z"]
    assert larger.titles[4] == "Hose"
    for domain in catalog.domains:
        for item_id in catalog.subset(domain).item_ids:
            assert larger.encode(item_id, domain=domain) == catalog.encode(item_id, domain=domain)
    assert len(catalog) == 5 and larger.fingerprint != catalog.fingerprint
    with pytest.raises(QBert4RecError, match="'B-1' occurs twice in domain 'garden'"):
        catalog.add(["B-1"], [None], np.array([[2, 0]]), "garden")
    with pytest.raises(QBert4RecError, match="'é 7' and 'new' .* share a semantic ID"):
        catalog.add(["new"], [None], np.array([[3, 2]]), "garden")


def test_subset_and_concat_are_inverse():
    catalog = make()
    parts = [catalog.subset(domain) for domain in catalog.domains]
    assert same(ItemCatalog.concat(parts), catalog)
    other = make(codebook_sizes=[4, 5]).subset("light")
    with pytest.raises(QBert4RecError, match="do not go together"):
        ItemCatalog.concat([parts[0], other])


def test_imported_ids_may_be_shared_and_are_flagged():
    codes = np.array([[0, 0], [0, 0], [3, 2], [0, 0], [1, 0]])
    with pytest.raises(QBert4RecError, match="rows 0 and 1: .* reallocate the IDs"):
        make(codes=codes)
    catalog = make(codes=codes, allow_shared=True)
    # Row 3 has the ID too, but in another domain.
    assert catalog.collides.tolist() == [True, True, False, False, False]
    assert catalog.decode("<a_0><b_0>", domain="garden") == ["x", "B-1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codes": np.array([[0, 0], [0, 1], [3, 3], [0, 0], [1, 0]])}, "row 2: code 3 of level 1"),
        ({"codes": np.zeros((5, 3), int)}, r"must be \[items, 2\]"),
        ({"codes": np.zeros((5, 2))}, "whole numbers"),
        ({"item_ids": ["x", "y", "x", "x", "z"]}, "rows 0 and 2: item 'x' occurs twice"),
        ({"item_ids": ["x", 12, "y", "x", "z"]}, "row 1: an item id must be text, got 12"),
        ({"item_ids": ["x", "y"]}, "item ids: 2, titles: 5"),
        ({"domain_sizes": [3, 3]}, "domain sizes in all: 6"),
        ({"domains": ["light", "light"]}, "names of their own"),
    ],
)
def test_what_cannot_be_a_catalogue(changes, message):
    with pytest.raises(QBert4RecError, match=message):
        make(**changes)


@pytest.mark.parametrize("codes", [[0], [[0, 0, 0]], [[0, 9]]])
def test_codes_of_new_items_must_fit(codes):
    with pytest.raises(QBert4RecError, match="codes of new items"):
        make().add(["new"], [None], np.array(codes), "light")


def test_absent_titles_may_be_nan():
    assert make(titles=["Rope", float("nan"), None, "Lamp", "Shade"]).titles[1:3] == [None, None]


@pytest.mark.parametrize("shared", [False, True])
def test_saved_and_loaded(tmp_path, shared):
    codes = np.array([[0, 0], [0, 0], [3, 2], [0, 0], [1, 0]]) if shared else make().codes
    catalog = make(codes=codes, allow_shared=shared)
    catalog.save(tmp_path / "new folder")
    loaded = ItemCatalog.load(tmp_path / "new folder")
    assert same(loaded, catalog) and loaded.fingerprint == catalog.fingerprint
    assert sorted(p.name for p in (tmp_path / "new folder").iterdir()) == [
        "catalog.json",
        "catalog.parquet",
    ]


def test_the_fingerprint_names_codes_and_sizes_only():
    catalog = make()
    assert make(titles=[None] * 5).fingerprint == catalog.fingerprint
    assert make(codebook_sizes=[4, 4]).fingerprint != catalog.fingerprint
    assert catalog.subset("garden").fingerprint != catalog.fingerprint


def rewrite(folder, change) -> None:
    """Passes the table of a saved catalogue through `change(columns)`."""
    columns = pq.read_table(folder / "catalog.parquet").to_pydict()
    change(columns)
    pq.write_table(pa.table(columns), folder / "catalog.parquet")


def put(column, row, value):
    def change(columns):
        columns[column][row] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("codes", 3, [0, 5]), "catalog.parquet: catalogue row 3: code 5 of level 1"),
        (put("codes", 2, [1]), r"catalog.parquet row 2: codes must be 2 whole numbers, got \[1\]"),
        (put("codes", 2, None), "catalog.parquet row 2: codes must be 2 whole numbers, got None"),
        (put("codes", 2, [2, 2]), "do not belong together"),
        (put("item_id", 1, "x"), "catalog.parquet: catalogue rows 0 and 1: item 'x' occurs twice"),
        (put("item_id", 1, None), "catalog.parquet: catalogue row 1: an item id must be text"),
        (put("domain", 2, "light"), "catalog.parquet row 2: domain 'light', expected 'garden'"),
        (lambda columns: columns.pop("codes"), "catalog.parquet has no column 'codes'"),
        (lambda columns: [c.pop() for c in columns.values()], "item ids: 4"),
    ],
)
def test_damaged_tables_are_named(tmp_path, change, message):
    make().save(tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(QBert4RecError, match=message) as caught:
        ItemCatalog.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_files_are_named(tmp_path):
    with pytest.raises(QBert4RecError, match="catalog.json does not exist"):
        ItemCatalog.load(tmp_path)
    make().save(tmp_path)
    (tmp_path / "catalog.parquet").write_bytes(b"PAR1")
    with pytest.raises(QBert4RecError, match="catalog.parquet is no Parquet file"):
        ItemCatalog.load(tmp_path)
    (tmp_path / "catalog.parquet").unlink()
    with pytest.raises(QBert4RecError, match="catalog.parquet does not exist"):
        ItemCatalog.load(tmp_path)
    info = json.loads((tmp_path / "catalog.json").read_text())
    for name, value in (("codebook_sizes", 4), ("domains", "garden")):
        (tmp_path / "catalog.json").write_text(json.dumps(info | {name: value}))
        with pytest.raises(QBert4RecError, match="catalog.json is damaged"):
            ItemCatalog.load(tmp_path)
    del info["domains"]
    (tmp_path / "catalog.json").write_text(json.dumps(info))
    with pytest.raises(QBert4RecError, match="catalog.json lacks 'domains'"):
        ItemCatalog.load(tmp_path)
    (tmp_path / "catalog.json").write_text("{}")
    with pytest.raises(QBert4RecError, match="not a catalogue of format 1"):
        ItemCatalog.load(tmp_path)


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(QBert4RecError, match="cannot write"):
        make().save(tmp_path / "file")

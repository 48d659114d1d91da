from __future__ import annotations

import numpy as np
from html_laws import HOSTILE, read_html

from qbert4rec_hf.notebook import plain
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog

CODES = np.array([[0, 1], [0, 2], [1, 1], [1, 1]])


def test_domains_codebooks_and_items():
    catalog = ItemCatalog(
        ["a", "b", "a", "c"],
        ["Tea", None, "Pot", "Pot"],
        CODES,
        [4, 8],
        ["one", "two"],
        [2, 2],
        allow_shared=True,
    )
    rows, _ = read_html(catalog._repr_html_())
    assert dict(row for row in rows if len(row) == 2) == {
        "items": "4",
        "domains": "one (2), two (2)",
        "codes in use, by level": "2 of 4, 2 of 8",
        "items that share a semantic ID": "2",
    }
    assert rows[-4:] == [
        ["Tea", "a", "<a_0><b_1>", "one"],
        ["–", "b", "<a_0><b_2>", "one"],
        ["Pot", "a", "<a_1><b_1>", "two"],
        ["Pot", "c", "<a_1><b_1>", "two"],
    ]


def test_one_domain_is_cut_after_a_few_items():
    codes = np.arange(9)[:, None]
    ids = [f"i{n}" for n in range(9)]
    catalog = ItemCatalog(ids, ["x"] * 9, codes, [9], ["one"], [9])
    rows, text = read_html(catalog._repr_html_())
    assert rows[4] == ["title", "item_id", "semantic_id"] and rows[-1] == ["x", "i4", "<a_4>"]
    assert text.endswith("… and 4 more items")


def test_an_empty_catalogue():
    empty = ItemCatalog([], [], np.empty((0, 2), dtype=np.int64), [4, 8], ["one"], [0])
    rows, text = read_html(empty._repr_html_())
    assert dict(rows)["items"] == "0" and text.endswith("There are no items.")


def test_titles_ids_and_names_of_others_are_text():
    catalog = ItemCatalog([HOSTILE], [HOSTILE], CODES[:1], [4, 8], [HOSTILE], [1])
    rows, _ = read_html(catalog._repr_html_())
    assert rows[-1] == [plain(HOSTILE), plain(HOSTILE, 100), "<a_0><b_1>"]

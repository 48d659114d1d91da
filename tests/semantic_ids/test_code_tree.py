from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog
from qbert4rec_hf.semantic_ids.code_tree import (
    CodeTree,
    parse_prefix,
    semantic_id_text,
    shared_levels,
)

CODES = [[1, 0, 2], [0, 3, 1], [1, 0, 0], [1, 2, 2], [0, 3, 0], [1, 2, 1], [2, 1, 2]]
SIZES = [3, 4, 3]


def catalogue(codes=CODES, **fields) -> ItemCatalog:
    ids = [f"item-{row}" for row in range(len(codes))]
    return ItemCatalog(
        ids, [None] * len(ids), np.array(codes), SIZES, ["shop"], [len(ids)], **fields
    )


@pytest.fixture
def tree() -> CodeTree:
    return CodeTree(catalogue())


def test_groups_and_the_items_below_them(tree):
    assert [(group.text, group.num_items) for group in tree.groups()] == [
        ("<a_0>", 2),
        ("<a_1>", 4),
        ("<a_2>", 1),
    ]
    assert [group.prefix for group in tree.groups("<a_1>")] == [(1, 0), (1, 2)]
    assert tree.rows("<a_1>").tolist() == [2, 0, 5, 3]
    assert tree.rows((1, 0)).tolist() == [2, 0]
    assert tree.rows("<a_1><b_3>").tolist() == []
    assert tree.groups("<a_1><b_3>") == [] and tree.groups((1, 0, 2)) == []
    assert sorted(tree.rows().tolist()) == list(range(7))


def test_nearest_go_by_the_shared_beginning_first(tree):
    found = tree.nearest("item-0", count=9)
    assert [(item.item_id, item.shared_levels) for item in found] == [
        ("item-2", 2),
        # It agrees in the last code too, which counts only among equals.
        ("item-3", 1),
        ("item-5", 1),
    ]
    assert found[0].semantic_id == "<a_1><b_0><c_0>"
    assert [item.item_id for item in tree.nearest("item-0", count=1)] == ["item-2"]
    left = tree.nearest("item-0", exclude=["item-2"])
    assert [item.item_id for item in left] == ["item-3", "item-5"]
    assert tree.nearest("item-6") == []


def test_nearest_of_an_id_that_no_item_has(tree):
    found = tree.nearest([0, 3, 2], count=9)
    assert [(item.item_id, item.shared_levels) for item in found] == [("item-1", 2), ("item-4", 2)]
    # Of an ID that an item has, that item is the nearest.
    assert tree.nearest([0, 3, 1], count=1)[0].shared_levels == 3


def test_items_that_share_a_whole_id_are_each_others_nearest():
    tree = CodeTree(catalogue([[1, 0, 2], [1, 0, 2], [1, 0, 1]], allow_shared=True))
    found = tree.nearest("item-1", count=2)
    assert [(item.item_id, item.shared_levels) for item in found] == [("item-0", 3), ("item-2", 2)]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)),
        min_size=1,
        max_size=20,
        unique=True,
    ),
    st.data(),
)
def test_nearest_equal_a_brute_force(codes, data):
    tree = CodeTree(catalogue(codes))
    row = data.draw(st.integers(0, len(codes) - 1))
    count = data.draw(st.integers(1, 20))

    def key(other: int) -> tuple:
        equal = sum(a == b for a, b in zip(codes[row], codes[other], strict=True))
        return (-shared_levels(codes[row], codes[other]), -equal, other)

    others = [
        other
        for other in range(len(codes))
        if other != row and shared_levels(codes[row], codes[other])
    ]
    expected = [f"item-{other}" for other in sorted(others, key=key)][:count]
    assert [item.item_id for item in tree.nearest(f"item-{row}", count=count)] == expected


@given(st.lists(st.integers(0, 10**6), max_size=30))
def test_prefixes_are_read_as_they_are_written(codes):
    assert parse_prefix(semantic_id_text(codes)) == tuple(codes)


@pytest.mark.parametrize("text", ["<b_1>", "<a_1><c_1>", "a_1", "<a_1> x", "<a_01>", "<a_1><a_2>"])
def test_what_is_no_prefix_is_named(tree, text):
    with pytest.raises(QBert4RecError, match="no beginning of a semantic ID"):
        tree.rows(text)


@pytest.mark.parametrize("prefix", ["<a_3>", (0, 0, 0, 0), (-1,)])
def test_a_prefix_beyond_the_codebooks_is_refused(tree, prefix):
    with pytest.raises(QBert4RecError, match="codebooks hold 3, 4, 3 codes"):
        tree.groups(prefix)


def test_wrong_arguments_are_named(tree):
    with pytest.raises(QBert4RecError, match="'nowhere' is not in the catalogue"):
        tree.nearest("nowhere")
    with pytest.raises(QBert4RecError, match="a semantic ID has 3 codes, got 2"):
        tree.nearest([0, 1])
    with pytest.raises(QBert4RecError, match="at least 1"):
        tree.nearest("item-0", count=0)
    two = ItemCatalog(["a", "b"], [None, None], np.array(CODES[:2]), SIZES, ["x", "y"], [1, 1])
    with pytest.raises(QBert4RecError, match="x, y"):
        CodeTree(two)

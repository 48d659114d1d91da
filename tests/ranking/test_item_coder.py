from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.item_coder import ItemCoder


def test_plain_rows_become_an_items_table():
    table = ItemCoder.table([{"item_id": "a", "title": "x"}, {"item_id": "b", "text": "one"}])
    assert table["text"].tolist() == [[], ["one"]]
    assert table["images"].tolist() == [[], []]


@pytest.mark.parametrize("rows", [[], [{"title": "no id"}]])
def test_rows_without_ids_are_refused(rows):
    with pytest.raises(QBert4RecError, match="item_id"):
        ItemCoder.table(rows)


def test_an_id_that_occurs_twice_is_named():
    with pytest.raises(QBert4RecError, match="'a'"):
        ItemCoder.table([{"item_id": "a"}, {"item_id": "a"}])


def test_codes_avoid_what_is_taken_and_each_other(coder):
    table = ItemCoder.table(
        [{"item_id": f"n{i}", "title": "red tent", "text": ["a lamp"]} for i in range(8)]
    )
    first = coder.code(table, None, taken=np.empty((0, 3), int))
    assert len(np.unique(first, axis=0)) == 8
    second = coder.code(table, None, taken=first)
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 16
    # The closest ID goes to one of them; the same input gives the same IDs again.
    np.testing.assert_array_equal(first, coder.code(table, None, taken=np.empty((0, 3), int)))


def test_an_item_without_any_content_gets_an_id(coder):
    codes = coder.code(ItemCoder.table([{"item_id": "bare"}]), None, taken=np.empty((0, 3), int))
    assert codes.shape == (1, 3)

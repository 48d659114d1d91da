from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.new_items import NewItemIds, NewItems


@pytest.fixture
def new_items() -> NewItems:
    return NewItems.from_lists([4, 2], [[0, 1, 3], [1]])


def test_a_new_item_gets_the_mean_of_its_neighbours(new_items):
    scores = torch.tensor([[0.1, 0.4, 9.0, 0.7, 9.0], [0.0, 0.2, 9.0, 0.4, 9.0]])
    before = scores.clone()
    filled = new_items.fill(scores)
    expected = torch.tensor([[0.1, 0.4, 0.4, 0.7, 0.4], [0.0, 0.2, 0.2, 0.4, 0.2]])
    torch.testing.assert_close(filled, expected)
    torch.testing.assert_close(scores, before)


def test_logarithms_are_filled_alike_and_never_underflow(new_items):
    scores = torch.randn(3, 5).log_softmax(dim=1)
    torch.testing.assert_close(new_items.fill_log(scores), new_items.fill(scores.exp()).log())
    # As probabilities these are zero, and their logarithm would say "no candidate".
    far = torch.full((1, 5), -500.0)
    torch.testing.assert_close(new_items.fill_log(far), far)


def test_some_of_them(new_items):
    taken = new_items.take(np.array([False, True]))
    assert len(taken) == 1 and taken.rows.tolist() == [2]
    nothing = new_items.take(np.zeros(2, dtype=bool))
    scores = torch.rand(2, 5)
    torch.testing.assert_close(nothing.fill(scores), scores, rtol=0, atol=0)


def test_ids_become_rows_and_come_back_from_their_file(tmp_path):
    ids = NewItemIds()
    ids.add("camp", {"n1": ["b", "a"], "n2": []})
    ids.add("camp", {"n3": ["c"]})
    ids.save(tmp_path)
    loaded = NewItemIds.load(tmp_path)
    assert loaded == ids and set(loaded.of("camp")) == {"n1", "n2", "n3"}
    rows = loaded.rows("camp", ["a", "b", "c", "n1", "n2", "n3"])
    # Nothing is known of n2, so nobody speaks for it.
    assert rows.rows.tolist() == [3, 5]
    assert rows.neighbours[0].tolist() == [1, 0] and rows.weights.sum(axis=1).tolist() == [1, 1]
    assert loaded.rows("other", ["a"]) is None and loaded.of("other") == {}


def test_without_new_items_there_is_no_file(tmp_path):
    NewItemIds().save(tmp_path)
    assert not list(tmp_path.iterdir()) and NewItemIds.load(tmp_path) == NewItemIds()


@pytest.mark.parametrize("neighbours", [None, [], {"camp": ["a"]}, {"camp": {"n": "a"}}])
def test_a_damaged_file_is_named(tmp_path, neighbours):
    (tmp_path / "new_items.json").write_text(
        json.dumps({"format_version": 1, "neighbours": neighbours})
    )
    with pytest.raises(QBert4RecError, match=r"new_items\.json"):
        NewItemIds.load(tmp_path)


def test_items_that_the_catalogue_lacks_are_named():
    ids = NewItemIds({"camp": {"n1": ["gone"]}})
    with pytest.raises(QBert4RecError, match="'gone' of domain 'camp'"):
        ids.rows("camp", ["n1", "a"])

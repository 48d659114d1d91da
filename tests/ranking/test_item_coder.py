from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_sequence import distinct_codes

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.item_coder import ItemCoder


def coded(coder: ItemCoder, table, taken: np.ndarray) -> np.ndarray:
    return coder.assign(coder.embed(table)[0], taken)


def similarities(coder: ItemCoder, embeddings: torch.Tensor, codes: np.ndarray) -> np.ndarray:
    """Cosines `[new items, present items]` around the mean item."""
    centre = coder.quantizer.input_mean
    present = torch.nn.functional.normalize(
        coder.quantizer.decode(torch.from_numpy(codes)) - centre, dim=1
    )
    return (torch.nn.functional.normalize(embeddings - centre, dim=1) @ present.T).numpy()


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
    first = coded(coder, table, np.empty((0, 3), int))
    assert len(np.unique(first, axis=0)) == 8
    second = coded(coder, table, first)
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 16
    # The closest ID goes to one of them; the same input gives the same IDs again.
    np.testing.assert_array_equal(first, coded(coder, table, np.empty((0, 3), int)))


def test_neighbours_are_those_of_a_brute_force(coder):
    table = ItemCoder.table(
        [{"item_id": "a", "title": "red tent"}, {"item_id": "b", "title": "blue cup"}]
    )
    embeddings, known = coder.embed(table)
    assert known.all()
    codes = distinct_codes(60).numpy()
    candidates = np.flatnonzero(np.arange(60) % 3 > 0)
    similar = similarities(coder, embeddings, codes)
    similar[:, np.setdiff1d(np.arange(60), candidates)] = -np.inf
    expected = np.argsort(-similar, axis=1)[:, :4]
    np.testing.assert_array_equal(coder.nearest(embeddings, codes, candidates, 4), expected)
    assert coder.nearest(embeddings, codes, candidates[:2], 4).shape == (2, 2)
    assert coder.nearest(embeddings[:0], codes, candidates, 4).shape == (0, 4)


def test_large_catalogues_are_looked_through_in_parts(coder, monkeypatch):
    embeddings, _ = coder.embed(ItemCoder.table([{"item_id": f"n{i}"} for i in range(5)]))
    embeddings = embeddings + torch.randn(embeddings.shape)
    codes, candidates = distinct_codes(60).numpy(), np.arange(60)
    whole = coder.nearest(embeddings, codes, candidates, 6)
    monkeypatch.setattr("qbert4rec_hf.ranking.item_coder._NEW_ROWS", 2)
    monkeypatch.setattr("qbert4rec_hf.ranking.item_coder._PRESENT_ROWS", 7)
    parts = coder.nearest(embeddings, codes, candidates, 6)
    # Items that are as near to the last digit may change places: a product of fewer rows is summed
    # in another order.
    similar = similarities(coder, embeddings, codes)
    first, second = (np.take_along_axis(similar, rows, axis=1) for rows in (whole, parts))
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-6)
    assert all(len(set(rows)) == 6 for rows in parts.tolist())


def test_an_item_without_any_content_gets_an_id(coder):
    codes = coded(coder, ItemCoder.table([{"item_id": "bare"}]), np.empty((0, 3), int))
    assert codes.shape == (1, 3)

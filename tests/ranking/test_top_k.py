from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.top_k import NO_ITEM, top_k


def brute_force(scores: np.ndarray, k: int, exclude: set[int], allowed: set[int]) -> list[int]:
    candidates = [
        item
        for item in range(len(scores))
        if item in allowed and item not in exclude and scores[item] > -np.inf
    ]
    best = sorted(candidates, key=lambda item: (-scores[item], item))[:k]
    return best + [NO_ITEM] * (k - len(best))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_agrees_with_a_full_sort(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rows, num_items, k = rng.integers(1, 5), rng.integers(1, 30), int(rng.integers(1, 12))
    scores = rng.choice([-np.inf, 0.0, 0.5, 1.0, 3.0], size=(rows, num_items))
    exclude = [rng.integers(0, num_items, size=rng.integers(0, 6)) for _ in range(rows)]
    allowed = rng.random(num_items) < 0.8
    items, best = top_k(scores, k, exclude=Sequences.from_lists(exclude), allowed=allowed)
    for row in range(rows):
        expected = brute_force(
            scores[row], k, set(exclude[row].tolist()), set(np.flatnonzero(allowed).tolist())
        )
        assert items[row].tolist() == expected
        assert best[row].tolist() == [
            scores[row, item] if item >= 0 else -np.inf for item in expected
        ]


def test_large_rows_agree_with_a_full_sort():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 40, size=(20, 500)).astype(np.float32)
    items, _ = top_k(torch.from_numpy(scores), 200)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :200]
    np.testing.assert_array_equal(items.numpy(), expected)


def test_equal_scores_come_in_the_order_of_their_rows():
    items, _ = top_k(np.zeros((2, 1000)), 5)
    assert items.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_too_few_candidates_leave_places_empty():
    scores = np.array([[1.0, 2.0, 3.0]])
    items, best = top_k(scores, 5, exclude=Sequences.from_lists([[2]]))
    assert items.tolist() == [[1, 0, NO_ITEM, NO_ITEM, NO_ITEM]]
    assert best[0, 2:].tolist() == [-np.inf] * 3
    items, _ = top_k(scores, 2, allowed=np.array([], dtype=np.int64))
    assert items.tolist() == [[NO_ITEM, NO_ITEM]]


def test_allowed_may_be_a_list_of_rows():
    items, _ = top_k(np.array([[1.0, 2.0, 3.0]]), 2, allowed=np.array([0, 1]))
    assert items.tolist() == [[1, 0]]


def test_scores_are_not_changed_and_no_rows_are_fine():
    scores = torch.tensor([[1.0, 2.0]])
    top_k(scores, 1, exclude=Sequences.from_lists([[1]]), allowed=np.array([0]))
    assert scores.tolist() == [[1.0, 2.0]]
    items, best = top_k(torch.zeros(0, 4), 2)
    assert items.shape == best.shape == (0, 2)


@pytest.mark.parametrize(
    ("scores", "k", "arguments", "message"),
    [
        (np.zeros((1, 2)), 0, {}, "k must be at least 1"),
        (np.zeros(2), 1, {}, "must be \\[batch, items\\]"),
        (np.array([[np.nan, 1.0]]), 1, {}, "NaN"),
        (np.zeros((1, 2)), 1, {"allowed": np.ones(3, dtype=bool)}, "mask of the 2 items"),
        (np.zeros((1, 2)), 1, {"allowed": np.array([2])}, "from 0 to 1, got 2"),
        (np.zeros((2, 2)), 1, {"exclude": Sequences.from_lists([[0]])}, "1 sequences .* 2 rows"),
    ],
)
def test_bad_arguments_are_named(scores, k, arguments, message):
    with pytest.raises(QBert4RecError, match=message):
        top_k(scores, k, **arguments)

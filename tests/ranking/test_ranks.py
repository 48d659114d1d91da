from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.ranks import (
    discounted_gain,
    mask_items,
    scale_seen,
    target_ranks,
)


def brute_force_rank(scores: list[float], target: int, seen: list[int]) -> int:
    if target in seen or scores[target] == -np.inf:
        return len(scores) + 1
    better = 0
    for item, score in enumerate(scores):
        if item != target and item not in seen and score >= scores[target]:
            better += 1
    return 1 + better


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_ranks_agree_with_a_brute_force(data):
    num_items = data.draw(st.integers(1, 8))
    # Few distinct values make ties frequent.
    value = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0])
    rows = data.draw(
        st.lists(st.lists(value, min_size=num_items, max_size=num_items), min_size=1, max_size=4)
    )
    item = st.integers(0, num_items - 1)
    targets = [data.draw(item) for _ in rows]
    seen = [data.draw(st.lists(item, max_size=4)) for _ in rows]
    found = target_ranks(np.array(rows), np.array(targets), Sequences.from_lists(seen))
    assert found.dtype == np.int64
    assert found.tolist() == [
        brute_force_rank(*case) for case in zip(rows, targets, seen, strict=True)
    ]
    found = target_ranks(torch.tensor(rows), torch.tensor(targets))
    assert found.tolist() == [
        brute_force_rank(row, target, []) for row, target in zip(rows, targets, strict=True)
    ]


def test_a_constant_score_ranks_every_target_last():
    assert target_ranks(np.zeros((3, 50)), np.array([0, 25, 49])).tolist() == [50, 50, 50]


def test_a_target_seen_before_is_found_unless_seen_items_are_left_out():
    scores, history = np.array([[3.0, 2.0, 1.0]]), Sequences.from_lists([[0, 1]])
    assert target_ranks(scores, np.array([0])).tolist() == [1]
    assert target_ranks(scores, np.array([0]), history).tolist() == [4]
    assert target_ranks(scores, np.array([2]), history).tolist() == [1]


def test_ranks_do_not_change_with_the_numbering_of_items():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 30, size=(40, 60)).astype(np.float32)
    targets = rng.integers(0, 60, size=40)
    seen = Sequences.from_lists([rng.choice(60, size=5, replace=False) for _ in range(40)])
    new_row = rng.permutation(60)
    renumbered = np.empty_like(scores)
    renumbered[:, new_row] = scores
    new_seen = Sequences(new_row[seen.items], seen.offsets)
    np.testing.assert_array_equal(
        target_ranks(scores, targets, seen), target_ranks(renumbered, new_row[targets], new_seen)
    )


def test_scores_are_not_changed():
    scores = torch.ones(1, 3)
    target_ranks(scores, np.array([0]), Sequences.from_lists([[1]]))
    mask_items(scores, Sequences.from_lists([[1]]))
    assert scores.tolist() == [[1.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("scores", "targets", "seen", "message"),
    [
        (np.zeros(3), [0], None, "must be \\[batch, items\\]"),
        (np.zeros((2, 3)), [0], None, "one item row for each of the 2"),
        (np.zeros((1, 3)), [3], None, "from 0 to 2, got 3"),
        (np.zeros((1, 3)), [-1], None, "from 0 to 2, got -1"),
        (np.array([[0.0, np.nan]]), [0], None, "row 0 hold NaN"),
        (np.zeros((1, 3)), [0], [[1], [2]], "2 sequences .* for 1 rows"),
        (np.zeros((1, 3)), [0], [[3]], "leave out must be item rows from 0 to 2, got 3"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, targets, seen, message):
    seen = None if seen is None else Sequences.from_lists(seen)
    with pytest.raises(QBert4RecError, match=message):
        target_ranks(scores, np.array(targets), seen)


def test_infinite_scores_are_not_taken_for_nan():
    scores = np.array([[np.inf, -np.inf, 0.0]])
    assert target_ranks(scores, np.array([2])).tolist() == [2]
    assert target_ranks(scores, np.array([1])).tolist() == [4]


def test_no_users_have_no_ranks():
    assert target_ranks(np.zeros((0, 3)), np.empty(0, dtype=int)).shape == (0,)


def test_discounted_gain_ends_at_the_cutoff():
    np.testing.assert_allclose(
        discounted_gain(np.array([1, 2, 5, 6]), 5), [1, 1 / np.log2(3), 1 / np.log2(6), 0]
    )


def test_seen_items_are_scaled_and_nothing_else():
    scores = torch.tensor([[0.5, 0.2, -torch.inf], [0.1, 0.3, 0.6]])
    histories = Sequences.from_lists([[0, 2, 0], []])
    found = scale_seen(scores, histories, 0.1)
    torch.testing.assert_close(found, torch.tensor([[0.05, 0.2, -torch.inf], [0.1, 0.3, 0.6]]))
    assert scores[0, 0] == 0.5
    torch.testing.assert_close(scale_seen(scores, histories, 1.0), scores)

"""What sets the masks apart: one run, several runs, the end, anywhere, the last."""

from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.sequence.masking import (
    mask_last_item,
    mask_random_items,
    mask_regions,
    mask_span,
    mask_tail,
)


def runs(row: np.ndarray) -> list[int]:
    """Lengths of the runs of hidden items of a row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
    return np.diff(edges)[::2].tolist()


def draw(mask, length=20, ratio=0.3, rows=3000, **kwargs) -> np.ndarray:
    return mask(np.full(rows, length), ratio, np.random.default_rng(0), **kwargs)


def test_a_span_is_one_run_and_stands_anywhere():
    mask = draw(mask_span)
    assert all(runs(row) == [6] for row in mask)
    starts = mask.argmax(axis=1)
    counts = np.bincount(starts, minlength=15)
    assert len(counts) == 15  # 0 to 14
    assert counts.min() > 0.6 * len(mask) / 15 and counts.max() < 1.4 * len(mask) / 15


def test_regions_are_apart():
    mask = draw(mask_regions, length=40, ratio=0.15)
    assert all(len(runs(row)) == 3 and sum(runs(row)) == 6 for row in mask)


def test_regions_vary_in_size_and_place():
    mask = draw(mask_regions, length=40, ratio=0.15)
    sizes = {tuple(runs(row)) for row in mask}
    # Every way to deal six items out to three regions, in every order.
    assert len(sizes) == 10
    share = mask.mean(axis=0)
    assert share.min() > 0.05 and share.max() < 0.25


def test_there_are_no_more_regions_than_hidden_items():
    assert all(runs(row) == [1] for row in draw(mask_regions, length=4, ratio=0.15))
    two = draw(mask_regions, length=20, ratio=0.1)
    assert all(runs(row) == [1, 1] for row in two)


def test_regions_share_the_gaps_that_there_are():
    # Ten items, nine hidden: one visible item parts two regions at most.
    mask = draw(mask_regions, length=10, ratio=0.9)
    counts = {len(runs(row)) for row in mask}
    assert counts <= {1, 2} and 2 in counts


@pytest.mark.parametrize("num_regions", [1, 2, 5])
def test_the_number_of_regions_is_a_choice(num_regions):
    mask = draw(mask_regions, length=60, ratio=0.2, num_regions=num_regions)
    assert all(len(runs(row)) == num_regions for row in mask)


def test_a_tail_is_the_end():
    lengths = np.array([20, 3, 9])
    mask = mask_tail(lengths, 0.1, np.random.default_rng(0))
    for row, length in zip(mask, lengths, strict=True):
        hidden = np.flatnonzero(row)
        assert hidden.tolist() == list(range(length - len(hidden), length))
    assert mask.sum(axis=1).tolist() == [2, 1, 1]


def test_random_items_are_uniform_and_independent():
    mask = draw(mask_random_items, rows=20_000)
    assert (mask.sum(axis=1) == 6).all()
    share = mask.mean(axis=0)
    assert share.min() > 0.28 and share.max() < 0.32
    # Neighbours are no more often hidden together than any two.
    together = (mask[:, :-1] & mask[:, 1:]).mean()
    assert together == pytest.approx(0.3 * 5 / 19, abs=0.005)


def test_the_last_item_alone():
    mask = mask_last_item(np.array([4, 1, 2]))
    assert mask.tolist() == [
        [False, False, False, True],
        [True, False, False, False],
        [False, True, False, False],
    ]

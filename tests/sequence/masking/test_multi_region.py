from __future__ import annotations

import pytest
from mask_draws import draw, runs

from qbert4rec_hf.sequence.masking.multi_region import mask_regions


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

from __future__ import annotations

import pytest
from mask_draws import draw

from qbert4rec_hf.sequence.masking.random_items import mask_random_items


def test_random_items_are_uniform_and_independent():
    mask = draw(mask_random_items, rows=20_000)
    assert (mask.sum(axis=1) == 6).all()
    share = mask.mean(axis=0)
    assert share.min() > 0.28 and share.max() < 0.32
    # Neighbours are no more often hidden together than any two.
    together = (mask[:, :-1] & mask[:, 1:]).mean()
    assert together == pytest.approx(0.3 * 5 / 19, abs=0.005)

"""What all masks have in common."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbert4rec_hf.sequence.data_collator import MASKS
from qbert4rec_hf.sequence.masking.counts import hidden_counts

lengths_of = st.lists(st.integers(1, 40), min_size=1, max_size=30).map(np.array)


@pytest.mark.parametrize("name", MASKS)
@settings(max_examples=60, deadline=None)
@given(lengths=lengths_of, ratio=st.floats(0.01, 0.99), seed=st.integers(0, 2**32))
def test_every_row_hides_one_item_and_shows_one(name, lengths, ratio, seed):
    mask = MASKS[name](lengths, ratio, np.random.default_rng(seed))
    assert mask.dtype == bool and mask.shape == (len(lengths), lengths.max())
    for row, length in zip(mask, lengths, strict=True):
        assert not row[length:].any(), "padding is hidden"
        assert row.any()
        assert length == 1 or not row[:length].all()
    assert np.array_equal(mask, MASKS[name](lengths, ratio, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", ["span", "multi_region", "tail", "random"])
@pytest.mark.parametrize("ratio", [0.1, 0.15, 0.3])
@pytest.mark.parametrize("length", [10, 17, 40])
def test_the_share_is_the_ratio_on_average(name, ratio, length):
    draws = np.full(6000, length)
    share = MASKS[name](draws, ratio, np.random.default_rng(0)).mean()
    # At least one item is hidden, hence a little more where ratio * length is near one.
    expected = hidden_counts(draws, ratio, np.random.default_rng(0)).mean() / length
    assert share == pytest.approx(expected, abs=0.004)
    assert share == pytest.approx(ratio, abs=0.01)

from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.sequence.masking.counts import hidden_counts


def test_counts_are_rounded_at_random():
    counts = hidden_counts(np.full(10_000, 15), 0.3, np.random.default_rng(0))
    assert set(counts.tolist()) == {4, 5}
    assert counts.mean() == pytest.approx(4.5, abs=0.03)


def test_counts_of_short_rows():
    counts = hidden_counts(np.array([1, 2, 2, 3]), 0.9, np.random.default_rng(0))
    assert counts.tolist()[:3] == [1, 1, 1] and counts[3] == 2
    assert hidden_counts(np.array([5] * 50), 0.01, np.random.default_rng(0)).tolist() == [1] * 50

from __future__ import annotations

import numpy as np

from qbert4rec_hf.sequence.masking.tail import mask_tail


def test_a_tail_is_the_end():
    lengths = np.array([20, 3, 9])
    mask = mask_tail(lengths, 0.1, np.random.default_rng(0))
    for row, length in zip(mask, lengths, strict=True):
        hidden = np.flatnonzero(row)
        assert hidden.tolist() == list(range(length - len(hidden), length))
    assert mask.sum(axis=1).tolist() == [2, 1, 1]

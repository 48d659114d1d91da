from __future__ import annotations

import numpy as np
from mask_draws import draw, runs

from qbert4rec_hf.sequence.masking.span import mask_span


def test_a_span_is_one_run_and_stands_anywhere():
    mask = draw(mask_span)
    assert all(runs(row) == [6] for row in mask)
    starts = mask.argmax(axis=1)
    counts = np.bincount(starts, minlength=15)
    assert len(counts) == 15  # 0 to 14
    assert counts.min() > 0.6 * len(mask) / 15 and counts.max() < 1.4 * len(mask) / 15

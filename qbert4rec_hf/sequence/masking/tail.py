"""Tail mask: the latest items."""

from __future__ import annotations

import numpy as np

from .counts import hidden_counts


def mask_tail(lengths: np.ndarray, ratio: float, generator: np.random.Generator) -> np.ndarray:
    """Hides the last items, which is the task at test time; short rows hide the last item only.

    Args:
        lengths (`[batch]`): items of each row.
        ratio: share of items to hide (the paper: 0.1).
        generator: source of the rounding.

    Returns:
        `[batch, max(lengths)]` bool, True where hidden.

    Source: section 3.5, tail mask.
    """
    counts = hidden_counts(lengths, ratio, generator)
    columns = np.arange(lengths.max(initial=0))
    return (columns >= (lengths - counts)[:, None]) & (columns < lengths[:, None])

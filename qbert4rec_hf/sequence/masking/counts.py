"""How many items a mask hides in each row."""

from __future__ import annotations

import numpy as np


def hidden_counts(lengths: np.ndarray, ratio: float, generator: np.random.Generator) -> np.ndarray:
    """Items to hide in each row: `ratio` of its length on average.

    The fraction is rounded up or down at random so that the mean is `ratio` and not a multiple of
    1 / length; then at least one item is hidden and, in rows of two or more, one is left visible.
    Short rows therefore hide more than `ratio`.

    Args:
        lengths (`[batch]`): items of each row.
        ratio: share of items to hide, between 0 and 1.
        generator: source of the rounding.

    Returns:
        `[batch]` int64.
    """
    counts = np.floor(lengths * ratio + generator.random(len(lengths))).astype(np.int64)
    return np.clip(counts, 1, np.maximum(lengths - 1, 1))

"""Span mask: one run of neighbouring items."""

from __future__ import annotations

import numpy as np

from .counts import hidden_counts


def mask_span(lengths: np.ndarray, ratio: float, generator: np.random.Generator) -> np.ndarray:
    """Hides one contiguous run at a random place.

    Args:
        lengths (`[batch]`): items of each row.
        ratio: share of items to hide (the paper: 0.3).
        generator: source of length and place.

    Returns:
        `[batch, max(lengths)]` bool, True where hidden.

    Source: section 3.5, span mask.
    """
    counts = hidden_counts(lengths, ratio, generator)
    start = np.floor(generator.random(len(lengths)) * (lengths - counts + 1)).astype(np.int64)
    columns = np.arange(lengths.max(initial=0))
    return (columns >= start[:, None]) & (columns < (start + counts)[:, None])

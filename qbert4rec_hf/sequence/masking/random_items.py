"""Random mask: items anywhere, as in ordinary masked language modelling."""

from __future__ import annotations

import numpy as np

from .counts import hidden_counts


def mask_random_items(
    lengths: np.ndarray, ratio: float, generator: np.random.Generator
) -> np.ndarray:
    """Hides items chosen independently of each other.

    Args:
        lengths (`[batch]`): items of each row.
        ratio: share of items to hide (the paper's fine-tuning: 0.3).
        generator: source of number and places.

    Returns:
        `[batch, max(lengths)]` bool, True where hidden.

    Source: section 3.6, fine-tuning.
    """
    counts = hidden_counts(lengths, ratio, generator)
    columns = np.arange(lengths.max(initial=0))
    order = generator.random((len(lengths), len(columns)))
    order[columns >= lengths[:, None]] = 2.0
    rank = order.argsort(axis=1).argsort(axis=1)
    return rank < counts[:, None]

"""Last-item mask: the one item that ranking asks for."""

from __future__ import annotations

import numpy as np


def mask_last_item(
    lengths: np.ndarray, ratio: float = 0.0, generator: np.random.Generator | None = None
) -> np.ndarray:
    """Hides the last item of each row, exactly what inference does (section 3.6).

    Args:
        lengths (`[batch]`): items of each row.
        ratio: not used; here so that all masks are called alike.
        generator: not used, as above.

    Returns:
        `[batch, max(lengths)]` bool, True where hidden.
    """
    return np.arange(lengths.max(initial=0)) == (lengths - 1)[:, None]

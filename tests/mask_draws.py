"""Draws of a mask, and the runs of hidden items in them."""

from __future__ import annotations

import numpy as np


def runs(row: np.ndarray) -> list[int]:
    """Lengths of the runs of hidden items of a row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
    return np.diff(edges)[::2].tolist()


def draw(mask, length=20, ratio=0.3, rows=3000, **kwargs) -> np.ndarray:
    """`[rows, length]`, each row masked anew."""
    return mask(np.full(rows, length), ratio, np.random.default_rng(0), **kwargs)

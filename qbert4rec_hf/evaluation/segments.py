"""Metrics by group of users: how popular the target is, how long the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import QBert4RecError
from .metrics import summarize

POPULARITY_EDGES = (0, 1, 5, 10, 20, 50, 100)
"""Lower bounds: never seen in training, 1 to 4 interactions, 5 to 9, and so on."""

HISTORY_EDGES = (0, 1, 3, 5, 10, 20, 50)
"""Lower bounds: empty history, 1 to 2 items, 3 to 4, and so on."""


@dataclass(frozen=True)
class Bucket:
    """Metrics of the users whose value falls into a range.

    Attributes:
        label: the range in words, "5-9".
        low: smallest value, inclusive.
        high: largest value, inclusive; `None` for the last, open bucket.
        users: how many.
        metrics: as `summarize` gives them.
    """

    label: str
    low: int
    high: int | None
    users: int
    metrics: dict[str, float]


def bucket_metrics(
    ranks: np.ndarray, values: np.ndarray, edges: Sequence[int], ks: Sequence[int]
) -> list[Bucket]:
    """Metrics by range of a value; ranges without users are left out.

    Args:
        ranks: `[users]`.
        values: `[users]`, what users are grouped by.
        edges: rising lower bounds, the first at or below the smallest value.
        ks: cut-offs.

    Raises:
        QBert4RecError: edges do not rise, or begin above the smallest value.

    Example:
        >>> buckets = bucket_metrics(np.array([1, 30, 2]), np.array([0, 3, 7]), (0, 1, 5), (10,))
        >>> [(b.label, b.users, b.metrics["HR@10"]) for b in buckets]
        [('0', 1, 1.0), ('1-4', 1, 0.0), ('5+', 1, 1.0)]
    """
    edges = [int(edge) for edge in edges]
    if not edges or any(low >= high for low, high in zip(edges, edges[1:], strict=False)):
        raise QBert4RecError(f"bucket edges must rise, got {edges}")
    values = np.asarray(values)
    if values.size and values.min() < edges[0]:
        raise QBert4RecError(
            f"bucket edges begin at {edges[0]}, but the smallest value is {values.min()}"
        )
    place = np.searchsorted(edges, values, side="right") - 1
    buckets = []
    for index, low in enumerate(edges):
        members = place == index
        if not members.any():
            continue
        high = edges[index + 1] - 1 if index + 1 < len(edges) else None
        label = f"{low}+" if high is None else str(low) if high == low else f"{low}-{high}"
        metrics = summarize(np.asarray(ranks)[members], ks)
        buckets.append(Bucket(label, low, high, int(members.sum()), metrics))
    return buckets

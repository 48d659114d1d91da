"""Ranking metrics of next-item recommendation: one relevant item a user."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..ranking.ranks import ALL_ITEMS, PROTOCOLS, UNSEEN_ITEMS, discounted_gain, target_ranks

__all__ = [
    "ALL_ITEMS",
    "CUTOFFS",
    "PROTOCOLS",
    "UNSEEN_ITEMS",
    "discounted_gain",
    "hit_rate",
    "ndcg",
    "summarize",
    "target_ranks",
]

CUTOFFS = (1, 5, 10)


def hit_rate(ranks: np.ndarray, k: int) -> float:
    r"""HR@k: the share of users whose target is among the first k items.

    \[ HR@k = \frac{1}{|U|} \sum_u [rank_u \le k] \]

    With one relevant item a user this equals Recall@k.

    Args:
        ranks: `[users]`, from 1, as `target_ranks` gives them.
        k: cut-off.

    Returns:
        A share from 0 to 1; 0 when there are no users.

    Example:
        >>> hit_rate(np.array([1, 4, 12, 2]), 10)
        0.75
    """
    ranks = np.asarray(ranks)
    return float((ranks <= k).mean()) if ranks.size else 0.0


def ndcg(ranks: np.ndarray, k: int) -> float:
    r"""NDCG@k with one relevant item a user; the ideal ranking has gain 1.

    \[ NDCG@k = \frac{1}{|U|} \sum_u \frac{[rank_u \le k]}{\log_2(1 + rank_u)} \]

    Args:
        ranks: `[users]`, from 1, as `target_ranks` gives them.
        k: cut-off.

    Returns:
        A share from 0 to 1; 0 when there are no users.

    Example:
        >>> ndcg(np.array([1, 3, 12, 7]), 10)  # (1 + 1/2 + 0 + 1/3) / 4
        0.4583333333333333
    """
    ranks = np.asarray(ranks)
    return float(discounted_gain(ranks, k).mean()) if ranks.size else 0.0


def summarize(ranks: np.ndarray, ks: Sequence[int] = CUTOFFS) -> dict[str, float]:
    """HR and NDCG at each cut-off.

    Args:
        ranks: `[users]`, from 1, as `target_ranks` gives them.
        ks: cut-offs.

    Returns:
        `{"HR@1": ..., "HR@5": ..., "NDCG@1": ..., ...}`.

    Example:
        >>> summarize(np.array([1, 3]), ks=(1, 5))
        {'HR@1': 0.5, 'HR@5': 1.0, 'NDCG@1': 0.5, 'NDCG@5': 0.75}
    """
    values = {f"HR@{k}": hit_rate(ranks, k) for k in ks}
    values.update({f"NDCG@{k}": ndcg(ranks, k) for k in ks})
    return values

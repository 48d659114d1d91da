"""The exact best k items of a catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import QBert4RecError
from .ranks import check_scores, mask_items

if TYPE_CHECKING:
    from ..data.sequences import Sequences

NO_ITEM = -1
"""Stands in the place of an item where fewer than k candidates are left."""


def top_k(
    scores: np.ndarray | Tensor,
    k: int,
    *,
    exclude: Sequences | None = None,
    allowed: np.ndarray | Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The k best items of each row, best first, without approximation.

    Items of equal score come in the order of their rows, so that the same scores always give the
    same list. An item whose score is minus infinity is no candidate.

    Args:
        scores: `[batch, items]`, higher is better; not changed.
        k: how many items a row gets at most.
        exclude: items that a row must not get (its history, say), one sequence a row.
        allowed: the only items that may be given, the same for all rows: a boolean mask `[items]`
            or a list of item rows.

    Returns:
        Items `[batch, k]` int64 and their scores `[batch, k]`, on the device of `scores`. A row
        with fewer than k candidates ends with `NO_ITEM` (-1) and minus infinity.

    Raises:
        QBert4RecError: `k` is not positive, an argument does not fit `scores`, or a score is NaN.

    Example:
        >>> items, best = top_k(np.array([[0.1, 0.7, 0.2, 0.7]]), 3)
        >>> items.tolist()
        [[1, 3, 2]]
    """
    if k < 1:
        raise QBert4RecError(f"k must be at least 1, got {k}")
    scores = torch.as_tensor(scores)
    if scores.ndim != 2:
        raise QBert4RecError(f"scores must be [batch, items], got shape {tuple(scores.shape)}")
    if not scores.is_floating_point():
        scores = scores.double()
    check_scores(scores)
    rows, num_items = scores.shape
    if exclude is not None:
        scores = mask_items(scores, exclude)
    if allowed is not None:
        scores = scores.masked_fill(~_allowed_mask(allowed, num_items, scores.device), -torch.inf)

    width = min(k, num_items)
    best, items = _stable_top_k(scores, width)
    items = items.masked_fill(best == -torch.inf, NO_ITEM)
    if width < k:
        items = torch.nn.functional.pad(items, (0, k - width), value=NO_ITEM)
        best = torch.nn.functional.pad(best, (0, k - width), value=-torch.inf)
    return items, best


def _stable_top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`torch.topk` with ties broken by the lower item row, which torch leaves open."""
    if scores.numel() == 0:
        return scores[:, :k], torch.zeros(
            scores.shape[0], k, dtype=torch.long, device=scores.device
        )
    best, items = torch.topk(scores, k, dim=1)
    # Which of several equal items enter at the border is left open by torch: settle it here.
    last = best[:, -1:]
    tied = ((scores >= last).sum(dim=1) > k) & (last[:, 0] > -torch.inf)
    if tied.any():
        ordered, order = torch.sort(scores[tied], dim=1, descending=True, stable=True)
        best[tied], items[tied] = ordered[:, :k], order[:, :k]
    # Inside the list: by item row first, then stably by score.
    items, by_item = torch.sort(items, dim=1)
    best, by_score = torch.sort(best.gather(1, by_item), dim=1, descending=True, stable=True)
    return best, items.gather(1, by_score)


def _allowed_mask(allowed: np.ndarray | Tensor, num_items: int, device: torch.device) -> Tensor:
    allowed = torch.as_tensor(allowed, device=device)
    if allowed.dtype == torch.bool:
        if allowed.shape != (num_items,):
            raise QBert4RecError(
                f"allowed must be a mask of the {num_items} items, got shape {tuple(allowed.shape)}"
            )
        return allowed
    allowed = allowed.long()
    if allowed.numel() and (int(allowed.min()) < 0 or int(allowed.max()) >= num_items):
        raise QBert4RecError(
            f"allowed must hold item rows from 0 to {num_items - 1}, "
            f"got {int(allowed.min())} to {int(allowed.max())}"
        )
    mask = torch.zeros(num_items, dtype=torch.bool, device=device)
    mask[allowed] = True
    return mask

"""The rank of the item that a user took next, and what a rank is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import QBert4RecError

if TYPE_CHECKING:
    from ..data.sequences import Sequences

ALL_ITEMS = "all_items"
"""Protocol: the whole catalogue is ranked, items of the history included."""

UNSEEN_ITEMS = "unseen_items"
"""Protocol: the catalogue without the items of the user's own history is ranked."""

PROTOCOLS = (ALL_ITEMS, UNSEEN_ITEMS)


def target_ranks(
    scores: np.ndarray | Tensor, targets: np.ndarray | Tensor, seen: Sequences | None = None
) -> np.ndarray:
    r"""The rank of each user's target among all candidates, ties counted against us.

    \[ rank = 1 + |\{ j \ne target : s_j \ge s_{target} \}| \]

    A constant score thus ranks every target last. Items with a score of minus infinity are no
    candidates. A target that is no candidate itself (its score is minus infinity, or it is in
    `seen`) gets rank `items + 1`, a miss at every cut-off.

    Args:
        scores: `[batch, items]`, higher is better; not changed.
        targets: `[batch]` item rows.
        seen: items to leave out of the ranking, one sequence a row of `scores`; `None` ranks
            everything.

    Returns:
        `[batch]` int64, from 1 to `items + 1`.

    Raises:
        QBert4RecError: shapes do not fit, a target is outside the catalogue, or a score is NaN
            (every comparison with NaN is false, which would read as rank 1).

    Example:
        >>> target_ranks(np.array([[0.1, 0.9, 0.5], [0.5, 0.5, 0.5]]), np.array([2, 0])).tolist()
        [2, 3]
    """
    scores = torch.as_tensor(scores)
    if scores.ndim != 2:
        raise QBert4RecError(f"scores must be [batch, items], got shape {tuple(scores.shape)}")
    rows, num_items = scores.shape
    targets = torch.as_tensor(targets, dtype=torch.long, device=scores.device)
    if targets.shape != (rows,):
        raise QBert4RecError(
            f"targets must be one item row for each of the {rows} rows of scores, "
            f"got shape {tuple(targets.shape)}"
        )
    if rows and (int(targets.min()) < 0 or int(targets.max()) >= num_items):
        raise QBert4RecError(
            f"targets must be item rows from 0 to {num_items - 1}, "
            f"got {int(targets.min())} to {int(targets.max())}"
        )
    check_scores(scores)
    at_target = scores.gather(1, targets[:, None])[:, 0]
    # The target counts itself here, which is the 1 of the formula.
    ranks = (scores >= at_target[:, None]).sum(dim=1)
    miss = at_target == -torch.inf
    if seen is not None:
        # Taking off the few seen items is cheaper than ranking a masked copy.
        row, item = positions(seen, rows, num_items, scores.device)
        ranks = ranks.index_add(0, row, -(scores[row, item] >= at_target[row]).long())
        miss[row[item == targets[row]]] = True
    return torch.where(miss, num_items + 1, ranks).cpu().numpy().astype(np.int64)


def scale_seen(scores: Tensor, histories: Sequences, weight: float) -> Tensor:
    """A copy of `scores` in which those of each row's own items are multiplied by `weight`.

    Args:
        scores: `[batch, items]`, none below zero save minus infinity, which stays.
        histories: `[batch]`, one sequence a row.
        weight: 0 puts seen items last, 1 changes nothing.

    Raises:
        QBert4RecError: there is not one sequence a row, or an item is outside the catalogue.
    """
    row, item = positions(histories, *scores.shape, scores.device)
    scores = scores.clone()
    kept = scores[row, item]
    scores[row, item] = torch.where(kept == -torch.inf, kept, kept * weight)
    return scores


def discounted_gain(ranks: np.ndarray, k: int) -> np.ndarray:
    r"""What each rank adds to NDCG@k when one item is relevant: \( 1 / \log_2(1 + rank) \) to k.

    Args:
        ranks: `[users]`, from 1.
        k: cut-off.

    Returns:
        `[users]` float64.

    Example:
        >>> discounted_gain(np.array([1, 3, 11]), 10).tolist()
        [1.0, 0.5, 0.0]
    """
    ranks = np.asarray(ranks)
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def mask_items(scores: Tensor, items: Sequences) -> Tensor:
    """A copy of `scores` `[batch, items]` with minus infinity at each row's `items`.

    Raises:
        QBert4RecError: there is not one sequence a row, or an item is outside the catalogue.
    """
    row, item = positions(items, *scores.shape, scores.device)
    scores = scores.clone()
    scores[row, item] = -torch.inf
    return scores


def check_scores(scores: Tensor) -> None:
    """Raises QBert4RecError if a score is NaN."""
    # A sum is one pass without a temporary; inf - inf makes NaN too, hence the second look.
    if torch.isnan(scores.sum()) and torch.isnan(scores).any():
        row = int(torch.isnan(scores).any(dim=1).nonzero()[0, 0])
        raise QBert4RecError(
            f"scores of row {row} hold NaN, which cannot be ranked; look for a diverged model"
        )


def positions(
    items: Sequences, rows: int, num_items: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Row and column of every item, each pair once."""
    if len(items) != rows:
        raise QBert4RecError(
            f"{len(items)} sequences of items to leave out were given for {rows} rows of scores; "
            "give one for each row"
        )
    flat = items.items
    if flat.size and (flat.min() < 0 or flat.max() >= num_items):
        raise QBert4RecError(
            f"items to leave out must be item rows from 0 to {num_items - 1}, "
            f"got {flat.min()} to {flat.max()}"
        )
    pairs = torch.from_numpy(np.unique(items.row_index * num_items + flat)).to(device)
    return pairs // max(num_items, 1), pairs % max(num_items, 1)

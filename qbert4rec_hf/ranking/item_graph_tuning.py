"""Choosing the item graph's two settings on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from ..errors import QBert4RecError
from .item_graph import ItemGraphPrior
from .ranks import PROTOCOLS, UNSEEN_ITEMS, discounted_gain, target_ranks

if TYPE_CHECKING:
    from ..data.sequences import Sequences

REGULARIZATIONS = (50.0, 100.0, 200.0)
RECENCIES = (0.4, 0.6, 0.8, 0.9, 1.0)

_BATCH_ROWS = 512


@dataclass(frozen=True)
class GraphTrial:
    """One setting and its NDCG@k on validation.

    Attributes:
        regularization: λ of the fit.
        recency: weight of one step back.
        protocol: `all_items` or `unseen_items`.
        ndcg: mean over the validation users looked at.
    """

    regularization: float
    recency: float
    protocol: str
    ndcg: float

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain values, for JSON."""
        return asdict(self)


def tune_item_graph(
    train: Sequences,
    num_items: int,
    histories: Sequences,
    targets: np.ndarray,
    *,
    regularizations: Sequence[float] = REGULARIZATIONS,
    recencies: Sequence[float] = RECENCIES,
    select_by: Sequence[str] = (UNSEEN_ITEMS,),
    k: int = 10,
    max_users: int | None = 10_000,
    seed: int = 0,
    progress: bool = False,
    **fit_arguments: Any,
) -> tuple[ItemGraphPrior, list[GraphTrial]]:
    """Fits a graph for each λ and keeps the best, with the best recency for each protocol.

    One graph serves both protocols: its λ is the one that is best without seen items, with the
    best recency. With them the graph alone mostly shows how well it keeps off them, which is not
    its business in a mixture. Each protocol has its own recency; a graph is fitted once per λ.

    Args:
        train: training interactions, what the graph is fitted to.
        num_items: items of the catalogue.
        histories: validation histories.
        targets: `[users]` the item that followed each.
        regularizations: λs to try.
        recencies: weights of one step back to try.
        select_by: protocols whose mean NDCG@k, each with its best recency, picks λ.
        k: NDCG's cut-off.
        max_users: validation users to look at, drawn with `seed`; `None` for all.
        seed: of the draw.
        progress: show a progress bar.
        fit_arguments: further arguments of `ItemGraphPrior.fit`.

    Returns:
        The fitted prior with its recencies set, and all trials.

    Raises:
        QBert4RecError: there are no validation users.
    """
    targets = np.asarray(targets)
    if len(targets) == 0 or len(targets) != len(histories):
        raise QBert4RecError(
            f"tuning the item graph needs one target a validation history, got {len(targets)} "
            f"targets and {len(histories)} histories; pass its settings instead"
        )
    if max_users is not None and len(targets) > max_users:
        users = np.sort(np.random.default_rng(seed).permutation(len(targets))[:max_users])
        histories, targets = histories.take(users), targets[users]

    best: tuple[float, ItemGraphPrior] | None = None
    trials: list[GraphTrial] = []
    for regularization in tqdm(regularizations, desc="item graph", disable=not progress):
        prior = ItemGraphPrior.fit(train, num_items, regularization=regularization, **fit_arguments)
        chosen, values = {}, []
        found = _ndcg(prior, histories, targets, recencies, k)
        for protocol in PROTOCOLS:
            index = int(np.argmax(found[protocol]))
            chosen[protocol] = float(recencies[index])
            if protocol in select_by:
                values.append(found[protocol][index])
            trials += [
                GraphTrial(float(regularization), float(recency), protocol, float(value))
                for recency, value in zip(recencies, found[protocol], strict=True)
            ]
        value = float(np.mean(values))
        if best is None or value > best[0]:
            prior.recency = chosen
            best = (value, prior)
    if best is None:
        raise QBert4RecError("regularizations holds no value to try")
    return best[1], trials


def _ndcg(
    prior: ItemGraphPrior,
    histories: Sequences,
    targets: np.ndarray,
    recencies: Sequence[float],
    k: int,
) -> dict[str, np.ndarray]:
    """Mean NDCG@k, `[recencies]` for each protocol."""
    totals = {protocol: np.zeros(len(recencies)) for protocol in PROTOCOLS}
    for start in range(0, len(targets), _BATCH_ROWS):
        rows = np.arange(start, min(start + _BATCH_ROWS, len(targets)))
        batch = histories.take(rows)
        for index, recency in enumerate(recencies):
            scores = prior.score(batch, recency=recency)
            for protocol in PROTOCOLS:
                seen = batch if protocol == UNSEEN_ITEMS else None
                ranks = target_ranks(scores, targets[rows], seen)
                totals[protocol][index] += discounted_gain(ranks, k).sum()
    return {protocol: total / len(targets) for protocol, total in totals.items()}

"""The scorers that a model has to beat: popularity and the item graph alone (EASE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ranking.item_graph import ItemGraphPrior
from .evaluator import ScoreFunction
from .metrics import PROTOCOLS

if TYPE_CHECKING:
    from ..data.sequences import Sequences

POPULARITY = "Popularity"
ITEM_GRAPH = "EASE"


def popularity_scorer(train: Sequences, num_items: int) -> ScoreFunction:
    """Scores every item by its interactions in training, the same for every history.

    Args:
        train: training interactions.
        num_items: items of the catalogue.
    """
    counts = np.bincount(train.items, minlength=num_items).astype(np.float32)

    def score(histories: Sequences) -> np.ndarray:
        return np.broadcast_to(counts, (len(histories), num_items)).copy()

    return score


def item_graph_scorer(prior: ItemGraphPrior) -> ScoreFunction:
    """Scores by the item graph alone, each protocol with the recency that suits the graph alone.

    A graph that is mixed into a model carries the recency chosen beside that model; judged by that
    one it would look weaker than it is.
    """
    own = prior.own_recency

    def score(histories: Sequences) -> dict[str, np.ndarray]:
        by_recency: dict[float, np.ndarray] = {}
        for protocol in PROTOCOLS:
            recency = own[protocol]
            if recency not in by_recency:
                by_recency[recency] = prior.score(histories, recency=recency)
        return {protocol: by_recency[own[protocol]] for protocol in PROTOCOLS}

    return score


def baseline_scorers(
    train: Sequences, num_items: int, prior: ItemGraphPrior | None = None
) -> dict[str, ScoreFunction]:
    """Both baselines by name, ready for `evaluate_systems`.

    Args:
        train: training interactions.
        num_items: items of the catalogue.
        prior: a graph already fitted (and tuned) on `train`; fitted with its defaults otherwise.
    """
    prior = prior if prior is not None else ItemGraphPrior.fit(train, num_items)
    return {
        POPULARITY: popularity_scorer(train, num_items),
        ITEM_GRAPH: item_graph_scorer(prior),
    }

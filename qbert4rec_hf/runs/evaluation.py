"""Evaluating a model folder on a domain folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..data.domain import Domain
from ..data.split import Split
from ..errors import QBert4RecError
from ..evaluation.baselines import baseline_scorers
from ..evaluation.evaluator import ScoreFunction, evaluate_systems
from ..evaluation.result import EvaluationResult, EvaluationResults
from ..files import write_json
from ..ranking.ranker import Ranker
from ..ranking.recommender import Recommender
from .trained_split import TRAINED_SPLIT, check_split

MODEL = "Q-BERT4Rec"
WITH_GRAPH = "Q-BERT4Rec + item graph"
RERANKED = f"{WITH_GRAPH}, re-ranked"


def systems_of(
    model: Ranker, split: Split, further: dict[str, ScoreFunction] | None = None
) -> dict[str, ScoreFunction]:
    """What a table compares: the model with and without what is beside it, and the baselines.

    Args:
        model: with its item graph and re-ranker, if it has them.
        split: of the domain, items numbered as in the model's catalogue.
        further: other systems, listed after the model.

    Returns:
        Scorers by name; the one that the model folder recommends by comes first.
    """
    systems: dict[str, ScoreFunction] = {}
    if model.reranker is not None:
        systems[RERANKED] = model.scores_by_protocol
    if model.prior is not None and any(model.weights.values()):
        systems[WITH_GRAPH] = model.with_reranker(None).scores_by_protocol
    alone = Ranker(model.model, domain=model.domain, new_items=model.new_items)
    systems[MODEL] = alone.scores_by_protocol
    systems |= further or {}
    return systems | baseline_scorers(split.train, model.num_items, model.prior)


def evaluate_model(
    model: str | os.PathLike,
    domain: str | os.PathLike,
    *,
    split: str = "test",
    batch_size: int = 256,
    progress: bool = True,
) -> EvaluationResults:
    """Ranks the whole catalogue for every user of a split, by the model and by the baselines.

    Args:
        model: model folder, or the id of a repository.
        domain: domain folder; its items must be in the model's catalogue.
        split: "test" or "validation".
        batch_size: users scored at a time.
        progress: show a progress bar.

    Returns:
        One result a system, the model first.

    Raises:
        QBert4RecError: the domain has items that the model does not know, nobody can be evaluated
            on the split, or the model was trained on what this split holds out; says why.
    """
    recommender = Recommender.from_pretrained(model)
    loaded = Domain.load(domain)
    held_out = loaded.split().renumbered(_rows_in_catalog(loaded, recommender, domain))
    held_out.require_evaluated(split, domain)
    check_split(recommender.info.get(TRAINED_SPLIT), loaded, split)
    return evaluate_systems(
        systems_of(recommender.ranker, held_out),
        held_out.histories(split),
        held_out.targets(split),
        train=held_out.train,
        num_items=recommender.ranker.num_items,
        splitting=held_out.splitting(split),
        split=split,
        batch_size=batch_size,
        progress=progress,
    )


def save_results(results: list[EvaluationResult], path: str | os.PathLike) -> None:
    """Writes several results into one JSON file."""
    write_json(Path(path), {"systems": [result.to_dict() for result in results]})


def _rows_in_catalog(
    domain: Domain, recommender: Recommender, folder: str | os.PathLike
) -> np.ndarray:
    """Row in the model's catalogue of each item of the domain `[items]`; -1 where nobody has it."""
    row = {item_id: number for number, item_id in enumerate(recommender.items.item_ids)}
    rows = np.array([row.get(item_id, -1) for item_id in domain.item_ids], dtype=np.int64)
    _, sequences = domain.sequences()
    unknown = np.flatnonzero(rows[sequences.items] < 0)
    if len(unknown):
        item_id = domain.item_ids[sequences.items[unknown[0]]]
        raise QBert4RecError(
            f"{folder} has item {item_id!r}, which the model does not know; add it with "
            "Recommender.add_items, or evaluate on the domain that the model was trained for"
        )
    return rows

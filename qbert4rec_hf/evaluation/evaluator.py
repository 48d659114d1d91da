"""Evaluating a scorer: the whole catalogue for every user, in batches, keeping ranks only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..errors import QBert4RecError
from ..ranking.top_k import top_k
from .metrics import CUTOFFS, PROTOCOLS, UNSEEN_ITEMS, summarize, target_ranks
from .result import EvaluationResult, EvaluationResults, ProtocolResult
from .segments import HISTORY_EDGES, POPULARITY_EDGES, bucket_metrics

if TYPE_CHECKING:
    from ..data.sequences import Sequences
    from ..data.splitting import Splitting

Scores = np.ndarray | Tensor
ScoreFunction = Callable[["Sequences"], "Scores | Mapping[str, Scores]"]
"""Histories of a batch -> scores `[batch, items]`, or one such array for each protocol."""

COVERAGE_DEPTH = 10


def evaluate_ranker(
    score_fn: ScoreFunction,
    histories: Sequences,
    targets: np.ndarray,
    *,
    train: Sequences,
    num_items: int,
    name: str = "model",
    split: str = "test",
    splitting: Splitting | None = None,
    batch_size: int = 256,
    ks: Sequence[int] = CUTOFFS,
    popularity_edges: Sequence[int] = POPULARITY_EDGES,
    history_edges: Sequence[int] = HISTORY_EDGES,
    progress: bool = False,
) -> EvaluationResult:
    """Ranks the whole catalogue for every user, with seen items kept and with them excluded.

    Nothing is sampled. Of a batch only the targets' ranks and which items came among the first
    ten are kept, so memory does not grow with users times items.

    Args:
        score_fn: scores a batch of histories; the same function that serves recommendations.
        histories: what is known of each user, the validation item included when `split` is test.
        targets: `[users]` the item that each user took next.
        train: training interactions, for the popularity of targets.
        num_items: candidates, the whole catalogue of the domain.
        name: how tables call this system.
        split: `validation` or `test`, for the record.
        splitting: how histories and targets were held out, for the record; `Split.splitting`
            gives it.
        batch_size: users scored at a time.
        ks: cut-offs.
        popularity_edges: lower bounds of the buckets of target popularity.
        history_edges: lower bounds of the buckets of history length.
        progress: show a progress bar.

    Raises:
        QBert4RecError: histories and targets differ in number, or scores have another shape than
            `[batch, num_items]`.
    """
    targets = np.asarray(targets, dtype=np.int64)
    if len(histories) != len(targets):
        raise QBert4RecError(
            f"evaluation needs one target a history, got {len(histories)} histories and "
            f"{len(targets)} targets"
        )
    if batch_size < 1:
        raise QBert4RecError(f"batch_size must be at least 1, got {batch_size}")
    begin = time.perf_counter()
    ranks: dict[str, list[np.ndarray]] = {protocol: [] for protocol in PROTOCOLS}
    proposed = {protocol: np.zeros(num_items, dtype=bool) for protocol in PROTOCOLS}
    starts = range(0, len(targets), batch_size)
    for start in tqdm(starts, desc=f"evaluating {name}", unit="batch", disable=not progress):
        rows = np.arange(start, min(start + batch_size, len(targets)))
        batch = histories.take(rows)
        with torch.no_grad():
            scores = score_fn(batch)
        for protocol in PROTOCOLS:
            of_protocol = _checked(scores, protocol, (len(rows), num_items), name)
            seen = batch if protocol == UNSEEN_ITEMS else None
            ranks[protocol].append(target_ranks(of_protocol, targets[rows], seen))
            best, _ = top_k(of_protocol, COVERAGE_DEPTH, exclude=seen)
            best = best.cpu().numpy()
            proposed[protocol][best[best >= 0]] = True

    popularity = np.bincount(train.items, minlength=num_items)[targets]
    lengths = histories.lengths
    protocols = {}
    for protocol in PROTOCOLS:
        of_protocol = np.concatenate([np.empty(0, dtype=np.int64), *ranks[protocol]])
        protocols[protocol] = ProtocolResult(
            metrics=summarize(of_protocol, ks),
            ranks=of_protocol,
            coverage=float(proposed[protocol].mean()) if num_items else 0.0,
            by_popularity=bucket_metrics(of_protocol, popularity, popularity_edges, ks),
            by_history_length=bucket_metrics(of_protocol, lengths, history_edges, ks),
        )
    seen = histories.row_index[histories.items == np.repeat(targets, lengths)]
    return EvaluationResult(
        name=name,
        split=split,
        num_items=num_items,
        num_users=len(targets),
        num_seen_targets=len(np.unique(seen)),
        num_cold_targets=int((popularity == 0).sum()),
        protocols=protocols,
        seconds=time.perf_counter() - begin,
        splitting=splitting,
    )


def evaluate_systems(
    systems: Mapping[str, ScoreFunction],
    histories: Sequences,
    targets: np.ndarray,
    *,
    train: Sequences,
    num_items: int,
    **arguments: Any,
) -> EvaluationResults:
    """Evaluates several scorers on the same users; arguments as for `evaluate_ranker`.

    Returns:
        One result a system, in the order given; a notebook shows them as tables.
    """
    return EvaluationResults(
        evaluate_ranker(
            score_fn, histories, targets, train=train, num_items=num_items, name=name, **arguments
        )
        for name, score_fn in systems.items()
    )


def _checked(
    scores: Scores | Mapping[str, Scores], protocol: str, shape: tuple[int, int], name: str
) -> Scores:
    if isinstance(scores, Mapping):
        if protocol not in scores:
            raise QBert4RecError(
                f"{name} gave scores for {', '.join(scores)}, but none for {protocol}"
            )
        scores = scores[protocol]
    if tuple(scores.shape) != shape:
        raise QBert4RecError(
            f"{name} gave scores of shape {tuple(scores.shape)}, expected {shape}: one score for "
            "each item of the catalogue"
        )
    return scores

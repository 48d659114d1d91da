"""Fitting a re-ranker to validation users, and finding out on the same users whether it helps."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .ranks import UNSEEN_ITEMS, discounted_gain
from .reranker import Reranker, shortlist_features

if TYPE_CHECKING:
    from ..data.sequences import Sequences
    from .ranker import Ranker

FOLDS = 4
MIN_USERS = 100
"""Fewer users that could teach anything are too few to fit a network to."""

EPOCHS = 8
BATCH_SIZE = 64
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-2


@dataclass(frozen=True)
class RerankerTrial:
    """NDCG@k on validation users without and with re-ranking, seen items excluded.

    Attributes:
        users: validation users looked at.
        in_shortlist: share of them whose target is among the items that are re-ordered.
        ndcg_before: of the mixture.
        ndcg: re-ranked, each fold's users by a network fitted to the other folds.
        standard_error: of the paired difference.
        kept: whether the difference is more than one standard error.
    """

    users: int
    in_shortlist: float
    ndcg_before: float
    ndcg: float
    standard_error: float
    kept: bool

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain values, for JSON."""
        return asdict(self)


def fit_reranker(
    ranker: Ranker,
    histories: Sequences,
    targets: np.ndarray,
    *,
    max_users: int = 30_000,
    batch_size: int = 256,
    k: int = 10,
    seed: int = 0,
) -> tuple[Reranker | None, RerankerTrial | None]:
    """Fits a re-ranker, and returns it if it helps users whom it was not fitted to.

    Validation users are dealt into four folds; those of each are ranked by a network fitted to the
    others. Only if NDCG@k rises that way by more than one standard error of the paired difference
    is a network fitted to all of them. The loss is the cross-entropy of the target among the
    re-ordered items; a user whose target is not among them teaches nothing.

    Args:
        ranker: with its item graph, the mixture chosen.
        histories: what is known before each validation target; empty ones are left out.
        targets: `[users]` item rows of the domain.
        max_users: users to look at, drawn with `seed`.
        batch_size: users scored at a time.
        k: cut-off.
        seed: of draw, folds and weights.

    Returns:
        The re-ranker, or None where it does not help or there are too few users; and the figures,
        None where there are too few users.
    """
    users = np.random.default_rng(seed).permutation(np.flatnonzero(histories.lengths))[:max_users]
    users.sort()
    if len(users) < MIN_USERS:
        return None, None
    fresh = fresh_reranker(seed=seed)
    features, place = examples(
        ranker, fresh, histories.take(users), targets[users], batch_size=batch_size
    )
    teaches = (place >= 0).numpy()
    if teaches.sum() < MIN_USERS:
        return None, None
    before, after = cross_fit(fresh, features, place, k=k, seed=seed)
    difference = after - before
    error = float(difference.std() / math.sqrt(len(users)))
    trial = RerankerTrial(
        users=len(users),
        in_shortlist=float(teaches.mean()),
        ndcg_before=float(before.mean()),
        ndcg=float(after.mean()),
        standard_error=error,
        kept=bool(difference.mean() > error),
    )
    if not trial.kept:
        return None, trial
    return _fitted(fresh, features, place, np.flatnonzero(teaches), seed), trial


def fresh_reranker(*, seed: int = 0, **sizes: int) -> Reranker:
    """A re-ranker with random weights.

    Args:
        seed: of the weights.
        sizes: `hidden_size` and `length`, where they shall not be the usual ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Reranker(**sizes)


@torch.no_grad()
def examples(
    ranker: Ranker,
    reranker: Reranker,
    histories: Sequences,
    targets: np.ndarray,
    *,
    batch_size: int = 256,
) -> tuple[Tensor, Tensor]:
    """What the network reads for each user, and where the target is among the items.

    Args:
        ranker: with its item graph, the mixture chosen.
        reranker: whose length to use.
        histories: what is known before each target.
        targets: `[users]` item rows of the domain.
        batch_size: users scored at a time.

    Returns:
        Features `[users, length, features]`, and the target's place `[users]` from 0 in the order
        of the mixture, -1 where it is not among them.
    """
    features, places = [], []
    for rows in _batches(np.arange(len(targets)), batch_size):
        of_users = histories.take(rows)
        scores, evidence = ranker.mixture(of_users, UNSEEN_ITEMS, reranker)
        first, items = reranker.first_unseen(scores, of_users)
        is_target = items == torch.from_numpy(targets[rows]).to(items.device)[:, None]
        places.append(torch.where(is_target.any(dim=1), is_target.int().argmax(dim=1), -1).cpu())
        features.append(shortlist_features(evidence, items, first > -torch.inf).cpu())
    return torch.cat(features), torch.cat(places)


def cross_fit(
    fresh: Reranker, features: Tensor, place: Tensor, *, k: int = 10, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """NDCG@k of each user before and after re-ranking by a network fitted to other users.

    Args:
        fresh: what every network begins as.
        features: as `examples` gives them.
        place: the same.
        k: cut-off.
        seed: of folds and order.

    Returns:
        Two arrays `[users]`.
    """
    fold = np.random.default_rng(seed).permutation(len(place)) % FOLDS
    teaches = (place >= 0).numpy()
    after = np.zeros(len(place))
    for held_out in range(FOLDS):
        network = _fitted(
            fresh, features, place, np.flatnonzero(teaches & (fold != held_out)), seed
        )
        rows = np.flatnonzero(teaches & (fold == held_out))
        after[rows] = _gains(_ranked(network, features, place, rows), k)
    return _gains(place.numpy(), k), after


def _fitted(
    fresh: Reranker, features: Tensor, place: Tensor, rows: np.ndarray, seed: int
) -> Reranker:
    """A network fitted to some users."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        network = copy.deepcopy(fresh).cpu().train()
        torch.manual_seed(seed)
        flat = features[torch.from_numpy(rows)].flatten(0, 1)
        network.mean.copy_(flat.mean(dim=0))
        network.scale.copy_(flat.std(dim=0) + 1e-6)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        batches = EPOCHS * math.ceil(len(rows) / BATCH_SIZE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, LEARNING_RATE, total_steps=batches + 1
        )
        generator = np.random.default_rng(seed)
        for _ in range(EPOCHS):
            for chosen in _batches(generator.permutation(rows), BATCH_SIZE):
                batch = torch.from_numpy(chosen)
                loss = torch.nn.functional.cross_entropy(network(features[batch]), place[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return network.eval()


@torch.no_grad()
def _ranked(network: Reranker, features: Tensor, place: Tensor, rows: np.ndarray) -> np.ndarray:
    """Where the target stands after re-ranking, from 0, ties counted against it `[rows]`."""
    found = []
    for chosen in _batches(rows, 1024):
        batch = torch.from_numpy(chosen)
        logits = network(features[batch])
        at_target = logits.gather(1, place[batch][:, None])
        found.append((logits >= at_target).sum(dim=1) - 1)
    return torch.cat(found).numpy() if found else np.empty(0, dtype=np.int64)


def _gains(place: np.ndarray, k: int) -> np.ndarray:
    return np.where(place >= 0, discounted_gain(np.maximum(place, 0) + 1, k), 0.0)


def _batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]

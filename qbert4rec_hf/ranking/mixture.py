"""Mixing the sequence model with the item-graph prior, and choosing how much of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import QBert4RecError
from .ranks import ALL_ITEMS, PROTOCOLS, UNSEEN_ITEMS, discounted_gain
from .shortlist import FirstOfModel, Shortlist

if TYPE_CHECKING:
    from ..data.sequences import Sequences

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The grid on which the prior's weight is chosen."""

SEEN_WEIGHTS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.0)
"""The grid on which the weight of seen items is chosen."""

TEMPERATURES = (1.0, 1.2, 1.4, 1.7, 2.0)
"""The grid on which the temperature of the model's probabilities is chosen."""


def prior_distribution(prior_scores: np.ndarray | Tensor) -> Tensor:
    """The prior's scores as a distribution over the items: negatives to zero, then sum to one.

    The scores are a regression's estimate of how likely an item is beside the history. They are on
    the scale of probabilities already, so that dividing by their sum is all it takes, and it gives
    short and long histories the same say. A negative score only says "less likely than not at
    all". A row without any positive score becomes all zeros: such a prior has no opinion, and the
    mixture keeps the order of the model.

    Measured on Instruments on validation (NDCG@10, seen items excluded, best weight for each, one
    encoder): this form 0.1385, scores as they are 0.1389, scores to the power of 1.5 or 2 before
    summing 0.1387 and 0.1382, divided by the largest 0.1378, a softmax with temperature 0.05
    0.1260. Of those that are as good, this one keeps the weight between 0 and 1 meaningful.

    Args:
        prior_scores: `[batch, items]`.

    Returns:
        `[batch, items]`, rows sum to one or are zero.
    """
    positive = torch.as_tensor(prior_scores).clamp(min=0)
    total = positive.sum(dim=1, keepdim=True)
    return positive / torch.where(total > 0, total, torch.ones_like(total))


def mix(
    log_probabilities: np.ndarray | Tensor, prior_scores: np.ndarray | Tensor, weight: float
) -> Tensor:
    r"""The linear mixture of model and prior.

    \[ s = (1 - w) \cdot softmax(log\,p) + w \cdot prior \]

    Args:
        log_probabilities: `[batch, items]` of the sequence model, normalised or not; minus
            infinity (an item of another domain) stays minus infinity.
        prior_scores: `[batch, items]` of `ItemGraphPrior.score`.
        weight: w, the share of the prior, 0 to 1. At 0 the order is the model's own.

    Returns:
        `[batch, items]` float32 on the device of `log_probabilities`; higher is better.

    Raises:
        QBert4RecError: shapes differ or the weight is outside 0 to 1.
    """
    if not 0 <= weight <= 1:
        raise QBert4RecError(f"the prior's weight must be from 0 to 1, got {weight}")
    log_probabilities = torch.as_tensor(log_probabilities)
    prior_scores = torch.as_tensor(prior_scores, device=log_probabilities.device)
    if log_probabilities.shape != prior_scores.shape:
        raise QBert4RecError(
            f"scores of model and prior differ in shape: {tuple(log_probabilities.shape)} and "
            f"{tuple(prior_scores.shape)}; fit the prior on the same catalogue"
        )
    probabilities = torch.softmax(log_probabilities.float(), dim=1)
    mixed = torch.lerp(probabilities, prior_distribution(prior_scores.float()), weight)
    return mixed.masked_fill(log_probabilities == -torch.inf, -torch.inf)


@dataclass(frozen=True)
class MixtureTrial:
    """One setting of the mixture and its NDCG@k on validation.

    Attributes:
        protocol: `all_items` or `unseen_items`.
        weight: share of the prior.
        recency: the prior's weight of one step back.
        temperature: what the model's logits are divided by.
        seen_weight: what the scores of the history's own items are multiplied by.
        ndcg: mean over the validation users looked at.
    """

    protocol: str
    weight: float
    recency: float
    temperature: float
    seen_weight: float
    ndcg: float

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class MixtureChoice:
    """The prior's weight and recency for each protocol, and how each setting did.

    Attributes:
        weights: protocol -> weight.
        recencies: protocol -> recency.
        temperature: what the model's logits are divided by.
        seen_weight: what the scores of the history's own items are multiplied by where they are
            ranked too (`all_items`).
        trials: every setting tried.
    """

    weights: dict[str, float]
    recencies: dict[str, float]
    temperature: float = 1.0
    seen_weight: float = 1.0
    trials: list[MixtureTrial] = field(default_factory=list)


class _Setting(NamedTuple):
    protocol: str
    temperature: float
    weight: float
    recency: float
    seen_weight: float


def choose_mixture(
    batches: Iterable[tuple[Tensor, dict[float, np.ndarray], np.ndarray, Sequences]],
    *,
    weights: Sequence[float] = WEIGHTS,
    seen_weights: Sequence[float] = SEEN_WEIGHTS,
    temperatures: Sequence[float] = TEMPERATURES,
    k: int = 10,
) -> MixtureChoice:
    """Chooses the mixture by NDCG@k on validation users, for both protocols.

    Recency is chosen here and not on the prior alone: beside a model that knows the latest items
    well, the prior does best with another one than by itself. So is the temperature: a model that
    saw its training histories several times is surer of its first items than new histories bear
    out, and beside another opinion that counts (alone, it changes no order).

    One temperature serves both protocols. Seen items stay as they are unless another weight is
    better by more than one standard error of the paired difference: leaving out what somebody may
    well take again is for validation to ask for, not for chance.

    Args:
        batches: yields `(log_probabilities [batch, items], prior scores [batch, items] by recency,
            targets [batch], histories)` of validation users; only ranks are kept, so any number
            of users fits.
        weights: grid of the prior's share.
        seen_weights: grid of what seen items' scores are multiplied by where they are ranked.
        temperatures: grid of what the model's logits are divided by.
        k: cut-off.

    Raises:
        QBert4RecError: there are no validation users, or nothing to choose from.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, 2017 (the temperature).
    """
    grids = {"weights": weights, "seen_weights": seen_weights, "temperatures": temperatures}
    for name, grid in grids.items():
        if not grid:
            raise QBert4RecError(f"{name} holds nothing to choose from")
    collected: dict[_Setting, list[np.ndarray]] = defaultdict(list)
    users = 0
    for log_probabilities, prior_scores, targets, histories in batches:
        users += len(targets)
        of_model = FirstOfModel(log_probabilities, targets, histories)
        for recency, scores in prior_scores.items():
            prior = prior_distribution(torch.as_tensor(scores).to(log_probabilities))
            prior = prior.masked_fill(log_probabilities == -torch.inf, 0.0)
            shortlist = Shortlist(of_model, prior)
            for temperature in temperatures:
                shortlist.set_temperature(temperature)
                for weight in weights:
                    unseen, *every = shortlist.ranks(weight, seen_weights)
                    setting = _Setting(UNSEEN_ITEMS, temperature, weight, recency, 1.0)
                    collected[setting].append(_gains(unseen, k))
                    for seen_weight, ranks in zip(seen_weights, every, strict=True):
                        setting = _Setting(ALL_ITEMS, temperature, weight, recency, seen_weight)
                        collected[setting].append(_gains(ranks, k))
    if users == 0:
        raise QBert4RecError("no validation users to choose the prior's weight on")
    gains = {setting: np.concatenate(parts) for setting, parts in collected.items()}
    means = {setting: float(gain.mean(dtype=np.float64)) for setting, gain in gains.items()}

    def best(protocol: str, temperature: float) -> _Setting:
        # Of equals the one that changes least.
        return min(
            (s for s in means if (s.protocol, s.temperature) == (protocol, temperature)),
            key=lambda setting: (-means[setting], setting.weight, -setting.seen_weight),
        )

    temperature = min(
        temperatures, key=lambda t: (-sum(means[best(p, t)] for p in PROTOCOLS), abs(t - 1))
    )
    chosen = {protocol: best(protocol, temperature) for protocol in PROTOCOLS}
    chosen[ALL_ITEMS] = _seen_as_they_are(chosen[ALL_ITEMS], gains, means)
    return MixtureChoice(
        weights={protocol: float(setting.weight) for protocol, setting in chosen.items()},
        recencies={protocol: float(setting.recency) for protocol, setting in chosen.items()},
        temperature=float(temperature),
        seen_weight=float(chosen[ALL_ITEMS].seen_weight),
        trials=[
            MixtureTrial(
                protocol=setting.protocol,
                weight=float(setting.weight),
                recency=float(setting.recency),
                temperature=float(setting.temperature),
                seen_weight=float(setting.seen_weight),
                ndcg=mean,
            )
            for setting, mean in means.items()
        ],
    )


def _gains(ranks: np.ndarray, k: int) -> np.ndarray:
    # Half the memory: there are thousands of settings for each user.
    return discounted_gain(ranks, k).astype(np.float32)


def _seen_as_they_are(
    best: _Setting, gains: dict[_Setting, np.ndarray], means: dict[_Setting, float]
) -> _Setting:
    """The best setting, or one at its temperature that lets seen items count for more.

    It may be worse than the best by one standard error of the paired difference.
    """

    def cannot_be_told_apart(setting: _Setting) -> bool:
        loss = gains[best] - gains[setting]
        return loss.mean() <= loss.std() / np.sqrt(len(loss))

    candidates = [
        setting
        for setting in means
        if setting[:2] == best[:2]
        and setting.seen_weight >= best.seen_weight
        and cannot_be_told_apart(setting)
    ]
    return max(candidates, key=lambda setting: (setting.seen_weight, means[setting]))

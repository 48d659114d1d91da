"""Ranks under many mixtures of one model and one prior, without ranking the catalogue for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .ranks import positions

if TYPE_CHECKING:
    from ..data.sequences import Sequences

LENGTH = 200


class FirstOfModel:
    """A model's first items and all that a shortlist needs of it, whatever the prior.

    Args:
        log_probabilities: `[batch, items]` of the model.
        targets: `[batch]` item rows.
        histories: `[batch]`, whose items are the seen ones.
        length: how many of the first items count.
    """

    def __init__(
        self,
        log_probabilities: Tensor,
        targets: np.ndarray | Tensor,
        histories: Sequences,
        length: int = LENGTH,
    ) -> None:
        self.log_probabilities = log_probabilities.float()
        rows, self.num_items = log_probabilities.shape
        device = log_probabilities.device
        self.length = min(length, self.num_items)
        self.first = self.log_probabilities.topk(self.length, dim=1)
        self.targets = torch.as_tensor(targets, dtype=torch.long, device=device)[:, None]
        self.seen = torch.zeros((rows, self.num_items), dtype=torch.bool, device=device)
        self.seen[positions(histories, rows, self.num_items, device)] = True
        self._totals: dict[float, Tensor] = {}

    def total(self, temperature: float) -> Tensor:
        """`[batch, 1]`, the logarithm that normalises the model at a temperature."""
        if temperature not in self._totals:
            logits = self.log_probabilities / temperature
            self._totals[temperature] = logits.logsumexp(dim=1, keepdim=True)
        return self._totals[temperature]


class Shortlist:
    """The items that can come among the first ten of a mixture: the first of model and of prior.

    An item outside both lists scores at most what the last of the one and the last of the other
    make together, and the first ten of either score more. Ranks that matter to a cut-off of ten
    are those of the whole catalogue (on 10,000 users of each published data set not one differs);
    larger ones may be too small.

    Args:
        model: the model's part, the same for every prior.
        prior: `[batch, items]`, rows sum to one or are zero.
    """

    def __init__(self, model: FirstOfModel, prior: Tensor) -> None:
        of_prior = prior.topk(model.length, dim=1).indices
        items = torch.cat([model.first.indices, of_prior, model.targets], dim=1)
        self._model = model
        self._log_probabilities = model.log_probabilities.gather(1, items)
        self._prior = prior.gather(1, items)
        self._seen = model.seen.gather(1, items)
        counts = (items != model.targets) & (self._log_probabilities > -torch.inf)
        # An item in both lists counts once.
        after_first = self._log_probabilities < model.first.values[:, -1:]
        counts[:, model.length :] &= after_first[:, model.length :]
        self._counts = counts
        self._seen_row, self._seen_column = (counts & self._seen).nonzero(as_tuple=True)
        self._unseen = counts & ~self._seen
        self._repeated = self._seen[:, -1].nonzero()[:, 0]
        self._miss = model.num_items + 1
        self._possible = self._log_probabilities[:, -1] > -torch.inf
        self.set_temperature(1.0)

    def set_temperature(self, temperature: float) -> None:
        """Divides the model's logits by `temperature` from now on."""
        total = self._model.total(temperature)
        self._probabilities = (self._log_probabilities / temperature - total).exp()

    def ranks(self, weight: float, seen_weights: Sequence[float]) -> np.ndarray:
        """The target's rank, ties counted against it.

        Args:
            weight: share of the prior.
            seen_weights: what the scores of seen items are multiplied by.

        Returns:
            `[1 + seen_weights, batch]` int64: without the seen items, and with them at each weight.
        """
        scores = torch.lerp(self._probabilities, self._prior, weight)
        target = scores[:, -1]
        ranks = 1 + (self._unseen & (scores >= target[:, None])).sum(dim=1)
        unseen = torch.where(self._seen[:, -1], self._miss, ranks)
        found = [torch.where(self._possible, unseen, self._miss)]
        # A weight moves nothing but the few seen items, and a target that is one of them.
        seen, at_target = scores[self._seen_row, self._seen_column], target[self._seen_row]
        again = self._repeated
        for seen_weight in seen_weights:
            ahead = (seen * seen_weight >= at_target).long()
            every = ranks.index_add(0, self._seen_row, ahead)
            if len(again):
                weighted = scores[again]
                weighted = torch.where(self._seen[again], weighted * seen_weight, weighted)
                ahead = self._counts[again] & (weighted >= weighted[:, -1:])
                every[again] = 1 + ahead.sum(dim=1)
            found.append(torch.where(self._possible, every, self._miss))
        return torch.stack(found).cpu().numpy()

"""Scoring a catalogue for histories: the one code path of evaluation, Recommender and CLI."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import QBert4RecError
from ..sequence.histories import encode_histories
from .item_graph import ItemGraphPrior
from .item_graph_tuning import RECENCIES
from .mixture import (
    SEEN_WEIGHTS,
    TEMPERATURES,
    WEIGHTS,
    MixtureChoice,
    choose_mixture,
    mix,
    prior_distribution,
)
from .new_items import NewItems
from .ranks import ALL_ITEMS, PROTOCOLS, scale_seen
from .reranker import Evidence, Reranker

if TYPE_CHECKING:
    from ..data.sequences import Sequences
    from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM


class Ranker:
    """Sequence model and item graph, mixed and re-ranked; items are numbered within one domain.

    Args:
        model: with its catalogue set; put into evaluation mode.
        prior: fitted on the same domain's training histories; optional.
        weights: share of the prior for each protocol (`all_items`, `unseen_items`).
        domain: number of the domain in the model's catalogue.
        seen_weight: where items of the history are ranked too (`all_items`), their scores are
            multiplied by it.
        new_items: items that the model was not trained on; each scores like the mean of its
            neighbours, in the graph as long as that knows no interaction of it.
        reranker: re-orders the first unseen items of the mixture; needs a prior.

    Raises:
        QBert4RecError: the model has no such domain, the prior covers another catalogue, or
            there is a re-ranker and no prior.
    """

    def __init__(
        self,
        model: QBert4RecForMaskedLM,
        prior: ItemGraphPrior | None = None,
        weights: dict[str, float] | None = None,
        *,
        domain: int = 0,
        seen_weight: float = 1.0,
        new_items: NewItems | None = None,
        reranker: Reranker | None = None,
    ):
        sizes = model.config.num_items
        if not 0 <= domain < len(sizes):
            raise QBert4RecError(
                f"the model's catalogue has {len(sizes)} domains, there is no domain {domain}"
            )
        if prior is not None and prior.num_items != sizes[domain]:
            raise QBert4RecError(
                f"the item graph covers {prior.num_items} items, the catalogue has "
                f"{sizes[domain]}; fit the graph on this catalogue"
            )
        if reranker is not None and prior is None:
            raise QBert4RecError(
                "a re-ranker needs an item graph, which is not there; take both from one folder"
            )
        self.model = model.eval()
        self.prior = prior
        self.weights = dict.fromkeys(PROTOCOLS, 0.0) if weights is None else dict(weights)
        self.domain = domain
        self.seen_weight = seen_weight
        self.new_items = new_items
        self.reranker = None if reranker is None else reranker.eval().to(model.device)
        self._new_to_prior = new_items
        if new_items is not None and prior is not None:
            self._new_to_prior = new_items.take(prior.popularity[new_items.rows] == 0)
        self._items = model.domain_slice(domain)
        offsets = torch.tensor(model.config.level_offsets)
        self._tokens = model.catalog_codes[self._items].cpu() + offsets

    def with_reranker(self, reranker: Reranker | None) -> Ranker:
        """The same ranker with another re-ranker, or with none.

        Raises:
            QBert4RecError: it does not fit.
        """
        return Ranker(
            self.model,
            self.prior,
            self.weights,
            domain=self.domain,
            seen_weight=self.seen_weight,
            new_items=self.new_items,
            reranker=reranker,
        )

    @property
    def num_items(self) -> int:
        """Items of the domain, all of them candidates."""
        return len(self._tokens)

    @torch.no_grad()
    def log_probabilities(self, histories: Sequences) -> torch.Tensor:
        """What the sequence model alone says, `[batch, items]` float32.

        Of new items it says what it says of their neighbours.
        """
        batch = encode_histories(histories, self._tokens, self.model.config.max_items)
        batch = {name: tensor.to(self.model.device) for name, tensor in batch.items()}
        batch["domain_ids"] = torch.full(
            (len(histories),), self.domain, device=self.model.device, dtype=torch.long
        )
        scores = self.model.score_items(**batch)[:, self._items]
        if self.new_items is None:
            return scores
        return self.new_items.fill_log(scores).log_softmax(dim=1)

    def scores(self, histories: Sequences, protocol: str = ALL_ITEMS) -> torch.Tensor:
        """Probabilities of every item of the domain as the next one, for each history.

        An empty history gets the popularity of the training interactions where a prior holds it:
        a query without any history is nothing the model was trained on.

        Args:
            histories: item rows of the domain, oldest first.
            protocol: whose mixture weight and recency to use; seen items are scored either way.

        Returns:
            `[batch, items]` float32.
        """
        mixed = self._mixed(self.log_probabilities(histories), histories, protocol)
        return self._seen_weighted(mixed, histories, protocol)

    def scores_by_protocol(self, histories: Sequences) -> dict[str, torch.Tensor]:
        """`scores` for every protocol by one forward pass; what evaluation calls.

        Protocols with the same weight and recency share their mixture too.
        """
        log_probabilities = self.log_probabilities(histories)
        mixed: dict[tuple[float, float | None], torch.Tensor] = {}
        found = {}
        for protocol in PROTOCOLS:
            recency = None if self.prior is None else self.prior.recency[protocol]
            how = (self.weights[protocol], recency)
            if how not in mixed:
                mixed[how] = self._mixed(log_probabilities, histories, protocol)
            found[protocol] = self._seen_weighted(mixed[how], histories, protocol)
        return found

    def choose_mixture(
        self,
        histories: Sequences,
        targets: np.ndarray,
        *,
        weights: Collection[float] = WEIGHTS,
        seen_weights: Collection[float] = SEEN_WEIGHTS,
        temperatures: Collection[float] = TEMPERATURES,
        recencies: Collection[float] = RECENCIES,
        batch_size: int = 256,
        max_users: int = 10_000,
        seed: int = 0,
    ) -> MixtureChoice:
        """Chooses how to mix on validation users, and keeps what was chosen.

        That is the prior's weight and recency, the model's `ranking_temperature`, and what becomes
        of seen items.

        Args:
            histories: what is known before each validation target.
            targets: `[users]` item rows of the domain.
            weights: the grid of the prior's share.
            seen_weights: the grid of the weight of seen items.
            temperatures: the grid of what the model's logits are divided by.
            recencies: the grid of recencies.
            batch_size: users scored at a time.
            max_users: users to look at, drawn with `seed`.
            seed: of the draw.

        Raises:
            QBert4RecError: there is no prior, or no user.
        """
        if self.prior is None:
            raise QBert4RecError("there is no item graph to mix in; fit one first")
        users = np.random.default_rng(seed).permutation(len(targets))[:max_users]
        self.model.config.ranking_temperature = 1.0
        choice = choose_mixture(
            self._validation_batches(histories, targets, np.sort(users), recencies, batch_size),
            weights=tuple(weights),
            seen_weights=tuple(seen_weights),
            temperatures=tuple(temperatures),
        )
        self.model.config.ranking_temperature = choice.temperature
        self.weights = dict(choice.weights)
        self.seen_weight = choice.seen_weight
        self.prior = self.prior.with_recency(choice.recencies)
        return choice

    def _validation_batches(
        self,
        histories: Sequences,
        targets: np.ndarray,
        users: np.ndarray,
        recencies: Collection[float],
        batch_size: int,
    ) -> Iterator[tuple]:
        for start in range(0, len(users), batch_size):
            rows = users[start : start + batch_size]
            batch = histories.take(rows)
            prior = {recency: self.prior.score(batch, recency=recency) for recency in recencies}
            yield self.log_probabilities(batch), prior, targets[rows], batch

    def parts(self, histories: Sequences, protocol: str) -> tuple[torch.Tensor, torch.Tensor]:
        """What model and item graph give to the mixture, before anything is re-ranked.

        Args:
            histories: item rows of the domain, oldest first.
            protocol: whose mixture weight and recency to use.

        Returns:
            `[batch, items]` of the model, and of the graph (zero without one).
        """
        of_model = torch.softmax(self.log_probabilities(histories).float(), dim=1)
        weight = self.weights[protocol] if self.prior is not None else 0.0
        if not weight:
            return of_model, torch.zeros_like(of_model)
        of_graph = prior_distribution(self._prior_scores(histories, protocol).to(of_model))
        return (1 - weight) * of_model, weight * of_graph

    @torch.no_grad()
    def mixture(
        self, histories: Sequences, protocol: str, reranker: Reranker
    ) -> tuple[torch.Tensor, Evidence]:
        """Model and graph mixed, not re-ranked, and what a re-ranker would go by.

        Args:
            histories: none of them empty.
            protocol: whose mixture weight and recency to use.
            reranker: whose evidence to collect.

        Returns:
            `[batch, items]` probabilities, and the evidence of all items.
        """
        log_probabilities = self.log_probabilities(histories)
        prior_scores = self._prior_scores(histories, protocol)
        scores = mix(log_probabilities, prior_scores, self.weights[protocol])
        return scores, self._evidence(reranker, log_probabilities, prior_scores, histories)

    def _evidence(
        self,
        reranker: Reranker,
        log_probabilities: torch.Tensor,
        prior_scores: torch.Tensor,
        histories: Sequences,
    ) -> Evidence:
        return reranker.evidence(
            log_probabilities, prior_scores, histories, self.prior, self._new_to_prior
        )

    def _prior_scores(self, histories: Sequences, protocol: str) -> torch.Tensor:
        prior_scores = torch.from_numpy(self.prior.score(histories, protocol=protocol))
        if self._new_to_prior is None:
            return prior_scores
        # Negatives count as zero in the mixture, so they do in the mean.
        return self._new_to_prior.fill(prior_scores.clamp(min=0))

    def _mixed(
        self, log_probabilities: torch.Tensor, histories: Sequences, protocol: str
    ) -> torch.Tensor:
        """Mixed and re-ranked, seen items as they are."""
        weight = self.weights[protocol] if self.prior is not None else 0.0
        if weight > 0 or self.reranker is not None:
            prior_scores = self._prior_scores(histories, protocol)
            scores = mix(log_probabilities, prior_scores, weight)
            if self.reranker is not None:
                evidence = self._evidence(self.reranker, log_probabilities, prior_scores, histories)
                scores = self.reranker.reorder(scores, evidence, histories)
        else:
            scores = log_probabilities.exp()
        empty = torch.from_numpy(histories.lengths == 0).to(scores.device)
        if self.prior is not None and empty.any():
            # One added to every count, so that items without interactions stay candidates.
            popularity = torch.from_numpy(self.prior.popularity).to(scores) + 1
            scores[empty] = popularity / popularity.sum()
        return scores

    def _seen_weighted(
        self, scores: torch.Tensor, histories: Sequences, protocol: str
    ) -> torch.Tensor:
        if protocol == ALL_ITEMS and self.seen_weight != 1:
            return scale_seen(scores, histories, self.seen_weight)
        return scores

"""The sequence model (stage 3): a masked encoder over semantic IDs that ranks a whole catalogue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import initialization as init
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple, maybe_autocast

from .catalog_qbert4rec import QBert4RecCatalogMixin
from .configuration_qbert4rec import QBert4RecConfig
from .modeling_qbert4rec_encoder import (
    QBert4RecHead,
    QBert4RecModel,
    QBert4RecPreTrainedModel,
    check_whole_items,
)


@dataclass
class QBert4RecMaskedLMOutput(ModelOutput):
    """Output of [`QBert4RecForMaskedLM`].

    Args:
        loss (`[]`): given `labels`; mean over the masked tokens.
        logits (`[batch, items * levels, vocab]`): real numbers for the tokens of the position's own
            level, the dtype's minimum elsewhere. `None` while training with labels, where the loss
            needs the masked positions only.
        hidden_states (tuple of `[batch, positions, hidden]`): if asked for.
        attentions (tuple of `[batch, heads, positions, positions]`): if asked for.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None


class QBert4RecForMaskedLM(QBert4RecCatalogMixin, QBert4RecPreTrainedModel):
    """The encoder with a masked-token head over semantic IDs and the catalogue as its state.

    `logit(item) = sum_k logit_k[z_item^k] + bias(item)`, and with `config.item_embeddings` the
    product of the state and the item's own vector beside it: one forward pass ranks every item that
    exists (`score_items`), and the same sum is normalised over the catalogue by the `"catalog"`
    objective. Under `"codes"` (eq. 11) the encoder learns from K cross-entropies alone, and an item
    bias, if any, is fitted on top of its detached scores.

    Example:
        >>> import torch
        >>> from qbert4rec_hf import QBert4RecConfig, QBert4RecForMaskedLM
        >>> model = QBert4RecForMaskedLM(QBert4RecConfig(codebook_sizes=[4, 4], hidden_size=8))
        >>> model.set_catalog(torch.tensor([[0, 0], [0, 1], [3, 2]]))  # three items
        >>> model.eval().score_items(torch.tensor([[3, 7]])).shape  # the first is the history
        torch.Size([1, 3])
    """

    _tied_weights_keys = {"head.decoder.weight": "qbert4rec.embeddings.word_embeddings.weight"}
    _code = {
        **QBert4RecPreTrainedModel._code,
        "AutoModelForMaskedLM": "modeling_qbert4rec.QBert4RecForMaskedLM",
    }

    def __init__(self, config: QBert4RecConfig) -> None:
        super().__init__(config)
        self.qbert4rec = QBert4RecModel(config)
        self.head = QBert4RecHead(config)
        self._build_catalog()
        if config.tie_word_embeddings:
            # Saved once, under the embeddings' name: the Trainer is not to miss the other one.
            self._keys_to_ignore_on_save = set(self._tied_weights_keys)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        super()._init_weights(module)
        if isinstance(module, QBert4RecHead):
            init.zeros_(module.bias)
        elif module is self:
            init.zeros_(self.catalog_codes)
            for of_items in (self.item_bias, self.item_embeddings):
                if of_items is not None:
                    init.zeros_(of_items)

    def get_output_embeddings(self) -> nn.Linear:
        return self.head.decoder

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.head.decoder = value

    # -- logits ----------------------------------------------------------------------------------

    def _level_states(self, hidden: torch.Tensor) -> torch.Tensor:
        """`[batch, items, levels or 1, hidden]`: the state from which each level is read."""
        levels = 1 if self.config.item_encoding == "grouped" else self.config.num_levels
        return hidden.view(hidden.shape[0], -1, levels, hidden.shape[-1])

    def _level_logits(self, states: torch.Tensor, level: int) -> torch.Tensor:
        """Logits of one level's tokens, `[rows, codebook]`, from `[rows, levels or 1, hidden]`."""
        start = self.config.level_offsets[level]
        tokens = slice(start, start + self.config.codebook_sizes[level])
        state = states[:, min(level, states.shape[1] - 1)]
        weight, bias = self.head.decoder.weight[tokens], self.head.bias[tokens]
        return state @ weight.to(state.dtype).T + bias.to(state.dtype)

    def _catalog_logits(
        self, states: torch.Tensor, domain: int, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits of a domain's items, `[rows, items]`, from states `[rows, levels or 1, hidden]`.

        `items` are numbers within the domain; all items without them.
        """
        own = None
        if self.item_embeddings is not None:
            own = self._predicted_vectors(domain, items).to(states.dtype)
        if states.shape[1] == 1:
            weight, bias = self.head.decoder.weight, self.head.bias[:, None]
            vectors = self._sum_of_codes(weight, domain, items).to(states.dtype)
            bias = self._sum_of_codes(bias, domain, items).to(states.dtype)[:, 0]
            return states[:, 0] @ (vectors if own is None else vectors + own).T + bias
        codes = self._domain_rows(self.catalog_codes, domain, items)
        logits = sum(
            self._level_logits(states, level)[:, codes[:, level]]
            for level in range(self.config.num_levels)
        )
        return logits if own is None else logits + states[:, -1] @ own.T

    def _full_logits(self, states: torch.Tensor) -> torch.Tensor:
        """`[batch, items * levels, vocab]` with the dtype's minimum outside the own level."""
        batch, items = states.shape[:2]
        rows = states.flatten(0, 1)
        logits = rows.new_full(
            (len(rows), self.config.num_levels, self.config.vocab_size),
            torch.finfo(rows.dtype).min,
        )
        for level, start in enumerate(self.config.level_offsets):
            stop = start + self.config.codebook_sizes[level]
            logits[:, level, start:stop] = self._level_logits(rows, level)
        return logits.view(batch, items * self.config.num_levels, -1)

    # -- loss ------------------------------------------------------------------------------------

    def _loss(self, states, labels, domain_ids, num_items_in_batch):
        levels = self.config.num_levels
        labels = labels.view(labels.shape[0], -1, levels)
        masked = (labels >= 0).any(dim=2)
        states = self.head.transform(states[masked])
        codes = labels[masked] - labels.new_tensor(self.config.level_offsets)
        given = labels[masked] >= 0
        self._check_codes(codes, given)
        if self.config.objective == "catalog":
            self._require_catalog()
            domains = self._domains(domain_ids, len(labels))[:, None].expand(masked.shape)[masked]
            loss = levels * self._catalog_loss(states, codes.where(given, -1), domains)
        else:
            loss = self._codes_loss(states, codes.where(given, -100))
            whole = given.all(dim=1)
            if self.item_bias is not None and len(self.item_bias) and torch.is_grad_enabled():
                domains = self._domains(domain_ids, len(labels))[:, None].expand(masked.shape)
                bias_loss = levels * self._catalog_loss(
                    states[whole], codes[whole], domains[masked][whole], bias_only=True
                )
                # A gradient for the item bias alone; the loss that is shown stays eq. 11.
                loss = loss + bias_loss - bias_loss.detach()
        count = given.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        return loss / count

    def _check_codes(self, codes: torch.Tensor, given: torch.Tensor) -> None:
        sizes = codes.new_tensor(self.config.codebook_sizes)
        wrong = (given & ((codes < 0) | (codes >= sizes))).nonzero()
        if len(wrong):
            row, level = wrong[0].tolist()
            token = codes[row, level].item() + self.config.level_offsets[level]
            raise ValueError(
                f"labels hold token {token} where a token of level {level} belongs; give an item's "
                "tokens in the order of its levels, and -100 where nothing is masked"
            )

    def _codes_loss(self, states: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Sum of eq. 11's cross-entropies over the masked tokens; codes are -100 elsewhere."""
        loss = states.new_zeros((), dtype=torch.float32)
        for level in range(self.config.num_levels):
            logits = self._level_logits(states, level).float()
            loss = loss + nn.functional.cross_entropy(logits, codes[:, level], reduction="sum")
        return loss

    def _catalog_loss(
        self,
        states: torch.Tensor,
        codes: torch.Tensor,
        domains: torch.Tensor,
        bias_only: bool = False,
    ) -> torch.Tensor:
        """Sum of the cross-entropies over the items of each row's domain, one a masked item.

        With `bias_only` nothing but the item bias learns from it.
        """
        loss = states.new_zeros((), dtype=torch.float32)
        for domain in torch.unique(domains).tolist():
            rows = domains == domain
            group = self._find_items(codes[rows], domain)
            if (group < 0).any():
                missing = codes[rows][group < 0][0].tolist()
                raise ValueError(
                    f"labels hold an item with codes {missing}, which the catalogue of domain "
                    f"{domain} lacks (or which is masked in part); call model.set_catalog with the "
                    "items of the training data and mask whole items"
                )
            loss = loss + self._domain_loss(states[rows], group, domain, bias_only)
        return loss

    def _domain_loss(
        self, states: torch.Tensor, group: torch.Tensor, domain: int, bias_only: bool
    ) -> torch.Tensor:
        tree = self._prefix_tree(domain)
        items, log_weight = self._softmax_items(group, domain)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not bias_only):
            logits = self._catalog_logits(states, domain, items)
        logits = self._with_bias(logits, domain, items).float()
        if log_weight is not None:
            logits = logits + log_weight
        if tree["shared"]:
            # Items that share an ID cannot be told apart by their label: their mass is one.
            groups = tree["group"] if items is None else tree["group"][items]
            other = groups[None, :] != group[:, None]
            mass = logits.masked_fill(other, float("-inf")).logsumexp(dim=1)
            return (logits.logsumexp(dim=1) - mass).sum()
        target = tree["item"][group]
        if items is not None:
            target = (items[None, :] == target[:, None]).int().argmax(dim=1)
        return nn.functional.cross_entropy(logits, target, reduction="sum")

    def _softmax_items(
        self, group: torch.Tensor, domain: int
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Items of the domain that the softmax runs over, and what to add to each one's logit.

        Without sampling both are None: all items. Otherwise the targets of the batch, and drawn
        items that stand for all others: each counts for as many as it represents, so that the sum
        over the catalogue is right on average.
        """
        tree, sampled = self._prefix_tree(domain), self.config.num_sampled_items
        size = len(tree["group"])
        if sampled is None or sampled >= size or not self.training:
            return None, None
        wanted = torch.zeros(len(tree["keys"][-1]), dtype=torch.bool, device=group.device)
        wanted[group] = True
        wanted = wanted[tree["group"]]
        targets = wanted.nonzero()[:, 0]
        drawn = torch.unique(torch.randint(size, (sampled,), device=group.device))
        drawn = drawn[~wanted[drawn]]
        items = torch.cat([targets, drawn])
        log_weight = torch.zeros(len(items), device=group.device)
        if len(drawn):
            log_weight[len(targets) :] = math.log((size - len(targets)) / len(drawn))
        return items, log_weight

    def _with_bias(
        self, logits: torch.Tensor, domain: int, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        if self.item_bias is None:
            return logits
        return logits + self._domain_rows(self.item_bias, domain, items)

    # -- calls -----------------------------------------------------------------------------------

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        domain_ids: torch.LongTensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> QBert4RecMaskedLMOutput:
        """
        Args:
            input_ids (`[batch, items * levels]`): token ids, `[MASK]` where a token is hidden.
            attention_mask (`[batch, items * levels]`, *optional*): 1 for tokens, 0 for padding.
            labels (`[batch, items * levels]`, *optional*): token ids at masked positions, -100
                elsewhere. The `"catalog"` objective finds the item by its K tokens, so it needs
                whole items.
            domain_ids (`[batch]`, *optional*): domain of each row; needed with several domains.
            num_items_in_batch (*optional*): masked tokens over all accumulated batches, from the
                Trainer; the loss is divided by it, so accumulation changes nothing.

        Returns:
            [`QBert4RecMaskedLMOutput`].

        Raises:
            ValueError: lengths that are no multiple of K, labels of another shape or level, an item
                that the catalogue lacks.
        """
        if labels is not None and labels.shape != input_ids.shape:
            raise ValueError(
                f"labels must have the shape of input_ids {list(input_ids.shape)}, got "
                f"{list(labels.shape)}"
            )
        check_whole_items(input_ids, self.config.num_levels)
        outputs = self.qbert4rec(
            input_ids,
            attention_mask=attention_mask,
            item_embeds=self._own_vectors(input_ids, domain_ids),
            **kwargs,
        )
        states = self._level_states(outputs.last_hidden_state)
        loss = logits = None
        if labels is not None:
            loss = self._loss(states, labels, domain_ids, num_items_in_batch)
        if labels is None or not self.training:
            logits = self._full_logits(self.head.transform(states))
        return QBert4RecMaskedLMOutput(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def score_items(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        domain_ids: torch.LongTensor | None = None,
    ) -> torch.FloatTensor:
        """Ranks the whole catalogue as the next item, in one forward pass and without a beam.

        Args:
            input_ids (`[batch, items * levels]`): histories without the query; the latest
                `max_items` are used. May be empty (`[batch, 0]`).
            attention_mask (`[batch, items * levels]`, *optional*): 1 for tokens, 0 for padding.
            domain_ids (`[batch]`, *optional*): domain of each row; needed with several domains.

        Returns:
            `[batch, all items]` float32 log-probabilities over the items of the row's domain;
            minus infinity for items of other domains.

        Raises:
            ValueError: no catalogue, a length that is no multiple of K, or several domains and no
                `domain_ids`.

        Source: section 3.6, "argmax over the catalogue".
        """
        self._require_catalog()
        batch, levels = input_ids.shape[0], self.config.num_levels
        if attention_mask is None:
            attention_mask = (input_ids != self.config.pad_token_id).long()
        if input_ids.shape[1] > levels * self.config.max_items:
            input_ids, attention_mask = self._latest_items(input_ids, attention_mask)
        query = input_ids.new_full((batch, levels), self.config.mask_token_id)
        tokens = torch.cat([input_ids, query], dim=1)
        hidden = self.qbert4rec(
            tokens,
            attention_mask=torch.cat([attention_mask, torch.ones_like(query)], dim=1),
            item_embeds=self._own_vectors(tokens, domain_ids),
        ).last_hidden_state
        states = self.head.transform(self._level_states(hidden)[:, -1])
        domains = self._domains(domain_ids, batch)
        if len(self.config.num_items) == 1:
            return self._domain_scores(states, 0)
        scores = states.new_full(
            (batch, len(self.catalog_codes)), float("-inf"), dtype=torch.float32
        )
        for domain in torch.unique(domains).tolist():
            rows = domains == domain
            scores[rows, self.domain_slice(domain)] = self._domain_scores(states[rows], domain)
        return scores

    def _latest_items(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The latest `max_items` of each row, whichever side the padding is on."""
        check_whole_items(input_ids, self.config.num_levels)
        shape = (input_ids.shape[0], -1, self.config.num_levels)
        items, mask = input_ids.view(shape), attention_mask.view(shape)
        # A stable sort by "is an item" moves padding to the front and keeps the items in order.
        order = (
            mask.amax(dim=2).long().sort(dim=1, stable=True).indices[:, -self.config.max_items :]
        )
        order = order[:, :, None].expand(-1, -1, self.config.num_levels)
        return items.gather(1, order).flatten(1), mask.gather(1, order).flatten(1)

    def _domain_scores(self, states: torch.Tensor, domain: int) -> torch.Tensor:
        # In full precision whatever the model's: a score is a sum of K logits, and rounded to half
        # precision the best items of a large catalogue become ties.
        with maybe_autocast(states.device.type, enabled=False):
            logits = self._with_bias(self._catalog_logits(states.float(), domain), domain)
        return (logits / self.config.ranking_temperature).log_softmax(dim=1)


QBert4RecForMaskedLM.register_for_auto_class("AutoModelForMaskedLM")

__all__ = [
    "QBert4RecForMaskedLM",
    "QBert4RecMaskedLMOutput",
    "QBert4RecModel",
    "QBert4RecPreTrainedModel",
]

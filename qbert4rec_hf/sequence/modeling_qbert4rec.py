"""The sequence model (stage 3): a masked encoder over semantic IDs that ranks a whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import initialization as init
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple, maybe_autocast

from .catalog_qbert4rec import QBert4RecCatalogMixin
from .configuration_qbert4rec import QBert4RecConfig
from .loss_qbert4rec import QBert4RecLossMixin
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


class QBert4RecForMaskedLM(QBert4RecLossMixin, QBert4RecCatalogMixin, QBert4RecPreTrainedModel):
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
        bias = None
        if self.item_bias is not None:
            bias = self._domain_rows(self.item_bias, domain, items).to(states.dtype)
        own = None
        if self.item_embeddings is not None:
            own = self._predicted_vectors(domain, items).to(states.dtype)
        if states.shape[1] == 1:
            weight, of_codes = self.head.decoder.weight, self.head.bias[:, None]
            vectors = self._sum_of_codes(weight, domain, items).to(states.dtype)
            of_codes = self._sum_of_codes(of_codes, domain, items).to(states.dtype)[:, 0]
            # One sum of the small parts: adding to the logits themselves is a pass over all items
            # of every row, and on a CPU as dear as the product.
            return nn.functional.linear(
                states[:, 0],
                vectors if own is None else vectors + own,
                of_codes if bias is None else of_codes + bias,
            )
        codes = self._domain_rows(self.catalog_codes, domain, items)
        logits = sum(
            self._level_logits(states, level)[:, codes[:, level]]
            for level in range(self.config.num_levels)
        )
        if own is not None:
            logits = logits + states[:, -1] @ own.T
        return logits if bias is None else logits + bias

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

    # -- calls -----------------------------------------------------------------------------------

    def _records(self, kwargs: dict[str, Any]) -> bool:
        """Whether the caller asks for what the layers compute on the way."""
        return any(
            kwargs.get(name, getattr(self.config, name))
            for name in ("output_hidden_states", "output_attentions")
        )

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
        read = None
        # Logits and recorded states are asked for at every position, the loss at the masked ones.
        if labels is not None and self.training and not self._records(kwargs):
            read, labels = self._masked_items(labels)
        outputs = self.qbert4rec(
            input_ids,
            attention_mask=attention_mask,
            item_embeds=self._own_vectors(input_ids, domain_ids),
            read_items=read,
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
            read_items=tokens.new_full((batch, 1), tokens.shape[1] // levels - 1),
        ).last_hidden_state
        states = self.head.transform(self._level_states(hidden)[:, 0])
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
            logits = self._catalog_logits(states.float(), domain)
        return (logits / self.config.ranking_temperature).log_softmax(dim=1)


QBert4RecForMaskedLM.register_for_auto_class("AutoModelForMaskedLM")

__all__ = [
    "QBert4RecForMaskedLM",
    "QBert4RecMaskedLMOutput",
    "QBert4RecModel",
    "QBert4RecPreTrainedModel",
]

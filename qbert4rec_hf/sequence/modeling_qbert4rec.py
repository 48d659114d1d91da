"""The sequence model (stage 3): a masked encoder over semantic IDs that ranks a whole catalogue."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from .configuration_qbert4rec import QBert4RecConfig


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


class QBert4RecEmbeddings(nn.Module):
    """Tokens and positions; `"grouped"` adds an item's K token embeddings into one position."""

    def __init__(self, config: QBert4RecConfig):
        super().__init__()
        self.config = config
        self.word_embeddings = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_items + 1, config.hidden_size)
        if config.item_encoding == "tokens":
            self.level_embeddings = nn.Embedding(config.num_levels, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: torch.Tensor, item_mask: torch.Tensor) -> torch.Tensor:
        """
        Args:
            input_ids (`[batch, items, levels]`): token ids.
            item_mask (`[batch, items]`): 1 where an item stands, 0 for padding.

        Returns:
            `[batch, items, hidden]`, or `[batch, items * levels, hidden]` for `"tokens"`.

        Raises:
            ValueError: a history is longer than `max_items` and the query.
        """
        # Counted from the end: what matters is how long ago an item was, whatever the padding.
        positions = item_mask.flip(1).cumsum(1).flip(1) - 1
        if input_ids.shape[1] > self.config.max_items + 1:
            raise ValueError(
                f"input_ids holds {input_ids.shape[1]} items a row, more than max_items "
                f"{self.config.max_items} and the query; keep the latest items only"
            )
        position = self.position_embeddings(positions.clamp(min=0))
        words = self.word_embeddings(input_ids)
        if self.config.item_encoding == "grouped":
            hidden = words.sum(dim=2) + position
        else:
            hidden = words + position[:, :, None] + self.level_embeddings.weight
            hidden = hidden.flatten(1, 2)
        return self.dropout(self.norm(hidden))


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention in plain steps; gives the weights that sdpa keeps to itself."""
    weights = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        weights = weights + attention_mask
    weights = nn.functional.softmax(weights, dim=-1)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


class QBert4RecAttention(nn.Module):
    """Bidirectional multi-head self-attention."""

    def __init__(self, config: QBert4RecConfig):
        super().__init__()
        self.config = config
        self.head_size = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_size**-0.5
        self.is_causal = False
        self.num_key_value_groups = 1
        self.dropout_prob = config.attention_probs_dropout_prob
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Maps `[batch, positions, hidden]` to the same shape; weights too where they exist."""
        batch, positions, _ = hidden_states.shape
        mixed = self.query_key_value(hidden_states)
        query, key, value = mixed.view(batch, positions, 3, -1, self.head_size).permute(
            2, 0, 3, 1, 4
        )
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        context, weights = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=self.dropout_prob if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        return self.output(context.reshape(batch, positions, -1)), weights


class QBert4RecLayer(GradientCheckpointingLayer):
    """A pre-norm encoder layer: attention, then feed-forward, each with a residual."""

    def __init__(self, config: QBert4RecConfig):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = QBert4RecAttention(config)
        self.intermediate_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> torch.Tensor:
        """Maps `[batch, positions, hidden]` to the same shape."""
        context, _ = self.attention(self.attention_norm(hidden_states), attention_mask, **kwargs)
        hidden_states = hidden_states + self.dropout(context)
        inner = self.activation(self.intermediate(self.intermediate_norm(hidden_states)))
        return hidden_states + self.dropout(self.output(inner))


class QBert4RecPreTrainedModel(PreTrainedModel):
    """Loading, saving and initial weights of the family."""

    config_class = QBert4RecConfig
    base_model_prefix = "qbert4rec"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["QBert4RecEmbeddings", "QBert4RecLayer"]
    _can_record_outputs = {"hidden_states": QBert4RecLayer, "attentions": QBert4RecAttention}

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        super()._init_weights(module)
        if isinstance(module, QBert4RecHead):
            init.zeros_(module.bias)
        elif isinstance(module, QBert4RecForMaskedLM):
            init.zeros_(module.catalog_codes)
            if module.item_bias is not None:
                init.zeros_(module.item_bias)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *model_args, **kwargs):
        """As in transformers, but refuses to fill a catalogue of another size with garbage.

        Raises:
            ValueError: `ignore_mismatched_sizes=True` and the catalogue's sizes differ.
        """
        if not kwargs.get("ignore_mismatched_sizes"):
            return super().from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)
        with_info = kwargs.pop("output_loading_info", False)
        model, info = super().from_pretrained(
            pretrained_model_name_or_path, *model_args, output_loading_info=True, **kwargs
        )
        mismatched = [str(key) for key in info["mismatched_keys"]]
        for name in ("catalog_codes", "item_bias"):
            if any(name in key for key in mismatched):
                raise ValueError(
                    f"ignore_mismatched_sizes=True would leave {name} of "
                    f"{pretrained_model_name_or_path} filled with arbitrary numbers; load the "
                    "model as it is and call model.set_catalog(codes, item_map=...)"
                )
        return (model, info) if with_info else model


class QBert4RecModel(QBert4RecPreTrainedModel):
    """The bare encoder: token ids in, one hidden state a position out.

    Items are positions under `item_encoding="grouped"`; under `"tokens"` every token is one.
    Source: section 3.5 (BERT-style encoder); grouping is ours.
    """

    # A checkpoint of the whole model also holds the catalogue, which the encoder has no use for.
    _keys_to_ignore_on_load_unexpected = {r"catalog_codes", r"item_bias", r"^head\."}

    def __init__(self, config: QBert4RecConfig):
        super().__init__(config)
        self.embeddings = QBert4RecEmbeddings(config)
        self.layers = nn.ModuleList(
            [QBert4RecLayer(config) for _ in range(config.num_hidden_layers)]
        )
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding):
        self.embeddings.word_embeddings = value

    @capture_outputs
    def forward(
        self, input_ids: torch.LongTensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> BaseModelOutput:
        """
        Args:
            input_ids (`[batch, items * levels]`): token ids, K an item.
            attention_mask (`[batch, items * levels]`, *optional*): 1 for tokens, 0 for padding;
                without it, `[PAD]` tokens are padding.

        Returns:
            `last_hidden_state`: `[batch, items, hidden]`, or `[batch, items * levels, hidden]` for
            the token-level encoding.

        Raises:
            ValueError: the length is no multiple of K, or more items than `max_items` + 1.
        """
        levels = self.config.num_levels
        if input_ids.shape[1] % levels:
            raise ValueError(
                f"input_ids has {input_ids.shape[1]} tokens a row, which is no multiple of the "
                f"{levels} levels of a semantic ID; give whole items and no further specials"
            )
        if attention_mask is None:
            attention_mask = input_ids != self.config.pad_token_id
        items = input_ids.view(input_ids.shape[0], -1, levels)
        item_mask = attention_mask.view(items.shape).amax(dim=2).long()
        hidden = self.embeddings(items, item_mask)
        if self.config.item_encoding == "tokens":
            item_mask = item_mask.repeat_interleave(levels, dim=1)
        mask = create_bidirectional_mask(
            config=self.config, inputs_embeds=hidden, attention_mask=item_mask
        )
        for layer in self.layers:
            hidden = layer(hidden, mask, **kwargs)
        return BaseModelOutput(last_hidden_state=self.norm(hidden))


class QBert4RecHead(nn.Module):
    """From hidden states to logits of each level's tokens; weights shared with the embeddings."""

    def __init__(self, config: QBert4RecConfig):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACT2FN[config.hidden_act]
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def transform(self, hidden: torch.Tensor) -> torch.Tensor:
        """Maps `[..., hidden]` to the space of the decoder's rows."""
        return self.norm(self.activation(self.dense(hidden)))


class QBert4RecForMaskedLM(QBert4RecPreTrainedModel):
    """The encoder with a masked-token head over semantic IDs and the catalogue as its state.

    `logit(item) = sum_k logit_k[z_item^k] + bias(item)`: one forward pass ranks every item that
    exists (`score_items`), and the same sum is normalised over the catalogue by the `"catalog"`
    objective. Under `"codes"` (eq. 11) the encoder learns from K cross-entropies alone, and an item
    bias, if any, is fitted on top of its detached scores.
    """

    _tied_weights_keys = {"head.decoder.weight": "qbert4rec.embeddings.word_embeddings.weight"}

    def __init__(self, config: QBert4RecConfig):
        super().__init__(config)
        self.qbert4rec = QBert4RecModel(config)
        self.head = QBert4RecHead(config)
        total = sum(config.num_items)
        self.register_buffer(
            "catalog_codes", torch.zeros(total, config.num_levels, dtype=torch.long)
        )
        self.item_bias = nn.Parameter(torch.zeros(total)) if config.item_bias else None
        self._prefix_keys = None
        self.post_init()

    def get_output_embeddings(self) -> nn.Linear:
        return self.head.decoder

    def set_output_embeddings(self, value: nn.Linear):
        self.head.decoder = value

    # -- the catalogue ---------------------------------------------------------------------------

    def set_catalog(
        self,
        codes: torch.Tensor,
        item_map: torch.Tensor | None = None,
        num_items: list[int] | None = None,
    ) -> None:
        """Replaces the items that the model ranks, as `resize_token_embeddings` replaces words.

        Args:
            codes (`[items, levels]`): the semantic ID of every item, as codes in each codebook.
            item_map (`[items]`, *optional*): for each new item its row in the present catalogue, or
                -1. Item biases are carried over along it; items without a row start at zero.
            num_items (`list[int]`, *optional*): items of each domain; one domain without it.

        Raises:
            ValueError: wrong shape, codes outside their codebook, sizes that do not add up, or a
                map that points outside the present catalogue.
        """
        device = self.catalog_codes.device
        codes = torch.as_tensor(codes, dtype=torch.long).to(device)
        sizes = torch.tensor(self.config.codebook_sizes, device=device)
        if codes.ndim != 2 or codes.shape[1] != len(sizes):
            raise ValueError(
                f"codes must be [items, {len(sizes)}] as codebook_sizes has {len(sizes)} levels, "
                f"got {list(codes.shape)}"
            )
        outside = ((codes < 0) | (codes >= sizes)).nonzero()
        if len(outside):
            row, level = outside[0].tolist()
            raise ValueError(
                f"codes row {row}: code {codes[row, level].item()} of level {level} is outside its "
                f"codebook of {sizes[level].item()}"
            )
        num_items = [len(codes)] if num_items is None else [int(size) for size in num_items]
        if sum(num_items) != len(codes):
            raise ValueError(
                f"num_items {num_items} adds up to {sum(num_items)}, but codes has {len(codes)} rows"
            )
        if self.item_bias is not None:
            bias = self.item_bias.new_zeros(len(codes))
            if item_map is not None:
                item_map = torch.as_tensor(item_map, dtype=torch.long).to(device)
                if item_map.shape != (len(codes),) or item_map.max() >= len(self.item_bias):
                    raise ValueError(
                        f"item_map must be [{len(codes)}] rows below {len(self.item_bias)} or -1, "
                        f"got shape {list(item_map.shape)} and highest row {item_map.max().item()}"
                    )
                known = item_map >= 0
                bias[known] = self.item_bias.detach()[item_map[known]]
            self.item_bias = nn.Parameter(bias)
        self.catalog_codes = codes
        self.config.num_items = num_items
        self.config.catalog_fingerprint = self.fingerprint_catalog(codes)
        self._prefix_keys = None

    def fingerprint_catalog(self, codes: torch.Tensor | None = None) -> str:
        """16 hexadecimal digits that name codes and codebook sizes; the stored ones by default."""
        codes = self.catalog_codes if codes is None else codes
        digest = hashlib.sha256(repr(list(self.config.codebook_sizes)).encode())
        digest.update(codes.cpu().to(torch.int64).contiguous().numpy().astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def domain_slice(self, domain: int) -> slice:
        """Rows of one domain's items in the catalogue."""
        start = sum(self.config.num_items[:domain])
        return slice(start, start + self.config.num_items[domain])

    def _find_items(self, codes: torch.Tensor, domain: int) -> torch.Tensor:
        """Group number in its domain of every code tuple `[rows, levels]`, -1 where none has it.

        A tuple is followed down the tree of existing prefixes, one sorted search a level, so the
        cost grows with the levels and with the logarithm of the catalogue.
        """
        index = self._catalog_index(domain)
        group = codes.new_zeros(len(codes))
        found = torch.ones_like(group, dtype=torch.bool)
        for level, keys in enumerate(index["keys"]):
            key = group * self.config.codebook_sizes[level] + codes[:, level]
            group = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
            found &= keys[group] == key
        return torch.where(found, group, -1)

    def _catalog_index(self, domain: int) -> dict:
        """Prefix tree of a domain: sorted keys a level and the group number of each item."""
        # The version tells when the buffer was filled anew (a loaded state dict, another device).
        version = (self.catalog_codes.device, self.catalog_codes._version)
        if self._prefix_keys is None or self._prefix_keys["version"] != version:
            self._prefix_keys = {"version": version}
        if domain not in self._prefix_keys:
            codes = self.catalog_codes[self.domain_slice(domain)]
            group, keys = codes.new_zeros(len(codes)), []
            for level, size in enumerate(self.config.codebook_sizes):
                unique, group = torch.unique(group * size + codes[:, level], return_inverse=True)
                keys.append(unique)
            shared = len(keys[-1]) < len(codes)
            first = codes.new_full((len(keys[-1]),), len(codes)).scatter_reduce(
                0, group, torch.arange(len(codes), device=codes.device), "amin"
            )
            self._prefix_keys[domain] = {
                "keys": keys,
                "group": group,
                "first": first,
                "shared": shared,
            }
        return self._prefix_keys[domain]

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
        return state @ self.head.decoder.weight[tokens].T + self.head.bias[tokens]

    def _catalog_logits(self, states: torch.Tensor, items: torch.Tensor | slice) -> torch.Tensor:
        """Logits of items, `[rows, items]`, from transformed states `[rows, levels or 1, hidden]`."""
        codes = self.catalog_codes[items]
        if states.shape[1] == 1:
            tokens = codes + codes.new_tensor(self.config.level_offsets)
            vectors = nn.functional.embedding(tokens, self.head.decoder.weight).sum(dim=1)
            logits = states[:, 0] @ vectors.T + self.head.bias[tokens].sum(dim=1)
        else:
            logits = sum(
                self._level_logits(states, level)[:, codes[:, level]]
                for level in range(self.config.num_levels)
            )
        return logits

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

    def _codes_loss(self, states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum of eq. 11's cross-entropies over the masked tokens."""
        loss = states.new_zeros((), dtype=torch.float32)
        for level, start in enumerate(self.config.level_offsets):
            target = torch.where(labels[:, level] >= 0, labels[:, level] - start, -100)
            logits = self._level_logits(states, level).float()
            loss = loss + nn.functional.cross_entropy(logits, target, reduction="sum")
        return loss

    def _catalog_loss(
        self,
        states: torch.Tensor,
        labels: torch.Tensor,
        domains: torch.Tensor,
        bias_only: bool = False,
    ) -> torch.Tensor:
        """Sum of the cross-entropies over the items of each row's domain, one a masked item.

        With `bias_only` nothing but the item bias learns from it.
        """
        loss = states.new_zeros((), dtype=torch.float32)
        for domain in torch.unique(domains).tolist():
            rows = domains == domain
            codes = labels[rows] - labels.new_tensor(self.config.level_offsets)
            group = self._find_items(codes, domain)
            if (group < 0).any():
                missing = codes[group < 0][0].tolist()
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
        index = self._catalog_index(domain)
        rows = self.domain_slice(domain)
        size = rows.stop - rows.start
        sampled = self.config.num_sampled_items

        def item_logits(items: torch.Tensor | slice) -> torch.Tensor:
            logits = self._catalog_logits(states, items)
            return self._with_bias(logits.detach() if bias_only else logits, items).float()

        if sampled is None or sampled >= size or not self.training or index["shared"]:
            logits = item_logits(rows)
            if not index["shared"]:
                target = index["first"][group]
                return nn.functional.cross_entropy(logits, target, reduction="sum")
            # Items that share an ID cannot be told apart by their label: their mass is one.
            own = index["group"][None, :] == group[:, None]
            mass = logits.masked_fill(~own, float("-inf")).logsumexp(dim=1)
            return (logits.logsumexp(dim=1) - mass).sum()
        targets, place = torch.unique(index["first"][group], return_inverse=True)
        drawn = torch.unique(torch.randint(size, (sampled,), device=targets.device))
        drawn = drawn[~torch.isin(drawn, targets)]
        items = torch.cat([targets, drawn]) + rows.start
        logits = item_logits(items)
        if len(drawn):
            # The drawn items stand for all others: each counts for as many as it represents.
            weight = torch.tensor((size - len(targets)) / len(drawn), device=logits.device).log()
            logits = torch.cat([logits[:, : len(targets)], logits[:, len(targets) :] + weight], 1)
        return nn.functional.cross_entropy(logits, place, reduction="sum")

    def _with_bias(self, logits: torch.Tensor, items: torch.Tensor | slice) -> torch.Tensor:
        return logits if self.item_bias is None else logits + self.item_bias[items]

    def _loss(self, states, labels, domain_ids, num_items_in_batch):
        levels = self.config.num_levels
        labels = labels.view(labels.shape[0], -1, levels)
        masked = (labels >= 0).any(dim=2)
        domains = self._domains(domain_ids, labels.shape[0])[:, None].expand(masked.shape)[masked]
        states, labels = self.head.transform(states[masked]), labels[masked]
        num_tokens = (labels >= 0).sum()
        if self.config.objective == "catalog":
            self._require_catalog()
            loss = self._catalog_loss(states, labels, domains) * levels
        else:
            loss = self._codes_loss(states, labels)
            whole = (labels >= 0).all(dim=1)
            if self.item_bias is not None and len(self.item_bias) and whole.any():
                bias_loss = levels * self._catalog_loss(
                    states[whole], labels[whole], domains[whole], bias_only=True
                )
                # A gradient for the item bias alone; the loss that is shown stays eq. 11.
                loss = loss + bias_loss - bias_loss.detach()
        count = num_tokens.clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        return loss / count

    def _require_catalog(self):
        if not len(self.catalog_codes):
            raise ValueError(
                "the model has no catalogue yet; call model.set_catalog(codes) with the semantic "
                "IDs of the items"
            )

    def _domains(self, domain_ids: torch.Tensor | None, batch: int) -> torch.Tensor:
        if domain_ids is not None:
            return domain_ids
        if len(self.config.num_items) > 1:
            raise ValueError(
                f"the catalogue holds {len(self.config.num_items)} domains; give domain_ids [batch]"
            )
        return torch.zeros(batch, dtype=torch.long, device=self.device)

    # -- calls -----------------------------------------------------------------------------------

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        domain_ids: torch.LongTensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs,
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
            ValueError: lengths that are no multiple of K, an item that the catalogue lacks.
        """
        outputs = self.qbert4rec(input_ids, attention_mask=attention_mask, **kwargs)
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

        Source: section 3.6, "argmax over the catalogue".
        """
        self._require_catalog()
        batch, levels = input_ids.shape[0], self.config.num_levels
        if attention_mask is None:
            attention_mask = (input_ids != self.config.pad_token_id).long()
        if input_ids.shape[1] > levels * self.config.max_items:
            input_ids, attention_mask = self._latest_items(input_ids, attention_mask)
        query = input_ids.new_full((batch, levels), self.config.mask_token_id)
        hidden = self.qbert4rec(
            torch.cat([input_ids, query], dim=1),
            attention_mask=torch.cat([attention_mask, torch.ones_like(query)], dim=1),
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
        shape = (input_ids.shape[0], -1, self.config.num_levels)
        items, mask = input_ids.view(shape), attention_mask.view(shape)
        # A stable sort by "is an item" moves padding to the front and keeps the items in order.
        order = mask.amax(dim=2).sort(dim=1, stable=True).indices[:, -self.config.max_items :]
        order = order[:, :, None].expand(-1, -1, self.config.num_levels)
        return items.gather(1, order).flatten(1), mask.gather(1, order).flatten(1)

    def _domain_scores(self, states: torch.Tensor, domain: int) -> torch.Tensor:
        items = self.domain_slice(domain)
        logits = self._with_bias(self._catalog_logits(states, items), items)
        return logits.float().log_softmax(dim=1)


__all__ = [
    "QBert4RecForMaskedLM",
    "QBert4RecMaskedLMOutput",
    "QBert4RecModel",
    "QBert4RecPreTrainedModel",
]

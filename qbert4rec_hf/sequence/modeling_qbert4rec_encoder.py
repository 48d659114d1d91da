"""The encoder of the sequence model (stage 3) and its head: token ids in, hidden states out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.output_capturing import capture_outputs

from .configuration_qbert4rec import QBert4RecConfig


class QBert4RecEmbeddings(nn.Module):
    """Tokens and positions; `"grouped"` adds an item's K token embeddings into one position."""

    def __init__(self, config: QBert4RecConfig) -> None:
        super().__init__()
        self.config = config
        self.word_embeddings = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_items + 1, config.hidden_size)
        if config.item_encoding == "tokens":
            self.level_embeddings = nn.Embedding(config.num_levels, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        input_ids: torch.Tensor,
        item_mask: torch.Tensor,
        item_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        Args:
            input_ids (`[batch, items, levels]`): token ids.
            item_mask (`[batch, items]`): 1 where an item stands, 0 for padding.
            item_embeds (`[batch, items, hidden]`, *optional*): added to the items' tokens.

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
        if item_embeds is not None:
            position = position + item_embeds
        words = self.word_embeddings(input_ids)
        if self.config.item_encoding == "grouped":
            hidden = words.sum(dim=2) + position
        else:
            hidden = words + position[:, :, None] + self.level_embeddings.weight
            hidden = hidden.flatten(1, 2)
        return self.dropout(hidden)


def check_whole_items(input_ids: torch.Tensor, levels: int) -> None:
    """Raises ValueError unless rows of `[batch, tokens]` are whole items of `levels` tokens."""
    if input_ids.shape[1] % levels:
        raise ValueError(
            f"input_ids has {input_ids.shape[1]} tokens a row, which is no multiple of the "
            f"{levels} levels of a semantic ID; give whole items and no further specials"
        )


def take_positions(states: torch.Tensor, read: torch.Tensor, dim: int) -> torch.Tensor:
    """Those in `read` (`[batch, read]`) of the positions, which lie along `dim` of the states."""
    shape = [1] * states.dim()
    shape[0], shape[dim] = read.shape
    return states.take_along_dim(read.view(shape), dim=dim)


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

    def __init__(self, config: QBert4RecConfig) -> None:
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
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        read: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Maps `[batch, positions, hidden]` to the same shape; weights too where they exist.

        With `read` (`[batch, read]`) only those positions look around: `[batch, read, hidden]`.
        """
        batch, positions, _ = hidden_states.shape
        mixed = self.query_key_value(hidden_states)
        query, key, value = mixed.view(batch, positions, 3, -1, self.head_size).permute(
            2, 0, 3, 1, 4
        )
        if read is not None:
            query = take_positions(query, read, dim=2)
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
        return self.output(context.flatten(2)), weights


class QBert4RecLayer(GradientCheckpointingLayer):
    """A pre-norm encoder layer: attention, then feed-forward, each with a residual."""

    def __init__(self, config: QBert4RecConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = QBert4RecAttention(config)
        self.intermediate_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        read: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Maps `[batch, positions, hidden]` to the same shape, or to `[batch, read, hidden]`."""
        context, _ = self.attention(
            self.attention_norm(hidden_states), attention_mask, read, **kwargs
        )
        if read is not None:
            hidden_states = take_positions(hidden_states, read, dim=1)
        hidden_states = hidden_states + self.dropout(context)
        inner = self.activation(self.intermediate(self.intermediate_norm(hidden_states)))
        return hidden_states + self.dropout(self.output(inner))


class QBert4RecHead(nn.Module):
    """From hidden states to logits of each level's tokens; weights shared with the embeddings."""

    def __init__(self, config: QBert4RecConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACT2FN[config.hidden_act]
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def transform(self, hidden: torch.Tensor) -> torch.Tensor:
        """Maps `[..., hidden]` to the space of the decoder's rows."""
        return self.norm(self.activation(self.dense(hidden)))


class QBert4RecPreTrainedModel(PreTrainedModel):
    """Loading, saving and initial weights of the family."""

    config_class = QBert4RecConfig
    base_model_prefix = "qbert4rec"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["QBert4RecEmbeddings", "QBert4RecLayer"]
    _can_record_outputs = {"hidden_states": QBert4RecLayer, "attentions": QBert4RecAttention}

    # Where the Auto classes find the code of a saved folder, beside the class that was saved.
    _code: dict[str, str] = {"AutoModel": "modeling_qbert4rec_encoder.QBert4RecModel"}

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        super()._init_weights(module)
        if isinstance(module, nn.Linear) and module.bias is not None:
            # BERT's 0.02 suits 768 dimensions. In narrow layers it makes every block a whisper
            # beside the residual; this keeps the scale at any width. (The decoder has no bias: its
            # weights are the embeddings.)
            init.normal_(module.weight, std=module.in_features**-0.5)

    def set_dropout(self, probability: float) -> None:
        """Another dropout for further training, on hidden states and attention alike.

        Args:
            probability: from 0 to below 1.

        Raises:
            ValueError: the probability is outside that range; the model is unchanged then.
        """
        if not 0 <= probability < 1:
            raise ValueError(f"probability must lie in [0, 1), got {probability}")
        self.config.hidden_dropout_prob = probability
        self.config.attention_probs_dropout_prob = probability
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = probability
            elif isinstance(module, QBert4RecAttention):
                module.dropout_prob = probability

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """As in transformers; the folder holds the code too and opens without this package."""
        # Set afresh: a model that came from the Hub would go on pointing at its old repository.
        self.config.auto_map = dict(self._code)
        pipelines = getattr(self.config, "custom_pipelines", None)
        if not pipelines:
            return super().save_pretrained(save_directory, **kwargs)
        # A folder names no code that it lacks: a pipeline's is there if the pipeline is saved.
        folder = Path(save_directory)
        self.config.custom_pipelines = {
            task: about
            for task, about in pipelines.items()
            if (folder / f"{about['impl'].partition('.')[0]}.py").is_file()
        }
        try:
            return super().save_pretrained(save_directory, **kwargs)
        finally:
            # That folder lacks it, and the next one may have it.
            self.config.custom_pipelines = pipelines


class QBert4RecModel(QBert4RecPreTrainedModel):
    """The bare encoder: token ids in, one hidden state a position out.

    Items are positions under `item_encoding="grouped"`; under `"tokens"` every token is one.
    Source: section 3.5 (BERT-style encoder); grouping is ours.

    Example:
        >>> import torch
        >>> from qbert4rec_hf import QBert4RecConfig, QBert4RecModel
        >>> model = QBert4RecModel(QBert4RecConfig(codebook_sizes=[4, 4], hidden_size=8)).eval()
        >>> history = torch.tensor([[3, 7, 6, 9]])  # two items of two tokens
        >>> model(history).last_hidden_state.shape
        torch.Size([1, 2, 8])
    """

    # A checkpoint of the whole model also holds the catalogue, which the encoder has no use for.
    _keys_to_ignore_on_load_unexpected = {
        r"catalog_codes",
        r"item_bias",
        r"item_embeddings",
        r"^head\.",
    }

    def __init__(self, config: QBert4RecConfig) -> None:
        super().__init__(config)
        self.embeddings = QBert4RecEmbeddings(config)
        self.layers = nn.ModuleList(
            [QBert4RecLayer(config) for _ in range(config.num_hidden_layers)]
        )
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """The embeddings of the tokens."""
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replaces the embeddings of the tokens."""
        self.embeddings.word_embeddings = value

    @capture_outputs
    def forward(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        item_embeds: torch.Tensor | None = None,
        read_items: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """
        Args:
            input_ids (`[batch, items * levels]`): token ids, K an item.
            attention_mask (`[batch, items * levels]`, *optional*): 1 for tokens, 0 for padding;
                without it, `[PAD]` tokens are padding.
            item_embeds (`[batch, items, hidden]`, *optional*): what [`QBert4RecForMaskedLM`] knows
                of single items beside their codes (`config.item_embeddings`).
            read_items (`[batch, read]`, *optional*): positions of the items whose states are
                wanted; all without them. The last layer, which nothing follows, computes no others:
                with two layers, and one item read of 20, that is a third of the work.

        Returns:
            `last_hidden_state`: `[batch, items, hidden]`, or `[batch, items * levels, hidden]` for
            the token-level encoding; with `read_items` those of the read items, in their order.

        Raises:
            ValueError: the length is no multiple of K, or more items than `max_items` + 1.
        """
        levels = self.config.num_levels
        check_whole_items(input_ids, levels)
        if attention_mask is None:
            attention_mask = input_ids != self.config.pad_token_id
        items = input_ids.view(input_ids.shape[0], -1, levels)
        item_mask = attention_mask.view(items.shape).amax(dim=2).long()
        hidden = self.embeddings(items, item_mask, item_embeds)
        if self.config.item_encoding == "tokens":
            item_mask = item_mask.repeat_interleave(levels, dim=1)
        mask = create_bidirectional_mask(
            config=self.config, inputs_embeds=hidden, attention_mask=item_mask
        )
        read = read_items
        if read is not None and self.config.item_encoding == "tokens":
            read = (levels * read[:, :, None] + torch.arange(levels, device=read.device)).flatten(1)
        for layer in self.layers[:-1]:
            hidden = layer(hidden, mask, **kwargs)
        if read is not None and mask is not None:
            # Whoever looks sees the same: whatever their number, one row will do.
            mask = mask[:, :, :1]
        for layer in self.layers[-1:]:
            hidden = layer(hidden, mask, read, **kwargs)
        if read is not None and not self.layers:
            hidden = take_positions(hidden, read, dim=1)
        return BaseModelOutput(last_hidden_state=self.norm(hidden))


QBert4RecModel.register_for_auto_class("AutoModel")

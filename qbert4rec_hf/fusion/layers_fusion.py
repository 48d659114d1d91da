"""Building blocks of the fusion model: alignment, cross-attention, block and stop gate."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .configuration_fusion import QBert4RecFusionConfig


def eager_attention_forward(module, query, key, value, attention_mask, scaling, dropout, **kwargs):
    """Attention written out; same arguments and result as the fast ones of transformers."""
    weights = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        weights = weights + attention_mask
    weights = F.dropout(weights.softmax(dim=-1), p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


class QBert4RecProjection(nn.Linear):
    """A linear map that starts as a rotation, or as a projection onto fewer axes.

    Its own class, since transformers initialises modules with parameters of their own only.
    """


class QBert4RecModalityAlignment(nn.Module):
    """Takes one modality into the shared space and pools an item's vectors of it (equation 3).

    Features are normalised, projected and normalised again, so that the dot product of the
    equation is the cosine that the text names.
    """

    def __init__(self, input_size: int, config: QBert4RecFusionConfig):
        super().__init__()
        self.projection = QBert4RecProjection(input_size, config.hidden_size, bias=False)
        self.temperature = config.attention_temperature

    def forward(
        self, features: torch.Tensor, mask: torch.Tensor, query: torch.Tensor
    ) -> torch.Tensor:
        """Pools `[items, vectors, features]` by a query `[items, hidden]` to `[items, hidden]`.

        The result has unit length, or is zero where `mask` `[items, vectors]` has no vector.
        """
        # Whatever stands in a masked place, NaN included, must not reach the sum.
        features = torch.where(mask[..., None], features, 0.0).to(self.projection.weight.dtype)
        aligned = F.normalize(self.projection(F.normalize(features, dim=-1)), dim=-1)
        cosine = (F.normalize(query, dim=-1)[:, None] * aligned).sum(-1)
        scores = (cosine / self.temperature).masked_fill(~mask, torch.finfo(cosine.dtype).min)
        pooled = (scores.softmax(dim=-1)[..., None] * aligned).sum(1)
        return F.normalize(pooled, dim=-1)


class QBert4RecCrossAttention(nn.Module):
    """Multi-head attention of an item's state over its modality vectors."""

    is_causal = False
    num_key_value_groups = 1

    def __init__(self, config: QBert4RecFusionConfig):
        super().__init__()
        self.config = config
        self.head_size = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_size**-0.5
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, hidden: torch.Tensor, content: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """`hidden [items, hidden]` over `content [items, modalities, hidden]` with its `mask`."""
        query, key, value = (
            states.unflatten(-1, (-1, self.head_size)).transpose(1, 2)
            for states in (self.query(hidden)[:, None], self.key(content), self.value(content))
        )
        has_content = mask.any(-1, keepdim=True)
        # An item without content attends to nothing; its row is opened and its result dropped.
        blocked = torch.zeros_like(mask, dtype=query.dtype).masked_fill(
            ~(mask | ~has_content), torch.finfo(query.dtype).min
        )
        attention = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        attended, _ = attention(
            self, query, key, value, blocked[:, None, None], scaling=self.scaling, dropout=0.0
        )
        return self.output(attended.flatten(1)) * has_content.to(attended.dtype)


class QBert4RecFusionLayer(GradientCheckpointingLayer):
    """A transformer block with layer norm first: cross-attention, then feed-forward (eq. 4)."""

    def __init__(self, config: QBert4RecFusionConfig):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = QBert4RecCrossAttention(config)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps),
            nn.Linear(config.hidden_size, config.intermediate_size),
            nn.GELU(),
            nn.Linear(config.intermediate_size, config.hidden_size),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, hidden: torch.Tensor, content: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Returns the next state `[items, hidden]`."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), content, mask))
        return hidden + self.dropout(self.feed_forward(hidden))


class QBert4RecStopGate(nn.Module):
    """The gating vector g = sigmoid(MLP(h)) of a layer, and the item's probability to stop.

    The paper asks for a decision finer than the mean of the vector: its channels are weighed by
    learned weights that sum to one. The weighed sum is then set against the population of items
    (batch normalisation), so that a gate tells items apart from the first step on instead of
    sending all of them the same way.
    """

    def __init__(self, config: QBert4RecFusionConfig):
        super().__init__()
        width = max(config.hidden_size // 4, 1)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = nn.Sequential(
            nn.Linear(config.hidden_size, width), nn.GELU(), nn.Linear(width, config.hidden_size)
        )
        self.channel_weight = nn.Parameter(torch.zeros(config.hidden_size))
        self.population = nn.BatchNorm1d(1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`[items, hidden]` to a probability `[items]`."""
        gate = self.mlp(self.norm(hidden)).sigmoid()
        score = gate @ self.channel_weight.softmax(dim=0)
        population = self.population
        # A single item is no population: it is set against those seen before.
        normalized = F.batch_norm(
            score[:, None],
            population.running_mean,
            population.running_var,
            population.weight,
            population.bias,
            training=self.training and len(score) > 1,
            momentum=population.momentum,
            eps=1e-8,
        )
        return normalized[:, 0].sigmoid()

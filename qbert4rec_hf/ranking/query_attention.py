"""Where the query of the next item looks in a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM


@torch.no_grad()
def query_attention(
    model: QBert4RecForMaskedLM, tokens: torch.Tensor, domain: int = 0
) -> torch.Tensor:
    """The attention that the query pays to each item of one history.

    It tells what was read, not what decided: deeper layers attend to states in which the items have
    been mixed already, and a large weight on a state that says little changes little. What an item
    did to a score is measured by leaving it out.

    The weights are computed beside the forward pass, so the model keeps its attention
    implementation, and several threads may ask at once.

    Args:
        model: in evaluation mode.
        tokens: `[items, levels]` token ids, oldest first, at most `max_items` of them.
        domain: number of the items' domain in the model's catalogue.

    Returns:
        `[items + 1]` float32, the mean over layers and heads; the last one is the query itself, and
        all sum to one. Where every token is a position of its own, those of an item are added up
        and those of the query averaged.
    """
    config = model.config
    query = tokens.new_full((1, config.num_levels), config.mask_token_id)
    items = torch.cat([tokens, query])[None].to(model.device)
    encoder = model.qbert4rec
    # A single history has no padding, so that no layer needs a mask.
    own = model._own_vectors(items.flatten(1), torch.full_like(items[:, 0, 0], domain))
    hidden = encoder.embeddings(items, torch.ones_like(items[:, :, 0]), own)
    asking = config.num_levels if config.item_encoding == "tokens" else 1
    total = hidden.new_zeros(hidden.shape[1], dtype=torch.float32)
    for layer in encoder.layers:
        total += _weights(layer, hidden, asking)
        hidden = layer(hidden)
    return (total / len(encoder.layers)).view(items.shape[1], -1).sum(dim=1).cpu()


def _weights(layer: torch.nn.Module, hidden: torch.Tensor, asking: int) -> torch.Tensor:
    """Attention `[positions]` of the last `asking` positions, the mean over them and the heads."""
    attention = layer.attention
    mixed = attention.query_key_value(layer.attention_norm(hidden))
    mixed = mixed.view(hidden.shape[1], 3, -1, attention.head_size)
    query, key = mixed[-asking:, 0].float(), mixed[:, 1].float()
    weights = torch.einsum("qhd,khd->qhk", query, key) * attention.scaling
    return weights.softmax(dim=-1).mean(dim=(0, 1))

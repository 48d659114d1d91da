"""What the codes of a quantizer are worth, and the rule that picks a checkpoint by it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel, codebook_use
from .named_losses import Figures


def count_collisions(codes: torch.Tensor, groups: torch.Tensor | None = None) -> int:
    """Number of items that share their codes with another.

    Args:
        codes: `[items, levels]`.
        groups: `[items]`, domain of each item; codes may repeat in another domain.
    """
    if groups is not None:
        codes = torch.cat([groups[:, None].to(codes), codes], dim=1)
    _, counts = codes.unique(dim=0, return_counts=True)
    return int(counts[counts > 1].sum())


def view_agreement(first: torch.Tensor, second: torch.Tensor) -> list[float]:
    """Share of items whose first 1, 2, ... K codes are equal in both `[items, levels]`."""
    return (first == second).int().cumprod(dim=1).float().mean(0).tolist()


def quantizer_figures(
    model: QBert4RecQuantizerModel,
    views: Sequence[torch.Tensor],
    groups: torch.Tensor | None = None,
) -> Figures:
    """Measures a quantizer over all items.

    Args:
        model: in evaluation mode.
        views: embeddings of the same items `[items, input]`; the first is the one that the items'
            semantic IDs are made from.
        groups: domain of each item.

    Returns:
        `collisions` (items that share their codes in the first view) and their share
        `collision_rate`; `reconstruction`, the share of variance that the codes miss, mean over
        the views; `usage` and `perplexity` of each level in the first view; `view_agreement`, the
        share of items whose first 1, 2, ... K codes agree in the first two views.
    """
    codes, missed = [], []
    for view in views:
        found = [
            model(rows.to(model.device), return_loss=False).codes.cpu() for rows in view.split(4096)
        ]
        codes.append(torch.cat(found))
        error = (model.decode(codes[-1].to(model.device)).cpu() - view).square().mean()
        missed.append(float(error / model.input_scale.cpu().square()))
    collisions = count_collisions(codes[0], groups)
    usage, perplexity = codebook_use(codes[0], model.codebook_sizes)
    figures: Figures = {
        "collisions": collisions,
        "collision_rate": collisions / len(codes[0]),
        "reconstruction": sum(missed) / len(missed),
        "usage": usage.tolist(),
        "perplexity": perplexity.tolist(),
    }
    if len(views) > 1:
        figures["view_agreement"] = view_agreement(codes[0], codes[1])
    return figures


def checkpoint_score(rule: str, figures: Figures) -> float:
    """The number by which a checkpoint is chosen; the lowest is kept, the earliest among equals.

    Args:
        rule: `checkpoint_rule` of the quantizer's configuration, where each is explained; not
            "last", which needs no number.
        figures: of `quantizer_figures`. A figure that is not a number never wins.
    """
    collisions, missed = figures["collision_rate"], figures["reconstruction"]
    if not math.isfinite(missed):
        return math.inf
    # The second figure only decides between equals; a millionth cannot outweigh one collision.
    tie_break = 1e-6
    return {
        "collisions+reconstruction": collisions + missed,
        "collisions": collisions + tie_break * missed / (1 + missed),
        "reconstruction": missed + tie_break * collisions,
    }[rule]

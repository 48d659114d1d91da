"""Loss terms of the fusion model."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def info_nce(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """Symmetric InfoNCE between two views of the same items, other items as negatives.

    Args:
        first, second: `[items, hidden]`, row by row the same item.
        temperature: the cosines are divided by it.

    Returns:
        A scalar; exactly 0 for fewer than two items, where there is nothing to tell apart.
    """
    if len(first) < 2:
        return (first.sum() + second.sum()) * 0.0
    logits = F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T / temperature
    target = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def truncated_geometric(mean: float, length: int) -> list[float]:
    """A geometric distribution over 1..length, cut off and scaled to have the given mean.

    Found by bisection on the ratio of neighbouring probabilities, which may exceed 1 for means
    above the middle.
    """
    low, high = 1e-4, 1e4
    for _ in range(100):
        ratio = (low * high) ** 0.5
        weights = [ratio**n for n in range(length)]
        found = sum((n + 1) * weight for n, weight in enumerate(weights)) / sum(weights)
        low, high = (ratio, high) if found < mean else (low, ratio)
    return [weight / sum(weights) for weight in weights]


def depth_divergence(gates: torch.Tensor, expected_depth: float) -> torch.Tensor:
    """How far the items, taken together, are from using the wanted number of layers.

    Args:
        gates: probability of stopping after each layer, given that an item came so far
            `[items, layers]`; 1 for the last.
        expected_depth: mean number of layers wanted.

    Returns:
        KL divergence of the items' mean stopping distribution from a truncated geometric one.
    """
    left_before = torch.cat(
        [torch.ones_like(gates[:, :1]), (1 - gates).cumprod(dim=1)[:, :-1]], dim=1
    )
    used = (gates * left_before).mean(0)
    wanted = truncated_geometric(expected_depth, gates.shape[1])
    wanted = torch.tensor(wanted, dtype=used.dtype, device=used.device)
    return (used * (used.clamp(min=1e-6) / wanted).log()).sum()

"""K-means, seeded and in torch, for codebooks."""

from __future__ import annotations

import torch

# Points a centroid beyond which more of them no longer move it.
POINTS_PER_CENTROID = 256


def squared_distances(points: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances `[points, centroids]`, never below zero."""
    product = points @ centroids.T
    squares = (points**2).sum(1, keepdim=True) + (centroids**2).sum(1)
    return (squares - 2 * product).clamp(min=0)


@torch.no_grad()
def k_means(
    points: torch.Tensor, num_centroids: int, *, iterations: int = 20, seed: int = 0
) -> torch.Tensor:
    """Lloyd's algorithm from a k-means++ start.

    Args:
        points: `[points, axes]`. Of very many, a sample drawn by the seed is used.
        num_centroids: how many to find. If there are fewer distinct points, the rest are copies.
        iterations: rounds at most; it ends before when nothing moves.
        seed: the same seed and points give the same centroids.

    Returns:
        Centroids `[num_centroids, axes]`.
    """
    generator = torch.Generator().manual_seed(seed)
    limit = POINTS_PER_CENTROID * num_centroids
    if len(points) > limit:
        points = points[torch.randperm(len(points), generator=generator)[:limit].to(points.device)]
    centroids = _spread_start(points, num_centroids, generator)
    previous = None
    for _ in range(iterations):
        nearest, assignment = squared_distances(points, centroids).min(dim=1)
        if previous is not None and torch.equal(assignment, previous):
            break
        previous = assignment
        counts = torch.bincount(assignment, minlength=num_centroids)
        sums = torch.zeros_like(centroids).index_add_(0, assignment, points)
        centroids = torch.where(
            counts[:, None] > 0, sums / counts.clamp(min=1)[:, None].to(sums.dtype), centroids
        )
        empty = (counts == 0).nonzero().flatten()
        # An empty cluster goes to where the others fit worst.
        farthest = nearest.topk(min(len(empty), len(points)))
        useful = farthest.values > 0
        centroids[empty[: len(useful)][useful]] = points[farthest.indices[useful]]
    return centroids


def _spread_start(
    points: torch.Tensor, num_centroids: int, generator: torch.Generator
) -> torch.Tensor:
    """K-means++: each next point is drawn in proportion to its squared distance from the rest."""
    first = int(torch.randint(len(points), (1,), generator=generator))
    chosen = [first]
    # Distances here are exact differences: a point is at 0 from itself and is not drawn again.
    distances = ((points - points[first]) ** 2).sum(1)
    for _ in range(num_centroids - 1):
        cumulative = distances.double().cumsum(0)
        if not cumulative[-1] > 0:
            break
        draw = torch.rand(1, generator=generator, dtype=torch.float64).to(points.device)
        index = torch.searchsorted(cumulative, draw * cumulative[-1], right=True)
        chosen.append(min(int(index), len(points) - 1))
        distances = torch.minimum(distances, ((points - points[chosen[-1]]) ** 2).sum(1))
    chosen += chosen[:1] * (num_centroids - len(chosen))
    return points[torch.tensor(chosen, device=points.device)].clone()

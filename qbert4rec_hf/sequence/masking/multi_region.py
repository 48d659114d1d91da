"""Multi-region mask: several short runs apart from each other."""

from __future__ import annotations

import numpy as np

from .counts import hidden_counts


def mask_regions(
    lengths: np.ndarray,
    ratio: float,
    generator: np.random.Generator,
    *,
    num_regions: int = 3,
) -> np.ndarray:
    """Hides up to `num_regions` runs with at least one visible item between them.

    The hidden items are dealt out to as many regions as there are items to hide and gaps to keep
    them apart; in a row where a single item is hidden this is one region of one item. Places are
    uniform over all arrangements of the regions.

    Args:
        lengths (`[batch]`): items of each row.
        ratio: share of items to hide in all regions together (the paper: 0.15).
        generator: source of number, sizes and places.
        num_regions: the most regions a row.

    Returns:
        `[batch, max(lengths)]` bool, True where hidden.

    Source: section 3.5, multi-region mask; how many regions is not said there.
    """
    counts = hidden_counts(lengths, ratio, generator)
    visible = lengths - counts
    regions = np.minimum(np.minimum(num_regions, counts), visible + 1)
    width = int(lengths.max(initial=0))
    mask = np.zeros((len(lengths), width), dtype=bool)
    # Region r of a row is `sizes` long and stands after `before` visible items. Distinct values of
    # `before` keep regions apart, since at least one visible item lies between two of them.
    before = _draw_distinct(visible + 1, regions, num_regions, generator)
    sizes = _deal(counts, regions, num_regions, generator)
    columns = np.arange(width)
    hidden_so_far = np.zeros(len(lengths), dtype=np.int64)
    for region in range(num_regions):
        start = before[:, region] + hidden_so_far
        used = region < regions
        stop = start + sizes[:, region]
        mask |= used[:, None] & (columns >= start[:, None]) & (columns < stop[:, None])
        hidden_so_far += sizes[:, region]
    return mask


def _draw_distinct(
    sizes: np.ndarray, draws: np.ndarray, width: int, generator: np.random.Generator
) -> np.ndarray:
    """`[rows, width]`: the first `draws` columns are distinct numbers below `sizes`, ascending."""
    columns = np.arange(max(int(sizes.max(initial=0)), width))
    order = generator.random((len(sizes), len(columns)))
    order[columns >= sizes[:, None]] = 2.0
    chosen = order.argsort(axis=1)[:, :width]
    chosen[np.arange(width) >= draws[:, None]] = len(columns)
    return np.sort(chosen, axis=1)


def _deal(
    counts: np.ndarray, regions: np.ndarray, width: int, generator: np.random.Generator
) -> np.ndarray:
    """`[rows, width]`: `counts` split into `regions` positive parts, zero beyond."""
    # Cutting a row of items at distinct places gives every split into positive parts alike.
    cuts = _draw_distinct(counts - 1, regions - 1, max(width - 1, 1), generator) + 1
    cuts = cuts[:, : width - 1]
    last = np.arange(width - 1) >= (regions - 1)[:, None]
    cuts = np.where(last, counts[:, None], cuts)
    edges = np.concatenate([np.zeros((len(counts), 1), np.int64), cuts, counts[:, None]], axis=1)
    return np.diff(edges, axis=1)

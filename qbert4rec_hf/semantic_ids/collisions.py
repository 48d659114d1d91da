"""Making semantic IDs unique: colliding items move to the nearest free code."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import QBert4RecError

Distances = np.ndarray | Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ReallocationResult:
    """Unique semantic IDs and how they came about.

    Attributes:
        codes: `[items, levels]` int64, no two rows alike and none in `fixed`.
        moved: `[items]`, whether the item's ID differs from the quantizer's.
        level_of_change: `[items]`, the first level that differs; `levels` where none does.
        num_collisions_before: items that shared their ID with another item before.
        duplicate_groups: groups of item rows whose distances agree in every number: very likely one
            product under several ids.
    """

    codes: np.ndarray
    moved: np.ndarray
    level_of_change: np.ndarray
    num_collisions_before: int
    duplicate_groups: list[np.ndarray]


def reallocate(
    codes: np.ndarray,
    distances: Distances,
    codebook_sizes: Sequence[int],
    *,
    fixed: np.ndarray | None = None,
) -> ReallocationResult:
    """Gives every item an ID of its own.

    Of the items that share an ID, the one closest to a codeword of the last level keeps it. The
    others, in the order of that distance, take the nearest free code of the last level; where all
    are taken, the nearest code of the level above whose subtree has room, and so on upwards.
    Items with an ID of their own never move.

    Args:
        codes: `[items, levels]`, from the quantizer.
        distances: `[items, levels, codebook]`, from each level's residual to its codewords, or a
            function from item rows `[n]` to `[n, levels, codebook]` (only colliding items are
            asked for, which spares memory).
        codebook_sizes: codes of each level.
        fixed: `[present items, levels]`, IDs that are taken and stay as they are.

    Returns:
        The IDs and a report.

    Raises:
        QBert4RecError: more items than IDs, or codes outside their codebook.

    Source: section 3.4, equation 10, after MQL4GRec.
    """
    codes = np.ascontiguousarray(codes, dtype=np.int64)
    sizes = [int(size) for size in codebook_sizes]
    fixed = np.empty((0, len(sizes)), np.int64) if fixed is None else np.asarray(fixed, np.int64)
    check_codes(codes, sizes)
    total = len(codes) + len(np.unique(fixed, axis=0))
    if total > math.prod(sizes):
        raise QBert4RecError(
            f"{total} items do not fit into the {math.prod(sizes)} semantic IDs of codebooks "
            f"{sizes}; use larger codebooks or more levels"
        )
    first, shared = _first_of_each(codes)
    taken = _is_in(codes, fixed)
    colliding = np.flatnonzero(shared | taken)
    moved = np.zeros(len(codes), dtype=bool)
    changed = np.full(len(codes), len(sizes))
    duplicates: list[np.ndarray] = []
    result = codes.copy()
    if len(colliding):
        lookup = distances if callable(distances) else distances.__getitem__
        of_colliding = np.asarray(lookup(colliding))
        nearest = of_colliding[:, -1, : sizes[-1]].min(axis=1)
        duplicates = _identical(colliding, of_colliding)
        # Closest first; equal distances in the order of the rows, so that nothing is left to luck.
        order = np.lexsort((colliding, nearest))
        stays = np.zeros(len(codes), dtype=bool)
        stays[np.setdiff1d(np.arange(len(codes)), colliding)] = True
        waiting, seen = [], set()
        for place in order:
            row = colliding[place]
            name = int(first[row])
            if taken[row] or name in seen:
                waiting.append(place)
            else:
                seen.add(name)
                stays[row] = True
        tree = _Tree(np.concatenate([codes[stays], np.unique(fixed, axis=0)]), sizes)
        for place in waiting:
            row = colliding[place]
            result[row] = tree.place(codes[row], of_colliding[place])
        moved = (result != codes).any(axis=1)
        changed[moved] = (result != codes)[moved].argmax(axis=1)
    return ReallocationResult(result, moved, changed, len(colliding), duplicates)


def check_codes(codes: np.ndarray, codebook_sizes: Sequence[int], where: str = "codes") -> None:
    """Raises QBert4RecError naming the first row whose codes are not in their codebooks."""
    if codes.ndim != 2 or codes.shape[1] != len(codebook_sizes):
        raise QBert4RecError(
            f"{where} must be [items, {len(codebook_sizes)}], got {list(codes.shape)}"
        )
    outside = (codes < 0) | (codes >= np.asarray(codebook_sizes))
    if outside.any():
        row, level = np.argwhere(outside)[0]
        raise QBert4RecError(
            f"{where} row {row}: code {codes[row, level]} of level {level} is outside its codebook "
            f"of {codebook_sizes[level]}"
        )


class _Tree:
    """How many IDs are taken below each prefix, and which children of a prefix are full."""

    def __init__(self, codes: np.ndarray, sizes: list[int]):
        self.sizes = sizes
        # IDs below a prefix of each length.
        self.room = [math.prod(sizes[level:]) for level in range(len(sizes) + 1)]
        self.count: dict[tuple, int] = defaultdict(int)
        self.full: dict[tuple, list[int]] = defaultdict(list)
        self.count[()] = len(codes)
        for length in range(1, len(sizes) + 1):
            prefixes, counts = np.unique(codes[:, :length], axis=0, return_counts=True)
            for prefix, count in zip(map(tuple, prefixes.tolist()), counts.tolist(), strict=True):
                self.count[prefix] = count
                if count >= self.room[length]:
                    self.full[prefix[:-1]].append(prefix[-1])

    def place(self, codes: np.ndarray, distances: np.ndarray) -> list[int]:
        """Takes the nearest free ID: last level first, then upwards. `distances [levels, codes]`"""
        own = tuple(codes.tolist())
        length = len(own) - 1
        while self.count[own[:length]] >= self.room[length]:
            length -= 1
        path = own[:length]
        for level in range(length, len(own)):
            options = distances[level, : self.sizes[level]].astype(np.float64)
            options[self.full[path]] = np.inf
            path = (*path, int(options.argmin()))
        self.count[()] += 1
        for length in range(1, len(path) + 1):
            self.count[path[:length]] += 1
            if self.count[path[:length]] == self.room[length]:
                self.full[path[: length - 1]].append(path[length - 1])
        return list(path)


def _first_of_each(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[items]` a number for each distinct ID, and whether another item has it too."""
    _, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    return inverse, counts[inverse] > 1


def _is_in(codes: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    if not len(fixed):
        return np.zeros(len(codes), dtype=bool)
    _, inverse = np.unique(np.concatenate([fixed, codes]), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    return np.isin(inverse[len(fixed) :], inverse[: len(fixed)])


def _identical(rows: np.ndarray, distances: np.ndarray) -> list[np.ndarray]:
    groups: dict[bytes, list[int]] = defaultdict(list)
    for row, of_row in zip(rows.tolist(), distances, strict=True):
        groups[np.ascontiguousarray(of_row).tobytes()].append(row)
    return [np.array(group) for group in groups.values() if len(group) > 1]

"""Making semantic IDs unique: colliding items move to the nearest free code."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import QBert4RecError

Distances = np.ndarray | Callable[[np.ndarray], np.ndarray]

# Items whose distances are looked at together; bounds memory when a function computes them.
_CHUNK = 4096


@dataclass(frozen=True)
class ReallocationResult:
    """Unique semantic IDs and how they came about.

    Attributes:
        codes: `[items, levels]` int64, no two rows alike and none in `fixed`.
        moved: `[items]`, whether the item's ID differs from the quantizer's.
        level_of_change: `[items]`, the first level that differs; `levels` where none does.
        num_collisions_before: items that shared their ID with another item, or had one that is
            fixed, before.
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

    Items are ranked by their distance to the nearest codeword of the last level. Of those that
    share an ID, the first keeps it, unless it is fixed. The others take the nearest free code of
    the last level, in the order of their rank. Those that find none go up a level: they take the
    nearest code there that has a free ID below it, then the nearest free codes below; and so on
    upwards. Items with an ID of their own never move, and the same input gives the same IDs.

    The distances are those to the residuals of the quantizer's own codes also for items that change
    an upper level, as in equation 10, where they are computed once.

    Args:
        codes: `[items, levels]`, from the quantizer. Items of one domain: IDs may recur in others.
        distances: `[items, levels, codebook]`, from each level's residual to its codewords, or a
            function from item rows `[n]` to `[n, levels, codebook]` (only colliding items are
            asked for, some thousands at a time, which spares memory). The last axis is as wide as
            the largest codebook; what lies beyond a level's own codebook is not looked at.
        codebook_sizes: codes of each level.
        fixed: `[present items, levels]`, IDs that are taken and stay as they are.

    Returns:
        The IDs and a report.

    Raises:
        QBert4RecError: more items than IDs, codes outside their codebook, distances of another
            shape or not finite.

    Source: section 3.4, equation 10, after MQL4GRec.
    """
    sizes = [int(size) for size in codebook_sizes]
    codes = np.ascontiguousarray(codes, dtype=np.int64)
    check_codes(codes, sizes)
    if fixed is None or not len(fixed):
        fixed = np.empty((0, len(sizes)), dtype=np.int64)
    else:
        check_codes(np.asarray(fixed), sizes, "fixed")
        fixed = np.unique(np.asarray(fixed, dtype=np.int64), axis=0)
    space, needed = math.prod(sizes), len(codes) + len(fixed)
    if needed > space:
        raise QBert4RecError(
            f"{needed} items do not fit into the {space} semantic IDs of codebooks {sizes}; use "
            "larger codebooks or more levels"
        )
    # A number for each distinct ID, fixed or not.
    _, numbers, counts = np.unique(
        np.concatenate([fixed, codes]), axis=0, return_inverse=True, return_counts=True
    )
    numbers = numbers.reshape(-1)
    is_fixed = np.zeros(len(counts), dtype=bool)
    is_fixed[numbers[: len(fixed)]] = True
    numbers = numbers[len(fixed) :]
    colliding = np.flatnonzero(counts[numbers] > 1)
    result = codes.copy()
    duplicates: list[np.ndarray] = []
    if len(colliding):
        table = _Distances(distances, len(codes), sizes)
        nearest, duplicates = table.survey(colliding)
        # Equal distances in the order of the rows, so that nothing is left to luck.
        ranked = colliding[np.argsort(nearest, kind="stable")]
        _, first = np.unique(numbers[ranked], return_index=True)
        keeps = np.zeros(len(codes), dtype=bool)
        keeps[ranked[first]] = True
        keeps[is_fixed[numbers]] = False
        keeps[counts[numbers] == 1] = True
        taken = np.concatenate([fixed, codes[keeps]])
        _move(result, ranked[~keeps[ranked]], taken, table, sizes)
    differs = result != codes
    moved = differs.any(axis=1)
    changed = np.where(moved, differs.argmax(axis=1), len(sizes))
    return ReallocationResult(result, moved, changed, len(colliding), duplicates)


def check_codes(codes: np.ndarray, codebook_sizes: Sequence[int], where: str = "codes") -> None:
    """Checks shape and range of codes.

    Args:
        codes: `[items, levels]`.
        codebook_sizes: codes of each level.
        where: what the message calls them.

    Raises:
        QBert4RecError: another shape, no whole numbers, or a code outside its codebook; names row
            and level.
    """
    if codes.ndim != 2 or codes.shape[1] != len(codebook_sizes):
        raise QBert4RecError(
            f"{where} must be [items, {len(codebook_sizes)}], got {list(codes.shape)}"
        )
    if not len(codebook_sizes) or min(codebook_sizes) < 1:
        raise QBert4RecError(f"codebook sizes must be positive numbers, got {list(codebook_sizes)}")
    if len(codes) and codes.dtype.kind not in "iu":
        raise QBert4RecError(f"{where} must be whole numbers, got {codes.dtype}")
    outside = (codes < 0) | (codes >= np.asarray(codebook_sizes))
    if outside.any():
        row, level = np.argwhere(outside)[0]
        raise QBert4RecError(
            f"{where} row {row}: code {codes[row, level]} of level {level} is outside its codebook "
            f"of {codebook_sizes[level]}"
        )


class _Distances:
    """Distances of some items, whether they lie in an array or a function computes them."""

    def __init__(self, source: Distances, items: int, sizes: list[int]):
        self.source, self.sizes = source, sizes
        if not callable(source):
            self._check_shape(np.shape(source), items)

    def survey(self, rows: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Smallest distance at the last level `[n]`, and groups of rows that agree in all."""
        nearest = np.empty(len(rows))
        alike: dict[bytes, list[int]] = defaultdict(list)
        for part, values in self._chunks(rows):
            self._check_finite(rows[part], values)
            nearest[part] = values[:, -1, : self.sizes[-1]].min(axis=1)
            for row, of_row in zip(rows[part].tolist(), np.ascontiguousarray(values), strict=True):
                # A digest, as the numbers themselves would be kept for every item.
                alike[hashlib.blake2b(of_row, digest_size=16).digest()].append(row)
        return nearest, [np.array(group) for group in alike.values() if len(group) > 1]

    def of_level(self, rows: np.ndarray, level: int) -> np.ndarray:
        """`[n, codes of the level]`."""
        if not callable(self.source):
            return np.asarray(self.source)[rows, level, : self.sizes[level]]
        return np.concatenate(
            [values[:, level, : self.sizes[level]] for _, values in self._chunks(rows)]
        )

    def _chunks(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, min(start + _CHUNK, len(rows)))
            if callable(self.source):
                values = np.asarray(self.source(rows[part]))
                self._check_shape(values.shape, part.stop - start)
            else:
                values = np.asarray(self.source[rows[part]])
            yield part, values

    def _check_finite(self, rows: np.ndarray, values: np.ndarray) -> None:
        for level, size in enumerate(self.sizes):
            finite = np.isfinite(values[:, level, :size]).all(axis=1)
            if not finite.all():
                raise QBert4RecError(
                    f"distances of item row {rows[finite.argmin()]} at level {level} are not "
                    "finite; check the item's features and the quantizer's weights"
                )

    def _check_shape(self, shape: tuple[int, ...], items: int) -> None:
        if len(shape) != 3 or shape[:2] != (items, len(self.sizes)) or shape[2] < max(self.sizes):
            raise QBert4RecError(
                f"distances must be [{items}, {len(self.sizes)}, {max(self.sizes)}], got "
                f"{list(shape)}"
            )


def _move(
    codes: np.ndarray,
    waiting: np.ndarray,
    taken: np.ndarray,
    distances: _Distances,
    sizes: list[int],
) -> None:
    """Gives the items in `waiting`, best rank first, free IDs. Changes `codes`."""
    for level in reversed(range(len(sizes))):
        if not len(waiting):
            return
        group, below = _groups(codes[waiting], taken, level)
        room = _capacity(sizes[level:], len(codes) + len(taken)) - np.bincount(
            below[below >= 0], minlength=group.max() + 1
        )
        fits = _place(group) < room[group]
        staying, waiting = waiting[fits], waiting[~fits]
        if not len(staying):
            continue
        for deeper in range(level, len(sizes)):
            codes[staying, deeper] = _choose(codes[staying], staying, taken, distances, deeper)
        taken = np.concatenate([taken, codes[staying]])


def _choose(
    codes: np.ndarray, rows: np.ndarray, taken: np.ndarray, distances: _Distances, level: int
) -> np.ndarray:
    """Each item's nearest code of a level that has a free ID below it, best rank first. `[n]`

    Items under different prefixes do not get in each other's way: in turn i, the i-th item of every
    prefix chooses.
    """
    sizes = distances.sizes
    group, below = _groups(codes, taken, level)
    used = below[below >= 0] * sizes[level] + taken[below >= 0, level]
    groups = group.max() + 1
    free = np.full((groups, sizes[level]), _capacity(sizes[level + 1 :], len(codes) + len(taken)))
    free -= np.bincount(used, minlength=free.size).reshape(free.shape)
    values = distances.of_level(rows, level)
    chosen = np.empty(len(codes), dtype=np.int64)
    place = _place(group)
    by_turn = np.argsort(place, kind="stable")
    for turn in np.split(by_turn, np.cumsum(np.bincount(place))[:-1]):
        options = np.where(free[group[turn]] > 0, values[turn], np.inf)
        chosen[turn] = options.argmin(axis=1)
        free[group[turn], chosen[turn]] -= 1
    return chosen


def _groups(codes: np.ndarray, taken: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the prefixes of some length: of each item, and of each taken ID (-1: of no item)."""
    if length == 0:
        return np.zeros(len(codes), dtype=np.int64), np.zeros(len(taken), dtype=np.int64)
    prefixes = np.concatenate([codes[:, :length], taken[:, :length]])
    _, number = np.unique(prefixes, axis=0, return_inverse=True)
    number = number.reshape(-1)
    wanted, group = np.unique(number[: len(codes)], return_inverse=True)
    renumbered = np.full(number.max() + 1, -1)
    renumbered[wanted] = np.arange(len(wanted))
    return group.reshape(-1), renumbered[number[len(codes) :]]


def _place(group: np.ndarray) -> np.ndarray:
    """Place of each item among those of its group, in the order given."""
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(np.bincount(group)) - np.bincount(group)
    place = np.empty(len(group), dtype=np.int64)
    place[order] = np.arange(len(group)) - starts[group[order]]
    return place


def _capacity(sizes: Sequence[int], enough: int) -> int:
    """IDs below a prefix. Beyond what can ever be asked for the number does not matter, and the
    product of many codebooks is no 64-bit number."""
    return min(math.prod(sizes), enough)

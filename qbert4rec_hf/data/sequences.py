"""Histories of many users in two flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import QBert4RecError

if TYPE_CHECKING:
    import scipy.sparse


@dataclass(frozen=True)
class Sequences:
    """Rows of item rows, one a user, oldest item first.

    A ragged array: row `i` is `items[offsets[i]:offsets[i + 1]]`. An item is given by its row in
    `items.parquet` (one domain) or in the catalogue (several).

    Args:
        items: `[total]`, int64, all rows one after the other.
        offsets: `[rows + 1]`, int64, rising from 0 to `total`.

    Raises:
        QBert4RecError: the offsets do not describe `items`.

    Example:
        >>> from qbert4rec_hf import Sequences
        >>> histories = Sequences.from_lists([[4, 1, 3], [2], []])
        >>> histories
        Sequences(3 rows, 4 items)
        >>> [history.tolist() for history in histories.last(2)]
        [[1, 3], [2], []]
        >>> histories.take([1, 0]).lengths.tolist()
        [1, 3]
    """

    items: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        items = np.ascontiguousarray(self.items, dtype=np.int64)
        offsets = np.ascontiguousarray(self.offsets, dtype=np.int64)
        if (
            items.ndim != 1
            or offsets.ndim != 1
            or not len(offsets)
            or offsets[0] != 0
            or offsets[-1] != len(items)
            or (np.diff(offsets) < 0).any()
        ):
            raise QBert4RecError(
                f"offsets must rise from 0 to the number of items ({items.size}); "
                "build sequences with Sequences.from_lists"
            )
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "offsets", offsets)

    @classmethod
    def from_lists(cls, lists: Iterable[Iterable[int]]) -> Sequences:
        """Builds sequences from one list of item rows a user."""
        rows = [np.asarray(row, dtype=np.int64).reshape(-1) for row in map(list, lists)]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        return cls.from_lengths(np.concatenate([np.empty(0, np.int64), *rows]), lengths)

    @classmethod
    def from_lengths(cls, items: np.ndarray, lengths: np.ndarray) -> Sequences:
        """Builds sequences from the flat items `[total]` and the length of each row `[rows]`."""
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(items, offsets)

    @classmethod
    def concat(cls, parts: Iterable[Sequences]) -> Sequences:
        """Puts the rows of all parts below each other."""
        parts = list(parts)
        items = np.concatenate([np.empty(0, np.int64), *(part.items for part in parts)])
        lengths = np.concatenate([np.empty(0, np.int64), *(part.lengths for part in parts)])
        return cls.from_lengths(items, lengths)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        row = int(row)
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} sequences")
        row %= len(self)
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield self.items[start:stop]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequences):
            return NotImplemented
        return np.array_equal(self.items, other.items) and np.array_equal(
            self.offsets, other.offsets
        )

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def __repr__(self) -> str:
        return f"Sequences({len(self)} rows, {len(self.items)} items)"

    @property
    def lengths(self) -> np.ndarray:
        """Number of items of each row, `[rows]`."""
        return np.diff(self.offsets)

    @property
    def row_index(self) -> np.ndarray:
        """The row that each entry of `items` belongs to, `[total]`."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """Items that follow each other in a row: the earlier and the later ones, `[pairs]` each."""
        row = self.row_index
        same_row = row[:-1] == row[1:]
        return self.items[:-1][same_row], self.items[1:][same_row]

    def take(self, rows: np.ndarray | list[int]) -> Sequences:
        """The given rows, in the given order; a boolean mask `[rows]` works too."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64).reshape(-1)
        if len(rows) and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"rows up to {rows.max()} of {len(self)} sequences")
        rows = rows % len(self) if len(rows) else rows
        return self._slices(self.offsets[rows], self.lengths[rows])

    def shift(self, by: int) -> Sequences:
        """Adds `by` to every item: from rows of a domain to rows of a catalogue of several."""
        return Sequences(self.items + int(by), self.offsets)

    def last(self, n: int) -> Sequences:
        """The latest `n` items of each row."""
        lengths = np.minimum(self.lengths, n)
        return self._slices(self.offsets[1:] - lengths, lengths)

    def first(self, n: int | np.ndarray) -> Sequences:
        """The earliest `n` items of each row (one number, or one a row `[rows]`)."""
        return self._slices(self.offsets[:-1], np.minimum(self.lengths, n))

    def drop_last(self, n: int | np.ndarray) -> Sequences:
        """Each row without its latest `n` items (one number, or one a row `[rows]`)."""
        return self._slices(self.offsets[:-1], np.maximum(self.lengths - n, 0))

    def append(self, items: np.ndarray) -> Sequences:
        """Each row with one more item at its end; `items` is `[rows]`."""
        items = np.asarray(items, dtype=np.int64)
        if items.shape != (len(self),):
            raise QBert4RecError(f"{len(self)} sequences need {len(self)} items, got {items.shape}")
        return Sequences(
            np.insert(self.items, self.offsets[1:], items),
            self.offsets + np.arange(len(self) + 1),
        )

    def to_csr(self, num_items: int) -> scipy.sparse.csr_matrix:
        """How often each row holds each item, `[rows, num_items]`, float32."""
        import scipy.sparse

        if len(self.items) and not (self.items.min() >= 0 and self.items.max() < num_items):
            raise QBert4RecError(
                f"item row {self.items.max()} is outside a catalogue of {num_items} items; "
                "pass the number of items of the catalogue that the histories belong to"
            )
        counts = np.ones(len(self.items), dtype=np.float32)
        shape = (len(self), num_items)
        matrix = scipy.sparse.csr_matrix((counts, self.items.copy(), self.offsets.copy()), shape)
        matrix.sum_duplicates()
        return matrix

    def _slices(self, starts: np.ndarray, lengths: np.ndarray) -> Sequences:
        total = int(lengths.sum())
        # Position in `items` of every entry kept: its row's start plus its place in the row.
        ends = np.cumsum(lengths)
        index = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
        return Sequences.from_lengths(self.items[index], lengths)

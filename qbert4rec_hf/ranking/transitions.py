"""Which item followed which in the training histories, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from ..data.sequences import Sequences

STEPS = 3
"""How many items further on an item still counts as following; the second one half, and so on."""


class Transitions:
    r"""How often each item came soon after each other one, `[items, items]`.

    \[ T_{ij} = \sum_{users} \sum_{d=1}^{3} \frac{1}{d} [s_t = i, s_{t+d} = j] \]

    The item graph is symmetric at heart and smooths over many users; this is neither: it keeps the
    direction, and what a single other user took next.

    Args:
        counts: `[items, items]` float32 CSR.
    """

    def __init__(self, counts: csr_array) -> None:
        self.counts = counts

    def __repr__(self) -> str:
        return f"Transitions({self.num_items} items, {self.counts.nnz} pairs)"

    @property
    def num_items(self) -> int:
        """How many items are covered."""
        return self.counts.shape[0]

    @classmethod
    def fit(cls, histories: Sequences, num_items: int) -> Transitions:
        """Counts the transitions of training histories, items in time order."""
        from scipy.sparse import csr_array

        items, user = histories.items, histories.row_index
        before, after, weight = [], [], []
        for step in range(1, STEPS + 1):
            same = user[:-step] == user[step:]
            before.append(items[:-step][same])
            after.append(items[step:][same])
            weight.append(np.full(same.sum(), 1 / step, dtype=np.float32))
        places = (np.concatenate(before), np.concatenate(after))
        counts = csr_array((np.concatenate(weight), places), shape=(num_items, num_items))
        counts.sum_duplicates()
        return cls(counts)

    def extended(self, count: int) -> Transitions:
        """The same with `count` further items at the end, which nothing followed yet."""
        from scipy.sparse import csr_array

        size = self.num_items + count
        ends = np.full(count, self.counts.indptr[-1], dtype=self.counts.indptr.dtype)
        arrays = (
            self.counts.data,
            self.counts.indices,
            np.concatenate([self.counts.indptr, ends]),
        )
        return Transitions(csr_array(arrays, shape=(size, size)))

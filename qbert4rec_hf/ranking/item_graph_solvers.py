"""Two ways to the weights of the item graph: the closed form, and one for large catalogues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from ..errors import QBert4RecError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MAX_CLOSED_FORM_ITEMS = 20_000
"""Where `auto` changes to the sparse method: one `[items, items]` matrix of 1.6 GB."""

_BLOCK_ROWS = 1024


def closed_form(
    interactions: csr_array, regularization: float, max_per_row: int
) -> tuple[csr_array, float]:
    """The positive weights of ridge regression on all other items, and the share of them kept.

    Memory is one dense float32 matrix `[items, items]`, factorised and inverted in place, and a
    few rows; time grows with the cube of the items (6,250 items: seconds, 20,000: minutes on two
    cores).

    Args:
        interactions: binary `[users, items]`.
        regularization: λ.
        max_per_row: weights kept of each row.
    """
    from scipy.linalg import lapack

    num_items = interactions.shape[1]
    if num_items == 0:
        return _to_csr([], 0), 1.0
    gram = np.empty((num_items, num_items), dtype=np.float32)
    by_item = interactions.T.tocsr()
    for start in range(0, num_items, _BLOCK_ROWS):
        # The sparse product of all rows at once would outweigh the dense matrix.
        rows = by_item[start : start + _BLOCK_ROWS]
        gram[start : start + _BLOCK_ROWS] = (rows @ interactions).toarray()
    gram[np.diag_indices(num_items)] += regularization
    # A symmetric matrix in C order is itself in Fortran order: LAPACK works on the same memory.
    factor, status = lapack.spotrf(gram.T, lower=1, clean=0, overwrite_a=1)
    if status == 0:
        inverse, status = lapack.spotri(factor, lower=1, overwrite_c=1)
    if status != 0:
        raise QBert4RecError(
            f"the item graph cannot be solved with regularization {regularization}; raise it"
        )
    inverse = inverse.T
    for start in range(0, num_items, _BLOCK_ROWS):
        # Only the upper triangle is filled.
        end = min(start + _BLOCK_ROWS, num_items)
        inverse[start:end, :start] = inverse[:start, start:end].T
        square = inverse[start:end, start:end]
        square[:] = np.triu(square) + np.triu(square, 1).T
    negative_diagonal = -inverse.diagonal().copy()

    blocks = []
    kept = total = 0.0
    for start in range(0, num_items, _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, num_items)
        block = inverse[start:end] / negative_diagonal
        block[np.arange(end - start), np.arange(start, end)] = 0.0
        np.maximum(block, 0.0, out=block)
        total += float(block.sum(dtype=np.float64))
        rows = _largest_per_row(block, max_per_row)
        kept += float(rows.data.sum(dtype=np.float64))
        blocks.append(rows)
    return _to_csr(blocks, num_items), kept / total if total else 1.0


def restricted(
    interactions: csr_array,
    regularization: float,
    neighbours: int,
    max_per_row: int,
    *,
    progress: bool = False,
) -> tuple[csr_array, float]:
    """The positive weights of ridge regression of each item on its nearest neighbours only.

    The neighbours of an item are those it shares most users with, relative to the roots of both
    popularities (cosine). Column j of B is then the exact minimiser over the weights of these
    neighbours: \\( (G_{SS} + λI)^{-1} G_{Sj} \\) with \\( G = X^T X \\). Where all
    items are neighbours this is the closed form. Time grows linearly with the items; memory holds
    the pairs of items that co-occur, never a dense matrix.

    Args:
        interactions: binary `[users, items]`.
        regularization: λ.
        neighbours: size of S; fewer where an item co-occurs with fewer.
        max_per_row: weights kept of each row afterwards.
        progress: show a progress bar.

    Returns:
        The weights, and the share of their sum that `max_per_row` kept.
    """
    from scipy.sparse import csr_array

    num_items = interactions.shape[1]
    gram = csr_array(interactions.T @ interactions)
    gram.sort_indices()
    counts = gram.diagonal().astype(np.float32)
    support = _nearest(gram, counts, min(neighbours, max(num_items - 1, 1)))
    starts = gram.indptr.astype(np.int64)
    # One sorted key a stored pair, so that any pair is looked up by bisection.
    keys = np.repeat(np.arange(num_items), np.diff(starts)) * num_items + gram.indices

    def pairs(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        wanted = left * num_items + right
        place = np.minimum(np.searchsorted(keys, wanted.ravel()), max(len(keys) - 1, 0))
        found = keys[place] == wanted.ravel() if len(keys) else np.zeros(wanted.size, dtype=bool)
        values = np.zeros(wanted.size, dtype=np.float32)
        values[found] = gram.data[place[found]]
        return values.reshape(wanted.shape)

    width = support.shape[1]
    rows, columns, values = [], [], []
    step = max(1, 4_000_000 // (width * width))
    starts_of_blocks = range(0, num_items, step)
    for start in tqdm(starts_of_blocks, desc="item graph", unit="block", disable=not progress):
        block = support[start : start + step]
        absent = block < 0
        safe = np.where(absent, 0, block)
        system = pairs(safe[:, :, None], safe[:, None, :])
        # A missing neighbour becomes an equation of its own: λ w = 0.
        system[absent[:, :, None] | absent[:, None, :]] = 0.0
        system[:, np.arange(width), np.arange(width)] += regularization
        item = np.arange(start, start + len(block))
        right = pairs(safe, np.broadcast_to(item[:, None], safe.shape))
        right[absent] = 0.0
        factor = torch.linalg.cholesky(torch.from_numpy(system))
        solved = torch.cholesky_solve(torch.from_numpy(right)[:, :, None], factor)[:, :, 0].numpy()
        used = ~absent & (solved > 0)
        rows.append(block[used])
        columns.append(np.broadcast_to(item[:, None], block.shape)[used])
        values.append(solved[used])
    weights = csr_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(num_items, num_items),
    )
    total = float(weights.data.sum(dtype=np.float64))
    weights = _prune(weights, max_per_row)
    kept = float(weights.data.sum(dtype=np.float64))
    return weights, kept / total if total else 1.0


def _nearest(gram: csr_array, counts: np.ndarray, neighbours: int) -> np.ndarray:
    """`[items, neighbours]` the nearest items by cosine, in order, -1 where there are fewer."""
    num_items = gram.shape[0]
    row = np.repeat(np.arange(num_items), np.diff(gram.indptr))
    column = gram.indices.astype(np.int64)
    other = row != column
    row, column = row[other], column[other]
    cosine = gram.data[other] / np.sqrt(counts[row] * counts[column])
    order = np.lexsort((column, -cosine, row))
    row, column = row[order], column[order]
    first = np.searchsorted(row, np.arange(num_items))
    place = np.arange(len(row)) - first[row]
    near = place < neighbours
    support = np.full((num_items, neighbours), -1, dtype=np.int64)
    support[row[near], place[near]] = column[near]
    # In order, so that looking pairs up walks forward through memory.
    return np.sort(support, axis=1)


def _largest_per_row(block: np.ndarray, max_per_row: int) -> csr_array:
    """The `max_per_row` largest weights of each row of a dense block, zeros dropped."""
    from scipy.sparse import csr_array

    if max_per_row < block.shape[1]:
        columns = np.argpartition(block, -max_per_row, axis=1)[:, -max_per_row:]
        columns.sort(axis=1)
        values = np.take_along_axis(block, columns, axis=1)
        starts = np.arange(block.shape[0] + 1) * max_per_row
        rows = csr_array(
            (values.ravel(), columns.ravel().astype(np.int32), starts), shape=block.shape
        )
    else:
        rows = csr_array(block)
    rows.eliminate_zeros()
    return rows


def _prune(weights: csr_array, max_per_row: int) -> csr_array:
    """The same for a sparse matrix."""
    from scipy.sparse import csr_array

    weights.sort_indices()
    row = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    order = np.lexsort((weights.indices, -weights.data, row))
    place = np.arange(len(row)) - weights.indptr[:-1][row[order]]
    keep = np.sort(order[place < max_per_row])
    pruned = csr_array(
        (weights.data[keep], (row[keep], weights.indices[keep])), shape=weights.shape
    )
    pruned.sort_indices()
    return _as_stored(pruned)


def _to_csr(blocks: list[csr_array], num_items: int) -> csr_array:
    from scipy.sparse import csr_array, vstack

    if not blocks:
        return _as_stored(csr_array((num_items, num_items), dtype=np.float32))
    return _as_stored(csr_array(vstack(blocks, format="csr")))


def _as_stored(weights: csr_array) -> csr_array:
    """Types as they lie on disk, so that what is saved computes exactly as what was fitted."""
    from scipy.sparse import csr_array

    return csr_array(
        (
            weights.data.astype(np.float32, copy=False),
            weights.indices.astype(np.int32, copy=False),
            weights.indptr.astype(np.int64, copy=False),
        ),
        shape=weights.shape,
    )

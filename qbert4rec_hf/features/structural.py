"""Features from the item graph of the training histories.

Only training histories belong in here: an edge from a validation or test interaction would tell
the model what it is to predict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from transformers.utils import logging

from ..columns import STRUCTURAL_MODALITY
from ..data.sequences import Sequences
from ..errors import QBert4RecError
from .store import ItemFeatures, ModalityFeatures

if TYPE_CHECKING:
    import scipy.sparse

logger = logging.get_logger(__name__)

# Columns of content propagated at a time: bounds the float64 copies of wide vectors.
_BLOCK = 256
# A history of n items has n^2 pairs. Beyond this many, the latest items stand for the user.
_MAX_HISTORY = 300


def propagate(features: ItemFeatures, train: Sequences) -> ModalityFeatures:
    """The content of an item's neighbours in the graph of the training histories.

    Two items are neighbours when a user has both; each user adds 1 / sqrt(length of the history)
    to the edge, and an edge counts 1 / sqrt(all edges of the neighbour), or the mean would be that
    of the best-sellers. An item's feature is the weighted mean of its neighbours' content vectors,
    so it has the axes of the content and transfers between domains. The item itself does not
    count, nor does a neighbour that lacks the modality.

    The graph is never built: with histories X `[users, items]` and user weights W, the sum over
    neighbours is X'W(XV) less the item's own share, so the work grows with the interactions.

    Args:
        features: content of the items; a structural modality among them is left out.
        train: training histories, items as rows of `features`.

    Returns:
        One vector an item, `[items, 1, sum of the content dims]`: the modalities beside each other
        in the order of `features.modalities`, each unit-normalised before the mean. Zero for a
        modality that no neighbour has; masked where no neighbour has any.

    Raises:
        QBert4RecError: no content modality, or an item row outside the features.

    Source:
        The weights are those of Kipf and Welling, Semi-supervised classification with graph
        convolutional networks, 2017, with rows that sum to one and without self-loops.
    """
    contents = {k: v for k, v in features.modalities.items() if k != STRUCTURAL_MODALITY}
    if not contents:
        raise QBert4RecError(
            "propagation needs text or image features; use spectral features for a domain that "
            "has neither"
        )
    histories, weights = _histories(train, len(features))
    means, present = [], np.zeros(len(features), bool)
    for content in contents.values():
        mean, found = _neighbour_mean(histories, weights, content)
        means.append(mean)
        present |= found
    vectors = np.concatenate(means, axis=1)
    return ModalityFeatures(vectors[:, None], present[:, None])


def spectral(train: Sequences, num_items: int, dim: int = 64, *, seed: int = 0) -> ModalityFeatures:
    """Axes of the graph of the training histories, for a domain that has no content.

    Pairs of items within a history count 1 / sqrt(length of the history). The matrix
    log(1 + observed / expected), where expected is what the two items' totals would give by
    chance, is cut to `dim` singular axes, scaled by the root of the singular values; rows have
    unit length. The axes mean nothing in another domain: for single-domain runs only.

    Args:
        train: training histories, items as rows of the catalogue. Of a history above 300 items the
            latest 300 are used.
        num_items: size of the catalogue.
        dim: number of axes; fewer items give fewer axes, the rest zero, with a warning.
        seed: of the randomised decomposition.

    Returns:
        One vector an item, `[items, 1, dim]`; masked where an item has no neighbour.

    Raises:
        QBert4RecError: no axis asked for, an item row outside the catalogue, or histories without
            any pair.
    """
    from sklearn.utils.extmath import randomized_svd

    if dim < 1:
        raise QBert4RecError(f"dim of spectral features must be 1 or more, got {dim}")
    matrix = _lift(train, num_items)
    rank = min(dim, num_items - 1)
    if rank < dim:
        logger.warning(
            f"spectral features have {rank} axes instead of {dim}: there are only {num_items} items"
        )
    left, values, _ = randomized_svd(matrix, rank, n_iter=7, random_state=seed)
    vectors = np.zeros((num_items, dim), np.float64)
    vectors[:, :rank] = left * np.sqrt(values)
    present = np.diff(matrix.indptr) > 0
    vectors = unit(vectors, present)
    return ModalityFeatures(vectors[:, None], present[:, None])


def unit(vectors: np.ndarray, present: np.ndarray | None = None) -> np.ndarray:
    """Scales vectors `[..., dim]` to unit length; zero vectors, and those not present, to zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    if present is not None:
        result[~present] = 0
    return result


def _histories(train: Sequences, num_items: int) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    """Which user has which item, `[users, items]` of 0 and 1, and the weight of each user."""
    histories = train.to_csr(num_items).astype(np.float64)
    histories.data[:] = 1
    lengths = np.diff(histories.indptr)
    # A history of one item has no pairs; its weight does not matter.
    return histories, 1 / np.sqrt(np.maximum(lengths, 1))


def _neighbour_mean(
    histories: scipy.sparse.csr_matrix, weights: np.ndarray, content: ModalityFeatures
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of the neighbours `[items, dim]`, and who has a neighbour `[items]`."""
    present = content.present
    has = present.astype(np.float64)
    # A CSR copy of the transpose makes the products faster.
    by_item = histories.T.tocsr()
    # Numbers of users and neighbours are whole, so this comparison is exact.
    found = by_item @ (histories @ has) - np.diff(by_item.indptr) * has > 0.5

    def over_neighbours(values: np.ndarray) -> np.ndarray:
        """Sum of `values` `[items]` or `[items, axes]` over the edges of each item."""
        scale = weights if values.ndim == 1 else weights[:, None]
        own_scale = own if values.ndim == 1 else own[:, None]
        return by_item @ (scale * (histories @ values)) - own_scale * values

    own = by_item @ weights
    edges = over_neighbours(np.ones(len(present)))
    # An item that no one has beside another has no edges, and is nobody's neighbour.
    damped = 1 / np.sqrt(np.where(edges > 1e-9, edges, 1.0))
    total = np.where(found, over_neighbours(damped * has), 1.0)
    means = np.zeros((len(present), content.dim), np.float32)
    centre = _one_vector(content)
    for start in range(0, content.dim, _BLOCK):
        block = damped[:, None] * centre[:, start : start + _BLOCK]
        means[:, start : start + _BLOCK] = over_neighbours(block) / total[:, None]
    means[~found] = 0
    return means, found


def _one_vector(content: ModalityFeatures) -> np.ndarray:
    """One unit vector an item, `[items, dim]`: the direction of the mean of its unit vectors."""
    return unit(unit(content.vectors).sum(axis=1))


def _lift(train: Sequences, num_items: int) -> scipy.sparse.csr_matrix:
    """log(1 + observed / expected) of all pairs that occur, `[items, items]`, symmetric."""
    import scipy.sparse

    histories, weights = _histories(train.last(_MAX_HISTORY), num_items)
    pairs = (histories.T @ scipy.sparse.diags(weights) @ histories).tocoo()
    distinct = pairs.row != pairs.col
    if not distinct.any():
        raise QBert4RecError(
            "no training history holds two items, so there is no graph; spectral features need "
            "histories of two items or more"
        )
    rows, columns, observed = pairs.row[distinct], pairs.col[distinct], pairs.data[distinct]
    totals = np.bincount(rows, weights=observed, minlength=num_items)
    expected = totals[rows] * totals[columns] / totals.sum()
    values = np.log1p(observed / expected)
    return scipy.sparse.csr_matrix((values, (rows, columns)), (num_items, num_items))

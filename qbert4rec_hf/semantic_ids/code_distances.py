"""Distances between items and the codes of semantic IDs whose quantizer nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..columns import IMAGE_MODALITY, TEXT_MODALITY
from ..errors import QBert4RecError

if TYPE_CHECKING:
    from ..features.store import ItemFeatures


class CodeDistances:
    """Codebooks estimated from the items that carry each code, and distances to them.

    In a residual quantizer a codeword is the mean of what the levels above left of the items that
    carry it. So it is estimated here: level by level, from the items' own features. A code that no
    item carries has no codeword; it counts as farther than all that have one.

    Args:
        codes: `[items, levels]`, imported.
        vectors: features of the same items `[items, dim]`, see `content_vectors`.
        codebook_sizes: codes of each level.
    """

    def __init__(self, codes: np.ndarray, vectors: np.ndarray, codebook_sizes: Sequence[int]):
        self.codes = codes
        self.vectors = np.asarray(vectors, dtype=np.float64)
        self.codebooks: list[np.ndarray] = []
        self.carried: list[np.ndarray] = []
        residual = self.vectors.copy()
        for level, size in enumerate(codebook_sizes):
            carriers = np.bincount(codes[:, level], minlength=size)
            codebook = np.zeros((size, residual.shape[1]))
            np.add.at(codebook, codes[:, level], residual)
            codebook /= np.maximum(carriers, 1)[:, None]
            self.codebooks.append(codebook)
            self.carried.append(carriers > 0)
            residual -= codebook[codes[:, level]]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Squared distances of some items `[n, levels, codebook]`, as `reallocate` asks for them.

        Args:
            rows: of the items `[n]`.
        """
        widest = max(len(codebook) for codebook in self.codebooks)
        distances = np.zeros((len(rows), len(self.codebooks), widest))
        residual = self.vectors[rows]
        for level, (codebook, carried) in enumerate(zip(self.codebooks, self.carried, strict=True)):
            found = (
                (residual**2).sum(axis=1)[:, None]
                - 2 * residual @ codebook.T
                + (codebook**2).sum(axis=1)
            )
            found[:, ~carried] = found[:, carried].max(initial=0.0) + 1
            distances[:, level, : len(codebook)] = found
            residual = residual - codebook[self.codes[rows, level]]
        return distances


def content_vectors(features: ItemFeatures) -> np.ndarray:
    """One vector an item: its texts and pictures, or its place in the item graph without those.

    The vectors of a modality are averaged and centred, and modalities put side by side; what an
    item lacks counts as average.

    Args:
        features: of the items.

    Returns:
        `[items, dim]`.

    Raises:
        QBert4RecError: there is no modality.
    """
    content = [name for name in (TEXT_MODALITY, IMAGE_MODALITY) if name in features.modalities]
    columns = []
    for name in content or features.modalities:
        part = features.modalities[name]
        mean = part.vectors.sum(axis=1) / np.maximum(part.mask.sum(axis=1), 1)[:, None]
        if part.present.any():
            mean[part.present] -= mean[part.present].mean(axis=0)
        columns.append(mean)
    if not columns:
        raise QBert4RecError(
            "there are no features to tell apart items that share an ID; give the items texts or "
            "pictures, or --set semantic_ids.reallocate=false"
        )
    return np.concatenate(columns, axis=1)

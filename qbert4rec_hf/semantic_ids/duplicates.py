"""Items whose content is the same: very likely one product under several ids."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..columns import IMAGE_MODALITY, TEXT_MODALITY

if TYPE_CHECKING:
    from ..features.store import ItemFeatures


def identical_items(
    features: ItemFeatures, modalities: Sequence[str] = (TEXT_MODALITY, IMAGE_MODALITY)
) -> list[np.ndarray]:
    """Groups of items whose content vectors agree in every number.

    Relations: `ReallocationResult.duplicate_groups` compares what the quantizer sees. That is the
    same only where items are fused with the shared query; an item that fusion was trained on has a
    query of its own, so that two listings of one product differ there.

    Args:
        features: of the items.
        modalities: what counts as content; absent ones are passed over. Structure does not: two
            listings of one product have neighbours of their own.

    Returns:
        Item rows `[members]` of each group, in rising order; items without any content are in none.
    """
    chosen = [features.modalities[name] for name in modalities if name in features.modalities]
    groups: dict[bytes, list[int]] = defaultdict(list)
    for row in range(len(features)):
        if any(part.mask[row].any() for part in chosen):
            digest = hashlib.blake2b(digest_size=16)
            for part in chosen:
                digest.update(part.mask[row].tobytes())
                digest.update(part.vectors[row].tobytes())
            groups[digest.digest()].append(row)
    return [np.array(group) for group in groups.values() if len(group) > 1]

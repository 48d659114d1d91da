from __future__ import annotations

import numpy as np

from qbert4rec_hf.features.store import ItemFeatures, ModalityFeatures
from qbert4rec_hf.semantic_ids.duplicates import identical_items

TEXTS = [0, 1, 0, 2, 1, 0, None, None]
IMAGES = [5, 6, 5, None, 7, 5, None, 8]


def modality(values, *, seed=0) -> ModalityFeatures:
    table = np.random.default_rng(seed).random((10, 1, 3)).astype(np.float32)
    vectors = np.stack([table[value or 0] for value in values])
    return ModalityFeatures(vectors, np.array([[value is not None] for value in values]))


def features(**modalities) -> ItemFeatures:
    return ItemFeatures([f"i{row}" for row in range(len(TEXTS))], modalities)


def groups(*arguments, **modalities) -> list[list[int]]:
    return [group.tolist() for group in identical_items(features(**modalities), *arguments)]


def test_all_content_must_agree():
    both = {"text": modality(TEXTS), "image": modality(IMAGES)}
    assert groups(**both) == [[0, 2, 5]]
    assert groups(["text"], **both) == [[0, 2, 5], [1, 4]]


def test_structure_is_no_content_and_items_without_content_are_no_duplicates():
    structural = modality(range(8))
    assert groups(text=modality(TEXTS), structural=structural) == [[0, 2, 5], [1, 4]]
    assert groups(structural=modality([1] * 8)) == []
    assert groups(text=modality([None] * 8)) == []

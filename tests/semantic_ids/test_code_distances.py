from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.store import ItemFeatures, ModalityFeatures
from qbert4rec_hf.semantic_ids.code_distances import CodeDistances, content_vectors
from qbert4rec_hf.semantic_ids.collisions import reallocate

SIZES = [4, 8]


@pytest.fixture
def quantized():
    """Items made of known codewords, the second level a tenth of the first."""
    random = np.random.default_rng(0)
    first, second = random.normal(size=(4, 6)), 0.1 * random.normal(size=(8, 6))
    # Each code of the first level with each of the second but the last two, twice.
    codes = np.array([(a, b) for a in range(4) for b in range(6)] * 2)
    # Averages of the second level vanish, so that means are the codewords themselves.
    second[:6] -= second[:6].mean(axis=0)
    return codes, first[codes[:, 0]] + second[codes[:, 1]], first, second


def test_codebooks_are_found_again(quantized):
    codes, vectors, first, second = quantized
    found = CodeDistances(codes, vectors, SIZES)
    np.testing.assert_allclose(found.codebooks[0], first, atol=1e-12)
    np.testing.assert_allclose(found.codebooks[1][:6], second[:6], atol=1e-12)


def test_distances_are_those_of_a_residual_quantizer(quantized):
    codes, vectors, first, second = quantized
    rows = np.array([5, 17])
    found = CodeDistances(codes, vectors, SIZES)(rows)
    assert found.shape == (2, 2, 8)
    for number, row in enumerate(rows):
        residual = vectors[row]
        expected = ((residual - first) ** 2).sum(axis=1)
        np.testing.assert_allclose(found[number, 0, :4], expected, atol=1e-12)
        residual = residual - first[codes[row, 0]]
        expected = ((residual - second[:6]) ** 2).sum(axis=1)
        np.testing.assert_allclose(found[number, 1, :6], expected, atol=1e-12)
        # Codes that no item carries come last, at a distance that is still a number.
        assert (found[number, 1, 6:] > found[number, 1, :6].max()).all()


def test_items_that_share_an_id_are_told_apart_by_their_features(quantized):
    codes, vectors, _, _ = quantized
    codes = codes[:24].copy()
    # Item 1 was published under the ID of item 0, though it looks like its old one.
    codes[1] = codes[0]
    result = reallocate(codes, CodeDistances(codes, vectors[:24], SIZES), SIZES)
    assert len(np.unique(result.codes, axis=0)) == 24
    assert np.flatnonzero(result.moved).tolist() in ([0], [1])
    alone = np.arange(2, 24)
    assert (result.codes[alone] == codes[alone]).all()


def modality(values) -> ModalityFeatures:
    vectors = np.array([[[0.0 if v is None else v]] for v in values], np.float32)
    return ModalityFeatures(vectors, np.array([[v is not None] for v in values]))


def test_content_is_centred_and_what_is_missing_is_average():
    parts = {"text": modality([1, 3, None]), "image": modality([None, None, 7])}
    parts["structural"] = modality([5, 6, 7])
    found = content_vectors(ItemFeatures(["a", "b", "c"], parts))
    assert found.tolist() == [[-1, 0], [1, 0], [0, 0]]


def test_structure_stands_in_where_there_is_no_content():
    features = ItemFeatures(["a", "b"], {"structural": modality([5, 7])})
    assert content_vectors(features).tolist() == [[-1], [1]]
    with pytest.raises(QBert4RecError, match="no features"):
        content_vectors(ItemFeatures(["a"], {}))

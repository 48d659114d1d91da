from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.store import ItemFeatures, ModalityFeatures


def features_of(ids, dim=3, modality="text", num_vectors=2, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((len(ids), num_vectors, dim))
    part = ModalityFeatures(vectors, rng.random((len(ids), num_vectors)) < 0.7)
    return ItemFeatures(ids, {modality: part}, {modality: f"made-{seed}"})


def test_masked_vectors_are_zero():
    part = ModalityFeatures(np.ones((2, 2, 3)), np.array([[True, False], [False, False]]))
    assert part.vectors[0, 0].all() and not part.vectors[0, 1].any()
    assert part.present.tolist() == [True, False]
    assert part.vectors.dtype == np.float32


def test_masked_rubbish_is_harmless_and_real_rubbish_an_error():
    vectors = np.ones((3, 1, 2))
    vectors[1] = np.nan
    part = ModalityFeatures(vectors, np.array([[True], [False], [True]]))
    assert np.isfinite(part.vectors).all()
    with pytest.raises(QBert4RecError, match="item row 1"):
        ModalityFeatures(vectors, np.ones((3, 1), bool))


def test_shapes_must_fit():
    with pytest.raises(QBert4RecError, match="mask"):
        ModalityFeatures(np.ones((2, 1, 3)), np.ones(2, bool))
    part = ModalityFeatures.empty(2, 3)
    with pytest.raises(QBert4RecError, match="text features have 2 rows for 3 items"):
        ItemFeatures(["a", "b", "c"], {"text": part})


def test_save_and_load_are_bit_equal(tmp_path):
    features = features_of(["a", "b", "c"])
    features.save(tmp_path / "features")
    loaded = ItemFeatures.load(tmp_path / "features")
    assert loaded.item_ids == features.item_ids
    assert loaded.fingerprints == features.fingerprints
    assert loaded.fingerprint == features.fingerprint
    np.testing.assert_array_equal(
        loaded.modalities["text"].vectors, features.modalities["text"].vectors
    )
    assert sorted(path.name for path in (tmp_path / "features").iterdir()) == [
        "index.json",
        "text.safetensors",
    ]


def test_features_without_any_modality_can_be_kept(tmp_path):
    ItemFeatures(["a"], {}).save(tmp_path / "features")
    assert ItemFeatures.load(tmp_path / "features").modalities == {}


def test_a_broken_folder_names_its_file(tmp_path):
    features_of(["a", "b"]).save(tmp_path)
    (tmp_path / "text.safetensors").write_bytes(b"rubbish")
    with pytest.raises(QBert4RecError, match="text.safetensors"):
        ItemFeatures.load(tmp_path)
    modalities = ("[]", '{"text": "text.safetensors"}', '{"text": {}}')
    broken = [f'{{"item_ids": ["a"], "modalities": {each}}}' for each in modalities]
    for content in ("{}", *broken):
        (tmp_path / "index.json").write_text(content)
        with pytest.raises(QBert4RecError, match="index.json"):
            ItemFeatures.load(tmp_path)


@settings(max_examples=30, deadline=None)
@given(st.permutations(list("abcdef")), st.integers(1, 6))
def test_align_finds_rows_by_item_id(order, count):
    features = features_of(list("abcdef"))
    aligned = features.align(order[:count])
    assert aligned.item_ids == order[:count]
    for row, item_id in enumerate(aligned.item_ids):
        np.testing.assert_array_equal(
            aligned.modalities["text"].vectors[row],
            features.modalities["text"].vectors["abcdef".index(item_id)],
        )


def test_align_names_an_unknown_item_or_masks_it():
    features = features_of(["a", "b"])
    with pytest.raises(QBert4RecError, match="'x'"):
        features.align(["b", "x"])
    masked = features.align(["x", "b"], missing="mask")
    assert masked.modalities["text"].present[0] == np.False_
    assert not masked.modalities["text"].vectors[0].any()


def test_stack_puts_domains_below_each_other():
    first = features_of(["a", "b"], num_vectors=1)
    second = features_of(["a", "c"], num_vectors=3, seed=1)
    second = second.with_modality("image", ModalityFeatures(np.ones((2, 1, 5)), np.ones((2, 1))))
    stacked = ItemFeatures.stack([first, second])
    assert stacked.item_ids == ["a", "b", "a", "c"]
    assert list(stacked.modalities) == ["text", "image"]
    assert stacked.dims == {"text": 3, "image": 5}
    assert stacked.modalities["image"].present.tolist() == [False, False, True, True]
    text = stacked.modalities["text"]
    np.testing.assert_array_equal(text.vectors[:2, :1], first.modalities["text"].vectors)
    np.testing.assert_array_equal(text.vectors[2:], second.modalities["text"].vectors)
    assert not text.mask[:2, 1:].any()
    with pytest.raises(QBert4RecError, match="two rows"):
        stacked.align(["a"])


def test_stack_refuses_other_dimensions():
    with pytest.raises(QBert4RecError, match=r"text features have different dimensions \[3, 4\]"):
        ItemFeatures.stack([features_of(["a"]), features_of(["b"], dim=4)])
    with pytest.raises(QBert4RecError, match="no features"):
        ItemFeatures.stack([])


def test_tensors_and_coverage():
    features = features_of(["a", "b", "c"])
    vectors, masks = features.as_tensors()
    assert vectors["text"].shape == (3, 2, 3) and masks["text"].dtype == torch.bool
    assert features.coverage() == {"text": int(features.modalities["text"].present.sum())}


def test_select_and_fingerprints():
    features = features_of(["a", "b"])
    part = ModalityFeatures(np.ones((2, 1, 5)), np.ones((2, 1)))
    both = features.with_modality("image", part)
    assert both.fingerprint != features.fingerprint
    assert both.select(["text"]).fingerprint == features.fingerprint
    with pytest.raises(QBert4RecError, match="no sound features"):
        both.select(["sound"])

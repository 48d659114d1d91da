from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.store import ItemFeatures, ModalityFeatures
from qbert4rec_hf.features.structural import propagate, spectral


def content(num_items, dims=(3, 2), seed=0):
    rng = np.random.default_rng(seed)
    names = ["text", "image"]
    return ItemFeatures(
        [f"i{row}" for row in range(num_items)],
        {
            name: ModalityFeatures(
                rng.standard_normal((num_items, 2, dim)), rng.random((num_items, 2)) < 0.6
            )
            for name, dim in zip(names, dims, strict=False)
        },
    )


def by_hand(features, lists):
    """Neighbour by neighbour, as the definition says."""
    num_items = len(features)
    weights = np.zeros((num_items, num_items))
    for row in lists:
        distinct = sorted(set(row))
        for a in distinct:
            for b in distinct:
                if a != b:
                    weights[a, b] += 1 / np.sqrt(len(distinct))
    edges = weights.sum(axis=1)
    weights = weights / np.sqrt(np.where(edges > 0, edges, 1))
    parts, found = [], np.zeros(num_items, bool)
    for part in features.modalities.values():
        mean = np.zeros((num_items, part.dim))
        for item in range(num_items):
            total = 0.0
            for other in range(num_items):
                if weights[item, other] and part.present[other]:
                    shown = part.vectors[other][part.mask[other]].astype(np.float64)
                    shown = (shown / np.linalg.norm(shown, axis=1, keepdims=True)).sum(axis=0)
                    mean[item] += weights[item, other] * shown / np.linalg.norm(shown)
                    total += weights[item, other]
            if total:
                mean[item] /= total
                found[item] = True
        parts.append(mean)
    return np.concatenate(parts, axis=1), found


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 7), max_size=6), max_size=8), st.integers(0, 5))
def test_propagate_is_the_mean_of_neighbours(lists, seed):
    features = content(8, seed=seed)
    result = propagate(features, Sequences.from_lists(lists))
    expected, found = by_hand(features, lists)
    assert result.vectors.shape == (8, 1, 5)
    np.testing.assert_array_equal(result.present, found)
    np.testing.assert_allclose(result.vectors[:, 0], expected, atol=1e-6)


def test_an_item_does_not_see_itself():
    features = content(3)
    for part in features.modalities.values():
        part.mask[:] = True
    other = content(3)
    for part in other.modalities.values():
        part.mask[:] = True
    train = Sequences.from_lists([[0, 1], [0, 1, 0]])
    before = propagate(features, train)
    features.modalities["text"].vectors[0] = 9.0
    after = propagate(features, train)
    np.testing.assert_array_equal(before.vectors[0], after.vectors[0])
    assert (before.vectors[1] != after.vectors[1]).any()
    assert not after.present[2]


def test_structure_is_not_propagated_again():
    features = content(4)
    train = Sequences.from_lists([[0, 1, 2]])
    first = propagate(features, train)
    again = propagate(features.with_modality("structural", first), train)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    with pytest.raises(QBert4RecError, match="spectral"):
        propagate(ItemFeatures(["a"], {}), train)


def test_best_sellers_do_not_drown_the_rest():
    """Item 0 is in every history, item 1 in that of item 2 only."""
    features = ItemFeatures(
        list("abcdef"), {"text": ModalityFeatures(np.eye(6)[:, None], np.ones((6, 1), bool))}
    )
    train = Sequences.from_lists([[0, 1, 2], [0, 3], [0, 4], [0, 5]])
    vector = propagate(features, train).vectors[2, 0]
    assert vector[1] > vector[0] > 0
    np.testing.assert_allclose(vector.sum(), 1, rtol=1e-6)


def test_an_item_outside_is_an_error():
    with pytest.raises(QBert4RecError, match="item row 9"):
        propagate(content(4), Sequences.from_lists([[0, 9]]))
    with pytest.raises(QBert4RecError, match="item row 9"):
        spectral(Sequences.from_lists([[0, 9]]), 4)


def test_propagation_is_fast_on_a_large_catalogue():
    rng = np.random.default_rng(0)
    train = Sequences.from_lengths(rng.integers(0, 20_000, 200_000), np.full(20_000, 10))
    vectors = rng.standard_normal((20_000, 1, 128)).astype(np.float32)
    features = ItemFeatures(
        list(map(str, range(20_000))),
        {"text": ModalityFeatures(vectors, np.ones((20_000, 1), bool))},
    )
    start = time.perf_counter()
    propagate(features, train)
    # Well under a second by itself; a loop over items or pairs would take minutes.
    assert time.perf_counter() - start < 15


def blocks():
    """Two groups of items that are never bought together, and an item that nobody has."""
    rng = np.random.default_rng(0)
    lists = [rng.choice(10, 4, replace=False) for _ in range(60)]
    lists += [10 + rng.choice(10, 4, replace=False) for _ in range(60)]
    return Sequences.from_lists(lists)


def test_spectral_tells_groups_apart():
    result = spectral(blocks(), 21, dim=4)
    vectors = result.vectors[:, 0]
    assert result.present.tolist() == [True] * 20 + [False]
    np.testing.assert_allclose(np.linalg.norm(vectors[:20], axis=1), 1, atol=1e-5)
    similar = vectors @ vectors.T
    assert abs(similar[:10, 10:20]).max() < 1e-3
    assert similar[:10, :10].mean() > 0.25


def test_spectral_repeats_and_follows_renumbering():
    train = blocks()
    first, second = spectral(train, 21, dim=4), spectral(train, 21, dim=4)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    order = np.random.default_rng(1).permutation(21)
    renumbered = spectral(Sequences(order[train.items], train.offsets), 21, dim=20)
    plain = spectral(train, 21, dim=20).vectors[:, 0]
    moved = renumbered.vectors[order, 0]
    # Axes may turn; angles between items may not.
    np.testing.assert_allclose(plain @ plain.T, moved @ moved.T, atol=1e-4)


def test_spectral_of_few_items_warns(caplog):
    result = spectral(Sequences.from_lists([[0, 1, 2]]), 3, dim=8)
    assert result.dim == 8 and "2 axes instead of 8" in caplog.text
    with pytest.raises(QBert4RecError, match="1 or more, got 0"):
        spectral(Sequences.from_lists([[0, 1, 2]]), 3, dim=0)
    with pytest.raises(QBert4RecError, match="no graph"):
        spectral(Sequences.from_lists([[0], [1]]), 3)

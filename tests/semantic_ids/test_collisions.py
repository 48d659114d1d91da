"""Reallocation: unique IDs, nothing moved without need, the nearest free code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.semantic_ids.collisions import check_codes, reallocate


def distances_of(items: int, sizes: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((items, len(sizes), max(sizes)), dtype=np.float32)


def by_hand(codes, distances, sizes, fixed) -> np.ndarray:
    """The rule of section 3.4, one item at a time and one pass a level, over sets of tuples."""
    rank = sorted(range(len(codes)), key=lambda row: (distances[row, -1, : sizes[-1]].min(), row))
    codes = [tuple(of_item) for of_item in codes.tolist()]
    fixed = {tuple(of_item) for of_item in fixed.tolist()}
    taken, waiting = set(fixed), []
    for row in rank:
        if codes[row] in taken:
            waiting.append(row)
        taken.add(codes[row])
    for level in reversed(range(len(sizes))):
        left = []
        for row in waiting:
            path = codes[row][:level]

            def free_below(path):
                shape = sizes[len(path) :]
                return any(path + rest not in taken for rest in np.ndindex(*shape))

            if not free_below(path):
                left.append(row)
                continue
            for deeper in range(level, len(sizes)):
                nearest = np.argsort(distances[row, deeper, : sizes[deeper]], kind="stable")
                code = next(c for c in nearest.tolist() if free_below((*path, c)))
                path = (*path, code)
            codes[row] = path
            taken.add(path)
        waiting = left
    return np.array(codes)


@st.composite
def problems(draw):
    """Codes that collide often, with fixed IDs, always with room for all."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    space = int(np.prod(sizes))
    items = draw(st.integers(0, space))
    present = draw(st.integers(0, space - items))
    seed = draw(st.integers(0, 2**16))
    random = np.random.default_rng(seed)
    every = np.array(list(np.ndindex(*sizes))).reshape(space, len(sizes))
    fixed = every[random.choice(space, present, replace=False)]
    width = draw(st.integers(1, 4))
    codes = random.integers(0, np.minimum(sizes, width), size=(items, len(sizes)))
    # Few distinct numbers, so that equal distances occur.
    distances = random.integers(0, 5, size=(items, len(sizes), max(sizes))).astype(np.float32)
    return codes, distances, sizes, fixed


@settings(max_examples=150, deadline=None)
@given(problems())
def test_laws(problem):
    codes, distances, sizes, fixed = problem
    result = reallocate(codes, distances, sizes, fixed=fixed)
    together = np.concatenate([fixed, result.codes])
    assert len(np.unique(together, axis=0)) == len(together)
    assert ((result.codes >= 0) & (result.codes < sizes)).all()
    before = np.concatenate([fixed, codes])
    _, number, counts = np.unique(before, axis=0, return_inverse=True, return_counts=True)
    alone = counts[number.reshape(-1)][len(fixed) :] == 1
    np.testing.assert_array_equal(result.codes[alone], codes[alone])
    assert result.num_collisions_before == (~alone).sum()
    np.testing.assert_array_equal(result.moved, (result.codes != codes).any(axis=1))
    for row in range(len(codes)):
        level = result.level_of_change[row]
        assert (level < len(sizes)) == result.moved[row]
        np.testing.assert_array_equal(result.codes[row, :level], codes[row, :level])


@settings(max_examples=150, deadline=None)
@given(problems())
def test_agrees_with_the_rule_done_by_hand(problem):
    codes, distances, sizes, fixed = problem
    expected = by_hand(codes, distances, sizes, fixed)
    result = reallocate(codes, distances, sizes, fixed=fixed)
    np.testing.assert_array_equal(result.codes, expected.reshape(codes.shape))


@pytest.mark.parametrize("items", [2, 3, 256, 257, 300])
@pytest.mark.parametrize("identical", [True, False])
def test_one_id_for_all(items, identical):
    sizes = [256] * 4
    distances = distances_of(items, sizes)
    if identical:
        distances[:] = distances[0]
    codes = np.tile([7, 8, 9, 10], (items, 1))
    result = reallocate(codes, distances, sizes)
    assert len(np.unique(result.codes, axis=0)) == items
    # The last level of the item's own prefix fills up before anything above is touched.
    assert (result.codes[:, :3] == [7, 8, 9]).all(axis=1).sum() == min(items, 256)
    assert (result.codes[:, :2] == [7, 8]).all()
    assert (result.level_of_change == 2).sum() == max(items - 256, 0)
    assert result.num_collisions_before == items
    assert [len(group) for group in result.duplicate_groups] == ([items] if identical else [])


def test_the_closest_keeps_its_id_and_the_next_takes_the_nearest_free_code():
    distances = np.full((3, 2, 4), 9.0)
    distances[0, 1] = [0.5, 0.7, 0.6, 0.9]
    distances[1, 1] = [0.1, 0.7, 0.6, 0.9]
    distances[2, 1] = [0.4, 0.7, 0.5, 0.9]
    result = reallocate(np.array([[3, 0]] * 3), distances, [4, 4])
    assert result.codes.tolist() == [[3, 1], [3, 0], [3, 2]]
    assert result.moved.tolist() == [True, False, True]
    assert result.level_of_change.tolist() == [1, 2, 1]


def test_a_full_last_level_of_neighbours_does_not_send_others_up():
    # Two prefixes: the first overflows into the second, whose own colliding items come first.
    sizes = [2, 2]
    codes = np.array([[0, 0], [0, 0], [0, 0], [1, 0]])
    result = reallocate(codes, distances_of(4, sizes), sizes)
    assert result.codes[3].tolist() == [1, 0]
    assert sorted(map(tuple, result.codes.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_identical_items_are_listed_and_others_are_not():
    sizes = [4, 8]
    distances = distances_of(5, sizes)
    distances[3] = distances[1]
    codes = np.array([[0, 0], [1, 1], [1, 1], [1, 1], [2, 2]])
    groups = reallocate(codes, distances, sizes).duplicate_groups
    assert [group.tolist() for group in groups] == [[1, 3]]


def test_fixed_ids_push_new_items_aside_and_may_repeat():
    fixed = np.array([[0, 0], [0, 0], [0, 1]])
    result = reallocate(
        np.array([[0, 0]]), np.array([[[0.1, 0.2], [0.1, 0.2]]]), [2, 2], fixed=fixed
    )
    assert result.codes.tolist() == [[1, 0]]
    assert result.num_collisions_before == 1


def test_a_function_gives_the_same_as_an_array_and_is_asked_for_colliding_items_only(monkeypatch):
    monkeypatch.setattr("qbert4rec_hf.semantic_ids.collisions._CHUNK", 7)
    sizes = [6, 5, 4]
    random = np.random.default_rng(3)
    codes = random.integers(0, 3, size=(80, 3)) * [1, 1, 1]
    distances = distances_of(80, sizes)
    asked = set()

    def function(rows):
        assert len(rows) <= 7
        asked.update(rows.tolist())
        return distances[rows]

    expected = reallocate(codes, distances, sizes)
    result = reallocate(codes, function, sizes)
    np.testing.assert_array_equal(result.codes, expected.codes)
    _, number, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    assert asked == set(np.flatnonzero(counts[number.reshape(-1)] > 1).tolist())


def test_nothing_to_do_asks_for_nothing():
    def function(rows):
        raise AssertionError("asked")

    codes = np.array([[0, 1], [1, 0]])
    result = reallocate(codes, function, [2, 2])
    assert result.codes.tolist() == codes.tolist() and not result.moved.any()
    assert len(reallocate(np.empty((0, 2), np.int64), function, [2, 2]).codes) == 0


@pytest.mark.parametrize("size", [256, 512, 1000])
def test_large_codebooks(size):
    sizes = [size, size]
    codes = np.full((size + 1, 2), size - 1)
    result = reallocate(codes, distances_of(size + 1, sizes), sizes)
    assert len(np.unique(result.codes, axis=0)) == size + 1 and result.codes.max() < size


def test_levels_whose_product_is_no_64_bit_number():
    sizes = [256] * 10
    codes = np.zeros((300, 10), np.int64)
    result = reallocate(codes, distances_of(300, sizes), sizes)
    assert len(np.unique(result.codes, axis=0)) == 300
    assert (result.codes[:, :8] == 0).all()


def test_thousands_on_one_id_take_no_more_than_seconds():
    sizes = [256] * 4
    distances = np.broadcast_to(distances_of(1, sizes), (12_000, 4, 256))
    result = reallocate(np.zeros((12_000, 4), np.int64), distances, sizes)
    assert len(np.unique(result.codes, axis=0)) == 12_000
    assert (result.codes[:, :2] == 0).all()


def test_an_id_space_that_is_too_small():
    codes = np.zeros((5, 2), np.int64)
    with pytest.raises(QBert4RecError, match=r"5 items .* 4 semantic IDs of codebooks \[2, 2\]"):
        reallocate(codes, distances_of(5, [2, 2]), [2, 2])
    with pytest.raises(QBert4RecError, match="5 items"):
        reallocate(codes[:2], distances_of(2, [2, 2]), [2, 2], fixed=[[0, 0], [0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("codes", "distances", "fixed", "message"),
    [
        ([[0, 0], [0, 3]], np.zeros((2, 2, 3)), None, "codes row 1: code 3 of level 1"),
        ([[0, -1]], np.zeros((1, 2, 3)), None, "code -1"),
        ([[0, 0, 0]], np.zeros((1, 3, 3)), None, r"codes must be \[items, 2\]"),
        ([[0, 0], [0, 0]], np.zeros((2, 2, 2)), None, r"distances must be \[2, 2, 3\]"),
        ([[0, 0], [0, 0]], np.full((2, 2, 3), np.nan), None, "item row 0 at level 0"),
        ([[0, 0]], np.zeros((1, 2, 3)), [[0, 7]], "fixed row 0: code 7"),
    ],
)
def test_bad_input(codes, distances, fixed, message):
    with pytest.raises(QBert4RecError, match=message):
        reallocate(np.array(codes), distances, [3, 3], fixed=fixed)


def test_what_lies_beyond_a_smaller_codebook_is_not_looked_at():
    distances = distances_of(4, [2, 8])
    distances[:, 0, 2:] = -np.inf
    result = reallocate(np.zeros((4, 2), np.int64), distances, [2, 8])
    assert (result.codes[:, 0] == 0).all() and len(np.unique(result.codes, axis=0)) == 4


def test_codes_that_are_no_whole_numbers():
    with pytest.raises(QBert4RecError, match="whole numbers"):
        check_codes(np.array([[0.5]]), [2])

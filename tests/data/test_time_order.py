from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.time_order import count_tied_pairs, order_by_time


def test_time_decides_and_shuffled_rows_change_nothing(items, interactions, histories):
    expected = histories(Domain.from_tables(items, interactions, name="camp"))
    assert expected["u2"] == ["d", "b", "c"]
    assert expected["u1"][0] == "007" and expected["u1"][-1] == "d"
    for seed in range(5):
        shuffled = interactions.sample(frac=1, random_state=seed)
        assert histories(Domain.from_tables(items, shuffled, name="camp")) == expected


def test_ties_follow_neither_item_nor_file_order():
    users, per_user = 400, 4
    user_index = np.repeat(np.arange(users), per_user)
    item_index = np.tile(np.arange(per_user), users)
    order = order_by_time(
        user_index,
        item_index,
        np.zeros(len(user_index), dtype=np.int64),
        [f"u{i}" for i in range(users)],
        [f"i{i}" for i in range(per_user)],
    )
    last = item_index[order].reshape(users, per_user)[:, -1]
    # Each of four items is last for a quarter of the users: 100, with a deviation of 8.7.
    assert (abs(np.bincount(last, minlength=per_user) - 100) < 40).all()


def test_the_seed_changes_the_order_of_ties_only(items, interactions, histories):
    orders = {
        tuple(histories(Domain.from_tables(items, interactions, name="c", tie_seed=seed))["u1"])
        for seed in range(20)
    }
    assert orders == {("007", "b", "c", "d"), ("007", "c", "b", "d")}


def test_the_hash_is_the_same_everywhere():
    order = order_by_time(
        np.zeros(6, dtype=np.int64),
        np.arange(6),
        np.zeros(6, dtype=np.int64),
        ["u"],
        [f"i{i}" for i in range(6)],
    )
    # Written down once: a change would silently change every split with ties.
    assert order.tolist() == [5, 4, 0, 1, 2, 3]


def test_tied_pairs_are_neighbours_of_one_user():
    stamps = np.array([1, 2, 2, 2, 1, 1, 2, 7, 7, 7])
    # The second user has no interactions, nor has the last one.
    offsets = np.array([0, 4, 4, 7, 10, 10])
    assert count_tied_pairs(stamps, offsets) == 5
    assert count_tied_pairs(stamps, np.array([0, 3, 10])) == 1 + 3
    assert count_tied_pairs(np.array([3, 3]), np.array([0, 1, 2])) == 0
    assert count_tied_pairs(np.empty(0, dtype=np.int64), np.array([0, 0])) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), max_size=12))
def test_rows_that_stand_in_order_stay_as_they_are(rows):
    """What was ordered once is found to be in order, and nothing else is."""
    users, items, stamps = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    ids = [f"id{i}" for i in range(4)]
    once = order_by_time(users, items, stamps, ids, ids)
    users, items, stamps = users[once], items[once], stamps[once]
    keys = list(zip(users, stamps, strict=True))
    assert keys == sorted(keys)
    again = order_by_time(users, items, stamps, ids, ids)
    assert again.tolist() == list(range(len(rows)))

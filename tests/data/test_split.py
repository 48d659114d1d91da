from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.data.split import leave_one_out, temporal_split
from qbert4rec_hf.errors import QBert4RecError


def test_last_is_test_and_last_but_one_validation():
    rows = [[1, 2, 3, 4], [5, 6], [7], [8, 9, 1]]
    split = leave_one_out(Sequences.from_lists(rows), ["a", "b", "c", "d"])
    assert [row.tolist() for row in split.train] == [[1, 2], [5, 6], [7], [8]]
    assert split.user_ids.tolist() == ["a", "b", "c", "d"]
    assert split.evaluated("test").tolist() == [0, 3]
    assert split.num_training_only == 2
    assert [row.tolist() for row in split.histories("validation")] == [[1, 2], [8]]
    assert [row.tolist() for row in split.histories("test")] == [[1, 2, 3], [8, 9]]
    assert split.targets("validation").tolist() == [3, 9]
    assert split.targets("test").tolist() == [4, 1]


@given(st.lists(st.integers(0, 6), max_size=8))
def test_nothing_is_lost_and_no_held_out_item_is_in_training(lengths):
    # Every item occurs once, so an item that leaks is seen at once.
    items = iter(range(sum(lengths)))
    rows = [[next(items) for _ in range(length)] for length in lengths]
    split = leave_one_out(Sequences.from_lists(rows), [str(i) for i in range(len(rows))])
    held_out = {*split.targets("validation").tolist(), *split.targets("test").tolist()}
    assert not held_out & set(split.train.items.tolist())
    whole = split.histories("test").append(split.targets("test"))
    assert [row.tolist() for row in whole] == [row for row in rows if len(row) >= 3]


def test_wrong_arguments_are_named():
    split = leave_one_out(Sequences.from_lists([[1, 2, 3]]), ["a"])
    with pytest.raises(QBert4RecError, match="validation, test, got 'train'"):
        split.histories("train")
    with pytest.raises(QBert4RecError, match="1 sequences came with 2 user ids"):
        leave_one_out(Sequences.from_lists([[1]]), ["a", "b"])


def stamped(rows: list[list[tuple[int, int]]]) -> tuple[Sequences, np.ndarray, list[str]]:
    """Histories of (item, time stamp) pairs as sequences, stamps and user ids."""
    sequences = Sequences.from_lists([[item for item, _ in row] for row in rows])
    stamps = np.array([stamp for row in rows for _, stamp in row], dtype=np.int64)
    return sequences, stamps, [f"u{number}" for number in range(len(rows))]


HISTORIES = [
    [(1, 1), (2, 5), (3, 12), (4, 13), (5, 25)],  # in every period
    [(6, 2), (7, 22)],  # nothing in the validation period
    [(8, 11), (9, 21)],  # no history before validation
    [(10, 3)],  # training only
    [(11, 30)],  # test only
    [(12, 4), (13, 10), (14, 20), (15, 20)],  # on the cut-offs; tied with the next
]


def test_a_temporal_split_has_one_cut_off_for_everybody():
    sequences, stamps, users = stamped(HISTORIES)
    split = temporal_split(sequences, users, stamps, validation_from=10, test_from=20)
    assert [row.tolist() for row in split.train] == [[1, 2], [6], [], [10], [], [12]]
    assert split.evaluated("validation").tolist() == [0, 5]
    assert split.targets("validation").tolist() == [3, 13]
    assert [row.tolist() for row in split.histories("validation")] == [[1, 2], [12]]
    assert split.evaluated("test").tolist() == [0, 1, 2, 5]
    assert split.targets("test").tolist() == [5, 7, 9, 14]
    assert [row.tolist() for row in split.histories("test")] == [
        [1, 2, 3, 4],
        [6],
        [8],
        [12, 13],
    ]
    assert split.num_training_only == 2
    assert split.held_out["test"].tied.tolist() == [False, False, False, True]


def test_a_temporal_split_without_tied_users():
    sequences, stamps, users = stamped(HISTORIES)
    arguments = {"validation_from": 10, "test_from": 20}
    kept = temporal_split(sequences, users, stamps, **arguments)
    split = temporal_split(sequences, users, stamps, ties="drop-users", **arguments)
    assert split.evaluated("test").tolist() == [0, 1, 2]
    # In validation that user is not tied; and the cut-off alone decides what is trained on.
    assert split.evaluated("validation").tolist() == [0, 5]
    assert split.train == kept.train
    assert split.splitting("test").dropped_users == 1
    assert split.splitting("test").tied_users == 0


@given(
    st.lists(st.lists(st.integers(0, 12), max_size=7).map(sorted), max_size=6),
    st.integers(0, 12),
    st.integers(1, 6),
)
def test_nothing_from_the_cut_off_on_is_in_training(stamps_of_users, validation_from, length):
    # Every item occurs once and is its own time stamp's: an item that leaks is seen at once.
    test_from, number, rows = validation_from + length, iter(range(1000)), []
    for stamps in stamps_of_users:
        rows.append([(next(number), stamp) for stamp in stamps])
    stamp_of = dict(pair for row in rows for pair in row)
    sequences, stamps, users = stamped(rows)
    split = temporal_split(
        sequences, users, stamps, validation_from=validation_from, test_from=test_from
    )
    assert all(stamp_of[item] < validation_from for item in split.train.items.tolist())
    for name, start, end in (("validation", validation_from, test_from), ("test", test_from, 99)):
        known, targets = split.histories(name), split.targets(name).tolist()
        expected = {}
        for user, row in enumerate(rows):
            history = [item for item, stamp in row if stamp < start]
            later = [item for item, stamp in row if start <= stamp < end]
            if history and later:
                expected[user] = (history, later[0])
        found = zip(split.evaluated(name).tolist(), known, targets, strict=True)
        assert {user: (row.tolist(), item) for user, row, item in found} == expected


def test_users_with_tied_held_out_items_stay_in_training_whole():
    rows = [
        [(1, 1), (2, 2), (3, 3), (4, 3)],  # the test item is tied
        [(5, 1), (6, 1), (7, 2)],  # the validation item is tied
        [(8, 1), (9, 1), (10, 2), (11, 3)],  # a tie inside training
        [(12, 4), (13, 4)],  # too short to be evaluated
    ]
    sequences, stamps, users = stamped(rows)
    kept = leave_one_out(sequences, users, timestamps=stamps)
    assert kept.splitting("test").tied_users == kept.splitting("validation").tied_users == 1
    assert kept.splitting("test").tied_share == pytest.approx(1 / 3)
    split = leave_one_out(sequences, users, timestamps=stamps, ties="drop-users")
    for name in ("validation", "test"):
        assert split.evaluated(name).tolist() == [2]
        assert split.splitting(name).dropped_users == 2
    assert [row.tolist() for row in split.train] == [[1, 2, 3, 4], [5, 6, 7], [8, 9], [12, 13]]


def test_other_item_numbers_change_nothing_else():
    sequences, stamps, users = stamped(HISTORIES)
    split = temporal_split(sequences, users, stamps, validation_from=10, test_from=20)
    other = split.renumbered(np.arange(16)[::-1])
    assert other.targets("test").tolist() == (15 - split.targets("test")).tolist()
    assert other.evaluated("test").tolist() == split.evaluated("test").tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_from": 5, "test_from": 5}, "validation_from must be below test_from"),
        ({"validation_from": 1, "test_from": 5, "ties": "toss"}, "ties must be one of keep"),
    ],
)
def test_wrong_settings_of_a_temporal_split_are_named(arguments, message):
    sequences, stamps, users = stamped(HISTORIES)
    with pytest.raises(QBert4RecError, match=message):
        temporal_split(sequences, users, stamps, **arguments)
    with pytest.raises(QBert4RecError, match="needs time stamps"):
        temporal_split(sequences, users, None, validation_from=1, test_from=2)
    with pytest.raises(QBert4RecError, match="needs time stamps"):
        leave_one_out(sequences, users, ties="drop-users")
    with pytest.raises(QBert4RecError, match="15 interactions came with 14 time stamps"):
        leave_one_out(sequences, users, timestamps=stamps[1:])


def test_an_evaluation_of_nobody_says_why():
    sequences, stamps, users = stamped([[(1, 1), (2, 2)], [(3, 5), (4, 6), (5, 6)]])
    tied = leave_one_out(sequences, users, timestamps=stamps, ties="drop-users")
    with pytest.raises(QBert4RecError, match="all 1 users are tied"):
        tied.require_evaluated("test", "shop")
    late = temporal_split(sequences, users, stamps, validation_from=10, test_from=20)
    with pytest.raises(QBert4RecError, match="shop: no user .* test period .from time stamp 20"):
        late.require_evaluated("test", "shop")
    short = leave_one_out(Sequences.from_lists([[1, 2]]), ["a"])
    with pytest.raises(QBert4RecError, match="no user with three interactions"):
        short.require_evaluated("validation", "shop")
    leave_one_out(sequences, users).require_evaluated("test", "shop")

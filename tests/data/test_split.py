from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.data.split import leave_one_out
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

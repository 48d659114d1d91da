from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=6)


def as_lists(sequences: Sequences) -> list[list[int]]:
    return [row.tolist() for row in sequences]


@given(ROWS)
def test_rows_come_back_as_given(rows):
    sequences = Sequences.from_lists(rows)
    assert len(sequences) == len(rows)
    assert as_lists(sequences) == rows
    assert [sequences[i].tolist() for i in range(-len(rows), 0)] == rows
    assert sequences.lengths.tolist() == [len(row) for row in rows]
    assert sequences.row_index.tolist() == [i for i, row in enumerate(rows) for _ in row]


@given(ROWS, st.integers(0, 7))
def test_ends_of_rows_as_list_slices(rows, n):
    sequences = Sequences.from_lists(rows)
    assert as_lists(sequences.last(n)) == [row[-n:] if n else [] for row in rows]
    assert as_lists(sequences.drop_last(n)) == [row[: max(len(row) - n, 0)] for row in rows]
    appended = sequences.append(np.arange(len(rows)))
    assert as_lists(appended) == [[*row, i] for i, row in enumerate(rows)]


@given(ROWS, st.data())
def test_take_as_list_indexing(rows, data):
    sequences = Sequences.from_lists(rows)
    wanted = data.draw(st.lists(st.integers(-len(rows), len(rows) - 1)))
    assert as_lists(sequences.take(wanted)) == [rows[i] for i in wanted]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    kept = [row for row, keep in zip(rows, mask, strict=True) if keep]
    assert as_lists(sequences.take(mask)) == kept


@given(ROWS)
def test_csr_counts_each_item(rows):
    matrix = Sequences.from_lists(rows).to_csr(10)
    brute = np.array([np.bincount(np.array(row, int), minlength=10) for row in rows])
    np.testing.assert_array_equal(matrix.toarray(), brute)


def test_csr_leaves_the_sequences_alone():
    sequences = Sequences.from_lists([[3, 1, 3], [2]])
    sequences.to_csr(4)
    assert as_lists(sequences) == [[3, 1, 3], [2]]


def test_concat_and_shift_join_domains():
    first, second = Sequences.from_lists([[0, 1], []]), Sequences.from_lists([[1, 0]])
    joined = Sequences.concat([first, second.shift(2)])
    assert as_lists(joined) == [[0, 1], [], [3, 2]]
    assert len(Sequences.concat([])) == 0


def test_equality_looks_at_rows():
    assert Sequences.from_lists([[1], [2]]) == Sequences.from_lists([[1], [2]])
    assert Sequences.from_lists([[1], [2]]) != Sequences.from_lists([[1, 2], []])


@pytest.mark.parametrize("offsets", [[], [1, 2], [0, 1], [0, 2, 1, 2]])
def test_offsets_that_do_not_fit_are_refused(offsets):
    with pytest.raises(QBert4RecError, match="offsets must rise"):
        Sequences(np.array([4, 5]), np.array(offsets))


def test_outside_indices_are_refused():
    sequences = Sequences.from_lists([[0, 5]])
    with pytest.raises(QBert4RecError, match="item row 5 is outside a catalogue of 5"):
        sequences.to_csr(5)
    with pytest.raises(IndexError):
        sequences[1]
    with pytest.raises(IndexError):
        sequences.take([1])
    with pytest.raises(QBert4RecError, match="1 sequences need 1 items"):
        sequences.append(np.array([1, 2]))


def test_neighbours_are_of_one_row():
    before, after = Sequences.from_lists([[4, 1, 3], [], [2], [5, 5]]).neighbours()
    assert list(zip(before.tolist(), after.tolist(), strict=True)) == [(4, 1), (1, 3), (5, 5)]
    assert [len(part) for part in Sequences.from_lists([[], []]).neighbours()] == [0, 0]

from __future__ import annotations

import pytest

from qbert4rec_hf.errors import QBert4RecError

DAY = 86_400_000


def test_a_row_that_stands_twice_counts_once(prepare):
    rows = [("u", "a", 1, 5.0), ("u", "a", 1, 5.0), ("u", "a", 1, 4.0), ("u", "a", 2, 5.0)]
    prepared = prepare(rows, repeats="keep")
    assert prepared.dropped == {"duplicate row": 1}
    assert prepared.info.repeats


def test_the_first_of_repeated_pairs_stays(prepare, file_order):
    rows = [("u", "a", 7), ("u", "b", 5), ("u", "a", 3), ("v", "a", 9)]
    prepared = prepare(rows)
    assert prepared.dropped == {"user has the item already": 1}
    assert file_order(prepared.folder)["u"] == [("a", 3), ("b", 5)]
    assert not prepared.info.repeats


def test_the_period_includes_both_days(prepare, file_order):
    rows = [("u", str(n), n * DAY + n) for n in range(-2, 5)]
    prepared = prepare(rows, since="1970-01-02", until="1970-01-03")
    assert [item for item, _ in file_order(prepared.folder)["u"]] == ["1", "2"]
    assert prepared.dropped == {"before since": 3, "after until": 2}


def test_rows_without_a_rating_go_with_the_low_ones(prepare):
    rows = [("u", "a", 1, 5.0), ("u", "b", 2, 3.0), ("u", "c", 3, None), ("u", "d", 4, 4.0)]
    prepared = prepare(rows, min_rating=4)
    assert prepared.info.num_interactions == 2
    assert prepared.dropped == {"no rating": 1, "rating below 4": 1}


def test_a_step_that_leaves_nothing_says_which_and_what_to_change(prepare, tmp_path):
    rows = [("u", "a", 1, 5.0), ("u", "a", 1, 5.0), ("u", "b", 2, 3.0)]
    with pytest.raises(
        QBert4RecError,
        match="no interaction is left: rating below 9: 2; before that, duplicate row: 1; "
        "lower min_rating",
    ):
        prepare(rows, min_rating=9)
    assert not (tmp_path / "shop").exists()

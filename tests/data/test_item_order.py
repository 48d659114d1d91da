from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.item_order import MIN_PAIRS, count_rising_pairs, sorting_note
from qbert4rec_hf.data.sequences import Sequences

IDS = [f"B{number:03d}" for number in np.random.default_rng(0).permutation(200)]


def histories(*, within_a_day_sorted: bool, users: int = 400) -> Sequences:
    """Two days of three items each; a log that was written down day by day may sort either."""
    generator = np.random.default_rng(1)
    rows = []
    for _ in range(users):
        row = generator.choice(len(IDS), size=6, replace=False)
        if within_a_day_sorted:
            row = np.concatenate([sorted(day, key=IDS.__getitem__) for day in (row[:3], row[3:])])
        rows.append(row)
    return Sequences.from_lists(rows)


def test_pairs_of_one_user_are_counted_by_id_not_by_row():
    sequences = Sequences.from_lists([[0, 1, 2], [], [2, 0], [1], [1, 1]])
    # By id: b, c, a.
    assert count_rising_pairs(sequences, ["b", "c", "a"]) == 2
    assert count_rising_pairs(sequences, ["a", "b", "c"]) == 2
    assert count_rising_pairs(sequences, ["c", "b", "a"]) == 1
    assert count_rising_pairs(Sequences.from_lists([[], []]), ["a"]) == 0


def test_numbers_prove_nothing():
    rising = Sequences.from_lists([[0, 1, 2]])
    assert count_rising_pairs(rising, ["1", "2", "3"]) is None
    assert count_rising_pairs(rising, ["1", "2", "3x"]) == 2
    # A digit of another script is no number of an item.
    assert count_rising_pairs(rising, ["1", "2", "٣"]) == 2


def items_table() -> pd.DataFrame:
    return pd.DataFrame(
        {"item_id": IDS, "title": IDS, "text": [[] for _ in IDS], "images": [[] for _ in IDS]}
    )


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_domain_says_that_its_log_looks_sorted(tmp_path, is_sorted):
    sequences = histories(within_a_day_sorted=is_sorted)
    users = [f"u{number}" for number in range(len(sequences))]
    domain = Domain.from_sequences(items_table(), users, sequences, name="shop")
    # Four of five pairs are within a day; from one day's largest id to the next one's smallest it
    # goes down.
    assert domain.info.rising_share == pytest.approx(0.81 if is_sorted else 0.5, abs=0.03)
    folder = domain.save(tmp_path / "shop")
    loaded = Domain.load(folder)
    assert loaded.info == domain.info
    for text in (
        loaded.split().splitting("test").note,
        loaded.split().splitting("validation").note,
        (folder / "README.md").read_text(),
    ):
        assert "taken on trust" in text
        assert ("look sorted by item" in text) == is_sorted


def test_time_stamps_leave_nothing_to_suspect():
    sequences = histories(within_a_day_sorted=True)
    users = np.array([f"u{number}" for number in range(len(sequences))], dtype=object)
    domain = Domain.from_sequences(items_table(), users, sequences, name="shop")
    stamped = Domain.from_tables(
        items_table(), domain.interactions().assign(timestamp=1_500_000_000), name="shop"
    )
    assert stamped.info.rising_pairs is None
    # The tie-break has shuffled the day.
    assert count_rising_pairs(stamped.sequences()[1], stamped.item_ids) < 0.55 * 5 * len(users)


def test_a_few_pairs_say_nothing():
    sequences = histories(within_a_day_sorted=True, users=MIN_PAIRS // 5 - 1)
    users = [f"u{number}" for number in range(len(sequences))]
    info = Domain.from_sequences(items_table(), users, sequences, name="shop").info
    assert info.rising_pairs > 0 and info.rising_share is None


def test_chance_is_not_worth_a_sentence():
    assert sorting_note(None) == sorting_note(0.52) == ""
    assert sorting_note(0.6).startswith("60% of neighbouring items rise by id")

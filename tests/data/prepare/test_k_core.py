from __future__ import annotations

import pytest

from qbert4rec_hf.errors import QBert4RecError

# Two users and two items that hold each other, and a chain that comes apart from its end: without
# w, item c has one interaction; without c, v has one; without v, item d has one.
CHAIN = [
    ("u1", "a", 1),
    ("u1", "b", 2),
    ("u2", "a", 1),
    ("u2", "b", 2),
    ("u3", "b", 1),
    ("u3", "d", 2),
    ("v", "d", 1),
    ("v", "c", 2),
    ("w", "c", 1),
]


def test_a_chain_takes_several_rounds(prepare, loaded_histories):
    prepared = prepare(CHAIN, core=2)
    assert loaded_histories(prepared.folder) == {"u1": ["a", "b"], "u2": ["a", "b"]}
    assert prepared.table["rounds of the k-core"] == 5
    assert prepared.dropped == {"outside the 2-core": 5}


def test_a_chain_of_three_rounds(prepare):
    # v loses c with the lone item, then d loses v, then u3 loses d.
    prepared = prepare([*CHAIN[:7], ("v", "c", 2)], core=2)
    assert prepared.table["rounds of the k-core"] == 4
    prepared = prepare(CHAIN[:7], core=2)
    assert prepared.table["rounds of the k-core"] == 3


def test_users_and_items_may_need_different_numbers(prepare, loaded_histories):
    rows = [("u", item, n) for n, item in enumerate("abc")] + [("v", "a", 1), ("v", "b", 2)]
    assert set(loaded_histories(prepare(rows, user_core=3, item_core=1).folder)) == {"u"}
    assert prepare(rows, user_core=1, item_core=2).table["items"] == 2


def test_an_empty_core_says_at_which_k_something_remains(prepare, tmp_path):
    with pytest.raises(
        QBert4RecError,
        match=r"nothing remains of 9 interactions when each user needs 7 and each item 7.*"
        r"2-core would leave 2 users, 2 items, 4 interactions",
    ):
        prepare(CHAIN, core=7)
    assert not (tmp_path / "shop").exists()
    with pytest.raises(QBert4RecError, match=r"a 1-core would leave 1 users, 1 items"):
        prepare([("u", "a", 1)], core=5)
    with pytest.raises(QBert4RecError, match=r"core of 2 a user and 1 an item would leave 4"):
        prepare(CHAIN, user_core=9, item_core=1)


def test_repeats_count_as_interactions_where_they_are_kept(prepare):
    rows = [("u", "a", stamp) for stamp in range(5)]
    assert prepare(rows, core=5, repeats="keep").info.num_interactions == 5
    with pytest.raises(QBert4RecError, match="1-core"):
        prepare(rows, core=5)

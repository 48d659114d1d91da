from __future__ import annotations

import pytest

from qbert4rec_hf.data.splitting import Splitting, describe_stamp
from qbert4rec_hf.errors import QBert4RecError


def of(tied: int | None, users: int = 1000, **fields) -> Splitting:
    order = "trust" if tied is None else "timestamps"
    return Splitting("leave_one_out", "test", order, users, tied_users=tied, **fields)


@pytest.mark.parametrize(
    ("splitting", "words"),
    [
        (of(None), "taken on trust."),
        (of(None, rising_share=0.69), "taken on trust. 69% of neighbouring items rise by id"),
        (of(0), "No test item of these users shares its time stamp with the item before it."),
        (of(1), "less than 1% of these users"),
        (of(638), "64% of these users shares its time stamp with the item before: for them"),
        # Never all where some are not.
        (of(999), "99% of these users"),
        (of(1000), "100% of these users"),
        (of(0, users=0), "No test item"),
        (of(5, dropped_users=1200), "1,200 users were left out because"),
        (
            Splitting("temporal", "validation", "timestamps", 10, 5, 0, 100, 200),
            "The validation item of 50% of these users shares its time stamp with the item after",
        ),
    ],
)
def test_one_plain_sentence_says_how_far_order_can_be_believed(splitting, words):
    assert words in splitting.note and "\n" not in splitting.note


def test_the_record_comes_back():
    for splitting in (
        of(None),
        of(None, rising_share=0.69),
        of(12, dropped_users=3),
        Splitting("temporal", "test", "timestamps", 10, 5, 1, 1_500_000_000, 1_600_000_000, "s"),
    ):
        found = Splitting.from_dict(splitting.to_dict(), "test", splitting.num_users)
        assert found == splitting
    assert Splitting.from_dict({"splitting": "not stated"}, "test", 3) is None
    with pytest.raises(QBert4RecError, match="kind 'random' is not known"):
        Splitting.from_dict({"kind": "random"}, "test", 3)


def test_the_rule_names_its_cut_offs():
    splitting = Splitting("temporal", "test", "timestamps", 1, 0, 0, 1_500_000_000_000, 2, "ms")
    assert "training before 2017-07-14 02:40 UTC (1500000000000 ms)" in splitting.rule
    assert splitting.history == "everything before test_from"
    assert describe_stamp(10**18, "s") == f"time stamp {10**18} s"
    assert describe_stamp(-86_400, "s").startswith("1969-12-31")

from __future__ import annotations

import pytest

from qbert4rec_hf.data.prepare.settings import PrepareSettings
from qbert4rec_hf.errors import QBert4RecError


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-02T01:00", 90_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.999", -1),
        ("2018-06-17", 1_529_193_600_000),
    ],
)
def test_days_and_moments_are_utc_unless_they_say_otherwise(text, milliseconds):
    assert PrepareSettings(since=text).since_ms == milliseconds


def test_the_last_day_is_whole_the_last_moment_is_itself():
    assert PrepareSettings(until="1970-01-01").until_ms == 86_400_000 - 1
    assert PrepareSettings(until="19700101").until_ms == 86_400_000 - 1
    assert PrepareSettings(until="1970-01-01T00:00").until_ms == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": "yesterday"}, "since must be a day such as 2018-01-31.*'yesterday'"),
        ({"since": "2019-01-02", "until": "2019-01-01"}, r"since \(2019-01-02\) must not be after"),
        ({"user_core": -1}, "user_core must be 0 or more, got -1"),
        ({"max_history": 0}, "max_history must be 1 or more"),
        ({"min_rating": float("nan")}, "min_rating must be a number"),
        ({"repeats": "last"}, "repeats must be one of first, keep, got 'last'"),
        ({"items_without_metadata": "x"}, "items_without_metadata must be one of"),
        ({"ties": "x"}, "ties must be one of"),
        ({"split": "random"}, "split must be one of"),
        ({"test_from": "2019-01-01"}, "belong to the temporal split"),
        (
            {"split": "temporal", "validation_from": "2019-01-02", "test_from": "2019-01-01"},
            "must be before test_from",
        ),
    ],
)
def test_values_that_are_not_allowed_are_named(options, message):
    with pytest.raises(QBert4RecError, match=message):
        PrepareSettings(**options)

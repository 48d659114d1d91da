from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.prepare.engine import open_engine
from qbert4rec_hf.data.prepare.temporal import find_cutoffs
from qbert4rec_hf.errors import QBert4RecError

DAY = 86_400_000


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with open_engine(tmp_path_factory.mktemp("work"), threads=1) as engine:
        yield engine


@settings(max_examples=40, deadline=None)
@given(stamps=st.lists(st.integers(-30, 30), min_size=3, max_size=60))
def test_a_tenth_lies_in_each_period_as_nearly_as_ties_allow(engine, stamps):
    assume(len(set(stamps)) >= 3)
    values = ", ".join(f"({stamp})" for stamp in stamps)
    engine.create("ordered", f"SELECT col0::BIGINT AS ts FROM (VALUES {values})")
    validation_from, test_from = find_cutoffs(engine, None, None)
    tenth = len(stamps) / 10

    def later(cutoff):
        return sum(stamp >= cutoff for stamp in stamps)

    cutoffs = sorted(set(stamps))
    # The first stamp cannot start the test, nor the second when validation comes before it.
    best = min(abs(later(cutoff) - tenth) for cutoff in cutoffs[2:])
    assert abs(later(test_from) - tenth) == best
    best = min(
        abs(later(cutoff) - later(test_from) - tenth)
        for cutoff in cutoffs[1:]
        if cutoff < test_from
    )
    assert abs(later(validation_from) - later(test_from) - tenth) == best


def test_the_default_cutoffs_are_recorded_and_the_split_is_theirs(prepare):
    rows = [(f"u{n % 10}", f"i{n}", n * DAY) for n in range(100)]
    prepared = prepare(rows, split="temporal")
    assert (prepared.info.validation_from, prepared.info.test_from) == (80 * DAY, 90 * DAY)
    assert prepared.table["share of interactions for test"] == pytest.approx(0.1)
    domain = Domain.load(prepared.folder)
    assert domain.info == prepared.info
    assert len(domain.split().evaluated("test")) == prepared.table["users with a test item"] == 10


def test_ties_at_the_cutoff_are_counted_as_the_split_counts_them(prepare):
    rows = [(f"u{n % 4}", f"i{n}", n // 8 * DAY) for n in range(96)]
    prepared = prepare(rows, split="temporal", ties="drop-users")
    assert prepared.info.tied_users == 4
    assert Domain.load(prepared.folder).info == prepared.info


def test_cutoffs_that_were_given_stay(prepare):
    rows = [(f"u{n % 10}", f"i{n}", n * DAY) for n in range(100)]
    prepared = prepare(rows, split="temporal", test_from="1970-02-20")
    assert (prepared.info.validation_from, prepared.info.test_from) == (40 * DAY, 50 * DAY)
    prepared = prepare(rows, split="temporal", validation_from="1970-02-20")
    assert (prepared.info.validation_from, prepared.info.test_from) == (50 * DAY, 90 * DAY)


@pytest.mark.parametrize(
    ("stamps", "options", "message"),
    [
        ([5, 5, 5], {}, "needs time stamps before"),
        ([5, 6, 6], {}, "needs time stamps before"),
        ([5, 6, 7], {"test_from": "1980-01-01"}, "nothing happened from test_from"),
        ([5, 6, 7], {"test_from": "1960-01-01"}, "needs time stamps before"),
        ([5, 6, 7], {"validation_from": "1990-01-01"}, "needs time stamps before"),
    ],
)
def test_cutoffs_outside_the_log_are_refused(prepare, stamps, options, message):
    with pytest.raises(QBert4RecError, match=message):
        prepare([("u", str(n), s) for n, s in enumerate(stamps)], split="temporal", **options)

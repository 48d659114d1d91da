"""Cut-offs of the temporal split where the user named none."""

from __future__ import annotations

from ...errors import QBert4RecError
from .engine import Engine

# Share of the interactions in each of the two periods that are held out.
HELD_OUT_SHARE = 0.1


def find_cutoffs(
    engine: Engine, validation_from: int | None, test_from: int | None
) -> tuple[int, int]:
    """Completes the cut-offs of a temporal split.

    Args:
        engine: with the table `ordered`.
        validation_from: the first time stamp after training, where it is given.
        test_from: the first time stamp of the test period, where it is given.

    Returns:
        Both. One that was not given is the time stamp for which the share of the interactions in
        its period comes nearest to a tenth of all.

    Raises:
        QBert4RecError: with these cut-offs training or test has no interactions.
    """
    first, last, rows = engine.row("SELECT min(ts), max(ts), count(*) FROM ordered")
    wanted = HELD_OUT_SHARE * rows
    if test_from is None:
        start = first + 1 if validation_from is None else validation_from
        test_from = _nearest(engine, start, last, wanted)
    if validation_from is None and test_from is not None:
        later = engine.value(f"SELECT count(*) FROM ordered WHERE ts >= {test_from}")
        before = engine.value(f"SELECT max(ts) FROM ordered WHERE ts < {test_from}")
        validation_from = _nearest(engine, first, before, wanted + later)
    if validation_from is None or test_from is None or not first < validation_from < test_from:
        raise QBert4RecError(
            f"a temporal split needs time stamps before validation_from, between it and "
            f"test_from, and after; the log goes from {first} to {last} (milliseconds since 1970); "
            "set validation_from and test_from, or take leave-one-out"
        )
    if test_from > last:
        raise QBert4RecError(
            f"nothing happened from test_from ({test_from}) on: the log ends at {last} "
            "(milliseconds since 1970); set an earlier test_from"
        )
    return validation_from, test_from


def _nearest(engine: Engine, low: int | None, high: int | None, wanted: float) -> int | None:
    """The time stamp t in (low, high] for which the number of those from t on is next to `wanted`.

    By halving, so that no sorted copy of the time stamps is needed.
    """
    if low is None or high is None or low >= high:
        return None
    bottom, top = low, high
    while bottom < top:
        # Rounded down also below zero: there are time stamps before 1970.
        middle = (bottom + top) // 2
        if engine.value(f"SELECT count(*) FROM ordered WHERE ts >= {middle}") > wanted:
            bottom = middle + 1
        else:
            top = middle
    candidates = engine.row(
        f"SELECT max(ts) FILTER (ts < {top}), min(ts) FILTER (ts >= {top}) FROM ordered "
        f"WHERE ts > {low} AND ts <= {high}"
    )
    counted = [
        (abs(engine.value(f"SELECT count(*) FROM ordered WHERE ts >= {t}") - wanted), -t, t)
        for t in candidates
        if t is not None
    ]
    return min(counted)[2] if counted else None

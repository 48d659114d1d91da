"""Time stamps in any unit or as text -> milliseconds since 1970, in SQL.

Numbers say nothing of their unit but their size does: today is 1.7e9 in seconds, 1.7e12 in
milliseconds, 1.7e15 in microseconds and 1.7e18 in nanoseconds, so a factor of ten around the
borders lies outside the years 1973 to 5138 in each unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from ...errors import QBert4RecError

SECONDS, MILLIS, MICROS, NANOS = "s", "ms", "us", "ns"
AS_TEXT = "text"
AS_DATE_NUMBERS = "yyyymmdd"

# Unit -> smallest size of a number that is surely in it; below the first, no unit is sure.
_FROM: Mapping[str, float] = {SECONDS: 1e8, MILLIS: 1e11, MICROS: 1e14, NANOS: 1e17}
_TO_MILLIS: Mapping[str, str] = {
    SECONDS: "stamp * 1000",
    MILLIS: "stamp",
    MICROS: "stamp / 1000",
    NANOS: "stamp / 1000000",
    AS_DATE_NUMBERS: "epoch_ms(strptime(stamp::BIGINT::VARCHAR, '%Y%m%d'))",
}
_TEXT_FORMS = ("%m %d, %Y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%Y%m%dT%H%M%S")
# A time of day with an offset from UTC behind it, which only TIMESTAMPTZ heeds.
_OFFSET = r"[0-9]:[0-9]{2}(:[0-9.]+)? *[+-][0-9]{2}:?([0-9]{2})?$"
# What means "no value" in a text column.
_NOTHING = ("", "nan", "nat", "none", "null", "na", "n/a", r"\n")


def nothing(column: str) -> str:
    """SQL: whether a text says that there is no value."""
    words = ", ".join(f"'{word}'" for word in _NOTHING)
    return f"({column} IS NULL OR lower(trim({column})) IN ({words}))"


def number(column: str) -> str:
    """SQL: a text as a finite DOUBLE, else NULL."""
    value = f"TRY_CAST({column} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def text_millis(column: str) -> str:
    """SQL: a text as milliseconds since 1970 (ISO 8601, `MM DD, YYYY` and the like), else NULL.

    Without an offset the time is UTC, whatever the machine's time zone.
    """
    forms = ", ".join(f"'{form}'" for form in _TEXT_FORMS)
    text = f"trim({column})"
    joined = f"regexp_replace({text}, ' +([+-][0-9:]+)$', '\\1')"
    moment = f"COALESCE(TRY_CAST({text} AS TIMESTAMP), TRY_STRPTIME({text}, [{forms}])::TIMESTAMP)"
    return (
        f"CASE WHEN regexp_matches({text}, '{_OFFSET}') "
        f"THEN epoch_ms(TRY_CAST({joined} AS TIMESTAMPTZ)) ELSE epoch_ms({moment}) END"
    )


@dataclass(frozen=True)
class TimeForm:
    """How a file writes its time stamps.

    Args:
        unit: "s", "ms", "us", "ns", "yyyymmdd" or "text"; None for a file without time stamps.
    """

    unit: str | None

    @property
    def millis(self) -> str:
        """SQL: the milliseconds of a row with the columns stamp (DOUBLE) and stamp_ms (BIGINT)."""
        if self.unit is None:
            return "NULL::BIGINT"
        if self.unit == AS_TEXT:
            return "stamp_ms"
        return f"COALESCE(stamp_ms, TRY_CAST(round({_TO_MILLIS[self.unit]}) AS BIGINT))"


def find_time_form(
    connection: duckdb.DuckDBPyConnection, table: str, unit: str, path: object
) -> TimeForm:
    """Finds how a file writes its time stamps.

    Args:
        connection: where the table is.
        table: SQL of a table with the columns stamp (DOUBLE), stamp_ms (BIGINT) and line.
        unit: the unit that the user names, or "auto".
        path: the file, for messages.

    Raises:
        QBert4RecError: numbers of several units in one file; names a row of each.
    """
    units = list(_FROM)
    borders = [*_FROM.values(), float("inf")]
    counts = []
    for index, name in enumerate(units):
        sure = f"abs(stamp) >= {borders[index]:.0f}"
        if name != NANOS:
            sure += f" AND abs(stamp) < {borders[index + 1]:.0f}"
        counts += [
            f"count(*) FILTER ({sure})",
            f"arg_min(stamp, line) FILTER ({sure})",
            f"min(line) FILTER ({sure})",
        ]
    dates = (
        "count(stamp) FILTER (stamp BETWEEN 19000101 AND 21001231 AND "
        "TRY_STRPTIME(TRY_CAST(stamp AS BIGINT)::VARCHAR, '%Y%m%d') IS NOT NULL)"
    )
    row = connection.execute(
        f"SELECT count(stamp), count(stamp_ms), {dates}, {', '.join(counts)} FROM {table}"
    ).fetchall()[0]
    numbers, texts, date_numbers = row[:3]
    if not numbers:
        return TimeForm(AS_TEXT if texts else None)
    if unit != "auto":
        return TimeForm(unit)
    if date_numbers == numbers:
        return TimeForm(AS_DATE_NUMBERS)
    sure = [
        (name, *row[3 + 3 * index : 6 + 3 * index])
        for index, name in enumerate(units)
        if row[3 + 3 * index]
    ]
    if len(sure) > 1:
        examples = " and ".join(
            f"{value:.0f} in line {line} ({name})" for name, _, value, line in sure[:2]
        )
        raise QBert4RecError(
            f"{path}: time stamps of several units, {examples}; bring them to one, or say which it "
            f"is with --time-unit {sure[-1][0]}"
        )
    return TimeForm(sure[0][0] if sure else SECONDS)

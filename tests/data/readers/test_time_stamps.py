from __future__ import annotations

import pytest

from qbert4rec_hf.data.readers.time_stamps import find_time_form, number, text_millis
from qbert4rec_hf.errors import QBert4RecError

DAY = 1529193600  # 2018-06-17


def millis(connection, values, unit="auto"):
    """Milliseconds of time stamps given as text, and the unit that was found."""
    connection.execute("CREATE OR REPLACE TEMP TABLE texts (line BIGINT, value VARCHAR)")
    connection.executemany("INSERT INTO texts VALUES (?, ?)", list(enumerate(values, start=1)))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE stamps AS SELECT {number('value')} AS stamp, CASE WHEN "
        f"{number('value')} IS NULL THEN {text_millis('value')} END AS stamp_ms, line FROM texts"
    )
    form = find_time_form(connection, "stamps", unit, "log.csv")
    rows = connection.execute(f"SELECT {form.millis} FROM stamps ORDER BY line").fetchall()
    return [row[0] for row in rows], form.unit


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([str(DAY), str(DAY + 1)], "s", [DAY * 1000, (DAY + 1) * 1000]),
        ([f"{DAY}.25", "1.5291936e9"], "s", [DAY * 1000 + 250, DAY * 1000]),
        ([f"{DAY}123"], "ms", [DAY * 1000 + 123]),
        ([f"{DAY}123456"], "us", [DAY * 1000 + 123]),
        ([f"{DAY}123456789"], "ns", [DAY * 1000 + 123]),
        # Small numbers are of the unit of the others, alone they count as seconds.
        (["1", "2", "3"], "s", [1000, 2000, 3000]),
        (["0", "-5", f"{DAY}123"], "ms", [0, -5, DAY * 1000 + 123]),
        (["-62135596800000", f"{DAY}123"], "ms", [-62135596800000, DAY * 1000 + 123]),
        (["20180617", "20181231"], "yyyymmdd", [DAY * 1000, 1546214400000]),
        (["20180617", "20180699"], "s", [20180617000, 20180699000]),
        (["2018-06-17", "2018-06-17T10:00:00Z"], "text", [DAY * 1000, DAY * 1000 + 36_000_000]),
        (["2018-06-17T10:00:00+02:00", "2018-06-17 10:00:00.5 -0530"], "text")
        + ([DAY * 1000 + 28_800_000, DAY * 1000 + 55_800_500],),
        (["06 17, 2018", "6 17, 2018", "Jun 17, 2018", "June 17, 2018", "17 Jun 2018"], "text")
        + ([DAY * 1000] * 5,),
        ([str(DAY), "2018-06-17", "soon"], "s", [DAY * 1000, DAY * 1000, None]),
        (["", "nan"], None, [None, None]),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_units_come_from_the_values(connection, values, unit, expected, zone):
    connection.execute(f"SET TimeZone = '{zone}'")
    assert millis(connection, values) == (expected, unit)


def test_the_named_unit_counts(connection):
    assert millis(connection, ["5", f"{DAY}123"], "ms") == ([5, DAY * 1000 + 123], "ms")
    # Before 1973 milliseconds look like seconds.
    assert millis(connection, ["86400000"], "ms") == ([86400000], "ms")


def test_several_units_in_one_file_are_refused(connection):
    with pytest.raises(QBert4RecError) as error:
        millis(connection, ["5", str(DAY), f"{DAY}123", f"{DAY + 9}"])
    assert str(error.value) == (
        f"log.csv: time stamps of several units, {DAY} in line 2 (s) and {DAY}123 in line 3 (ms); "
        "bring them to one, or say which it is with --time-unit ms"
    )

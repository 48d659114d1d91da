"""Raw review files of any format -> Parquet with the same few columns, out of core."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import QBert4RecError
from .amazon import REVIEW_COLUMNS
from .byte_stream import ByteStream
from .file_read import FileRead, read_each, staged
from .options import (
    AMAZON_2023,
    AMAZON_2023_SPLIT,
    ITEM_ID,
    REVIEW_FIELDS,
    REVIEWS,
    TABLE_FORMATS,
    TIMESTAMP,
    USER_ID,
    ReadOptions,
)
from .progress import with_progress
from .report import ReadReport
from .review_rows import (
    Columns,
    Source,
    json_source,
    literal_source,
    parquet_source,
    parsed_source,
    table_source,
)
from .sql import quoted
from .time_stamps import TimeForm, find_time_form, nothing, number, text_millis

# Rows as text -> typed; what is not understood is kept beside for the report.
_CHECKED = f"""
    SELECT user_id, item_id,
           {number("rating")} AS rating,
           CASE WHEN (lower(trim(rating)) = 'nan' OR NOT {nothing("rating")})
                     AND {number("rating")} IS NULL
                THEN rating END AS odd_rating,
           stamp, stamp_ms,
           CASE WHEN stamp IS NULL AND stamp_ms IS NULL AND NOT {nothing("timestamp")}
                THEN timestamp END AS odd_time,
           line, bad
    FROM (SELECT *, CASE WHEN stamp IS NULL AND NOT {nothing("timestamp")}
                         THEN {text_millis("timestamp")} END AS stamp_ms
          FROM (SELECT *, {number("timestamp")} AS stamp FROM ({{rows}})))
"""


def read_reviews(
    paths: Sequence[str | os.PathLike],
    staging: str | os.PathLike,
    connection: duckdb.DuckDBPyConnection,
    options: ReadOptions | None = None,
) -> ReadReport:
    """Reads review files into `staging/reviews/*.parquet`.

    The columns are user_id and item_id (text, as they stand in the file), rating (DOUBLE, null
    where missing or no number), timestamp (BIGINT, milliseconds since 1970, UTC; null in all rows
    or in none), file (number of the file, from 0) and line (number of the line or row, from 1).
    The rows are in no particular order. Memory does not grow with the number of rows.

    Args:
        paths: files in any mixture of formats, or `hub:owner/name[:config[:split]]`.
        staging: a folder for files in between and the result.
        connection: the engine, with its limits as the caller wants them.
        options: what the user says about the files.

    Returns:
        What was read, dropped and found odd, file by file.

    Raises:
        QBert4RecError: a file cannot be used, holds metadata instead of reviews, stops in the
            middle, or has a malformed line while that is to be an error; one line that says which
            file and what to do.
    """
    options = options or ReadOptions()
    with staged(staging, REVIEWS) as folder:
        report = read_each(REVIEWS, paths, folder, options, partial(_ReviewRead, connection))
        _check_times(report)
    return report


class _ReviewRead(FileRead):
    """Reads one review file; see `FileRead`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *file: Any) -> None:
        super().__init__(*file)
        self.connection = connection

    def run(self) -> None:
        known = REVIEW_COLUMNS.get(self.found.format)
        columns = self.find_columns(REVIEW_FIELDS, (USER_ID, ITEM_ID), known)
        raw = self._copy(self._source(columns), "raw")
        files = ", ".join(quoted(path, pattern=True) for path in (raw, *self._mend(raw, columns)))
        table = f"(SELECT * FROM read_parquet([{files}]) WHERE bad IS NULL)"
        form = find_time_form(self.connection, table, self.options.time_unit, self.found.path)
        self._count(table, form)
        self.complete()
        self._execute(
            f"COPY (SELECT user_id, item_id, rating, {form.millis} AS timestamp, "
            f"{self.index}::INTEGER AS file, line FROM {table} "
            f"WHERE {_reason(form)} IS NULL) TO {quoted(self.part)} (FORMAT parquet)"
        )
        for path in self.folder.glob("*.raw"):
            path.unlink()

    def _source(self, columns: Columns) -> Source:
        found = self.found
        if found.encoding is None:
            return parquet_source(found, columns)
        if found.format in TABLE_FORMATS:
            return table_source(self.lines, found, columns, self.malformed)
        if found.literal:
            return literal_source(self.lines, columns, self.malformed)
        return json_source(self.lines, columns)

    def _mend(self, raw: Path, columns: Columns) -> list[Path]:
        """Gives the lines that DuckDB refuses to Python, which reads more of them."""
        refused = f"SELECT count(bad) FROM read_parquet({quoted(raw, pattern=True)})"
        if not self._execute(refused)[0][0]:
            return []
        lines = (
            (line, text)
            for batch in pq.ParquetFile(raw).iter_batches(1000, columns=["line", "bad"])
            for line, text in zip(*(column.to_pylist() for column in batch.columns), strict=True)
            if text is not None
        )
        return [self._copy(parsed_source(lines, columns, self.malformed), "mended")]

    def _copy(self, source: Source, name: str) -> Path:
        """Checks the rows of a source and keeps them in a file."""
        path = self.folder / f"{name}.raw"
        batches = _Batches(source.batches, self.lines.stream)
        view = f"qbert4rec_{name}"
        self.connection.register(view, pa.RecordBatchReader.from_batches(source.schema, batches))
        try:
            rows = _CHECKED.replace("{rows}", source.select(view))
            self._execute(f"COPY ({rows}) TO {quoted(path)} (FORMAT parquet)")
        except (QBert4RecError, duckdb.Error):
            if batches.error is not None:
                raise batches.error from None
            raise
        finally:
            self.connection.unregister(view)
        return path

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs SQL to its end; returns all rows."""
        try:
            return self.connection.execute(sql).fetchall()
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise QBert4RecError(
                f"{self.found.path} cannot be read into {self.folder} ({reason}); "
                "choose a place with more room, or allow more memory"
            ) from error

    def _count(self, table: str, form: TimeForm) -> None:
        """Counts what is kept and dropped, and what is odd among the kept."""
        rows = self._execute(
            f"SELECT {_reason(form)} AS reason, count(*), count(odd_rating), "
            f"count(*) FILTER (rating = 0), count(*) FILTER ({form.millis} < 0), "
            "arg_min(odd_rating, line), arg_min(odd_time, line), "
            "min(line) FILTER (odd_time IS NOT NULL) "
            f"FROM {table} GROUP BY reason ORDER BY count(*) DESC"
        )
        report = self.report
        report.time_unit = form.unit
        for reason, count, odd, zero, negative, rating, time, line in rows:
            if reason is not None:
                report.dropped[reason] = count
                if time and reason == _NO_TIME:
                    report.remarks.append(
                        f"{reason}, for instance {time[:_SHOWN]!r} in line {line}"
                    )
                continue
            report.rows = count
            noted = {
                "rating is not a number": odd,
                "rating is 0": zero,
                "negative time stamp": negative,
            }
            report.noted.update({what: number for what, number in noted.items() if number})
            if odd:
                report.remarks.append(f"rating is not a number, for instance {rating[:_SHOWN]!r}")
        if self.found.format == AMAZON_2023 and ITEM_ID not in self.options.columns:
            report.remarks.append("item ids are parent_asin, by which the metadata is keyed")
        if self.found.format == AMAZON_2023_SPLIT:
            report.remarks.append(
                "the histories beside the rows are not read: the train, valid and test files of a "
                "split together are the log"
            )
        if form.unit is None and TIMESTAMP in report.columns:
            self._refuse_times(table)

    def _refuse_times(self, table: str) -> None:
        ((time, line),) = self._execute(
            f"SELECT arg_min(odd_time, line), min(line) FROM {table} WHERE odd_time IS NOT NULL"
        )
        if time is not None:
            raise QBert4RecError(
                f"{self.found.path}: column {self.report.columns[TIMESTAMP]} holds no times, for "
                f"instance {time[:_SHOWN]!r} in line {line}; write seconds, milliseconds or ISO "
                "dates (2018-06-17), or name another column with --column timestamp=NAME"
            )
        self.report.remarks.append("no row has a time stamp")


class _Batches:
    """Batches for DuckDB; keeps the error that DuckDB would wrap."""

    def __init__(self, batches: Iterable[pa.RecordBatch], stream: ByteStream) -> None:
        self.error: Exception | None = None
        self._batches = batches
        self._stream = stream

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from with_progress(self._batches, self._stream)
        except Exception as error:
            self.error = error
            raise


_NO_TIME = "time stamp is not a time"
# Characters of a text in a message.
_SHOWN = 40


def _reason(form: TimeForm) -> str:
    """SQL: why a row is dropped, or NULL."""
    cases = [
        ("user_id IS NULL OR trim(user_id) = ''", "no user id"),
        ("item_id IS NULL OR trim(item_id) = ''", "no item id"),
    ]
    if form.unit is not None:
        cases += [
            ("stamp IS NULL AND stamp_ms IS NULL AND odd_time IS NULL", "no time stamp"),
            (f"{form.millis} IS NULL", _NO_TIME),
        ]
    return f"(CASE {' '.join(f'WHEN {when} THEN {quoted(why)}' for when, why in cases)} END)"


def _check_times(report: ReadReport) -> None:
    with_times = [file for file in report.files if file.time_unit is not None]
    without = [file for file in report.files if file.time_unit is None]
    if with_times and without:
        raise QBert4RecError(
            f"{without[0].path} has no time stamps but {with_times[0].path} has; leave one out, or "
            "name the column with --column timestamp=NAME"
        )

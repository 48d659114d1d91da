"""Tables with separators (CSV, TSV, RecBole) as batches of text columns.

A stray quote costs a line and not the rest of the file, every row keeps its line number, and a
field is text exactly as it stands there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.csv as pa_csv

from .lines import LineBatch, LineReader
from .malformed import MalformedLines
from .sniff import Found

_QUOTE = '"'
_OPEN = "a quote opens and never closes"
# A quoted field that runs over more than this many characters was never closed.
_LONGEST_RECORD = 1 << 20
# After so many quotes that were never closed, quotes in this file are ordinary characters.
_STRAY_QUOTES = 50


class DelimitedReader:
    """The rows of a table with separators as Arrow batches; one pass.

    Args:
        lines: the lines.
        found: what the file is.
        columns: columns to read.
        malformed: counts the rows that do not fit.

    Attributes:
        schema: the columns, all text, and `line`, the number of a row's first line.
        literal_quotes: whether quotes turned out to be ordinary characters.
    """

    def __init__(
        self,
        lines: LineReader,
        found: Found,
        columns: Sequence[str],
        malformed: MalformedLines,
    ) -> None:
        self.schema = pa.schema(
            [*((name, pa.large_string()) for name in columns), ("line", pa.int64())]
        )
        self.literal_quotes = False
        self._lines = lines
        self._delimiter = found.delimiter
        self._quoted = found.quoted
        self._header = found.header
        self._width = len(found.columns)
        self._wanted = [found.columns.index(name) for name in columns]
        self._malformed = malformed
        self._stray = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yields the rows in their order."""
        waiting: list[tuple[int, str]] = []
        for batch in self._lines:
            if not waiting:
                fast = self._fast(batch)
                if fast is not None:
                    yield fast
                    continue
            lines = waiting + list(enumerate(batch.texts(), start=batch.first))
            rows, waiting = self._slow(lines, last=False)
            yield self._to_arrow(rows)
        rows, _ = self._slow(waiting, last=True)
        yield self._to_arrow(rows)

    def _fast(self, batch: LineBatch) -> pa.RecordBatch | None:
        """Reads a batch without quotes at the speed of Arrow; None where a line does not fit."""
        start = max(self._header - batch.first + 1, 0)
        if start >= len(batch) or (self._quoted and _QUOTE.encode() in batch.data):
            return None
        data = memoryview(batch.data)[int(batch.ends[start - 1]) if start else 0 :]
        names = [f"{number}" for number in range(self._width)]
        wanted = [names[number] for number in self._wanted]
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(pa.py_buffer(data)),
                read_options=pa_csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=len(data) + 1
                ),
                parse_options=pa_csv.ParseOptions(delimiter=self._delimiter, quote_char=False),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.large_string()),
                    include_columns=wanted,
                    strings_can_be_null=False,
                    null_values=[],
                ),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(batch) - start:
            # An empty line, or a carriage return within one.
            return None
        columns = [table.column(name).combine_chunks() for name in wanted]
        numbers = pa.array(range(batch.first + start, batch.first + len(batch)), pa.int64())
        return pa.RecordBatch.from_arrays([*columns, numbers], schema=self.schema)

    def _slow(
        self, lines: list[tuple[int, str]], *, last: bool
    ) -> tuple[list[tuple[int, list[str]]], list[tuple[int, str]]]:
        """Splits lines into rows.

        Args:
            lines: number and text of each.
            last: whether no further lines come.

        Returns:
            The rows with the numbers of their first lines, and the lines of a row that is not yet
            whole.
        """
        rows: list[tuple[int, list[str]]] = []
        at = 0
        while at < len(lines):
            at, waits = self._run(lines, at, rows, last=last)
            if waits:
                return rows, lines[at:]
        return rows, []

    def _run(
        self,
        lines: list[tuple[int, str]],
        at: int,
        rows: list[tuple[int, list[str]]],
        *,
        last: bool,
    ) -> tuple[int, bool]:
        """Splits lines from `at` on until one does not fit.

        Returns:
            Where to go on, and whether more lines are needed for the row there.
        """
        feed = _Feed(lines, at)
        # Strict: what follows a closing quote must be a separator. Else two stray quotes would make
        # one field of all the rows between them.
        reader = csv.reader(feed, delimiter=self._delimiter, quoting=self._quoting, strict=True)
        while True:
            start = feed.at
            try:
                row = next(reader)
            except StopIteration:
                return len(lines), False
            except csv.Error as error:
                if not feed.ran_out:
                    return self._one_line(lines, start, rows, str(error)), False
                # A quote is open at the end of what there is.
                size = sum(len(text) for _, text in lines[start:])
                if not last and size < _LONGEST_RECORD:
                    return start, True
                return self._one_line(lines, start, rows, _OPEN), False
            number, text = lines[start]
            if number <= self._header or not text.strip():
                continue
            if len(row) == self._width:
                rows.append((number, row))
            elif feed.at > start + 1:
                return self._one_line(lines, start, rows, _OPEN), False
            else:
                self._misfit(number, len(row))

    @property
    def _quoting(self) -> int:
        return csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE

    def _one_line(
        self,
        lines: list[tuple[int, str]],
        at: int,
        rows: list[tuple[int, list[str]]],
        why: str,
    ) -> int:
        """Takes one line by itself, its quotes as ordinary characters; returns the next line."""
        number, text = lines[at]
        row = text.rstrip("\r").split(self._delimiter)
        if self._quoted:
            self._stray += 1
            if self._stray >= _STRAY_QUOTES:
                self._quoted = False
                self.literal_quotes = True
        if len(row) == self._width:
            rows.append((number, row))
        else:
            self._malformed.add(number, why)
        return at + 1

    def _misfit(self, number: int, width: int) -> None:
        fields = "1 field" if width == 1 else f"{width} fields"
        self._malformed.add(number, f"{fields} instead of {self._width}")

    def _to_arrow(self, rows: list[tuple[int, list[str]]]) -> pa.RecordBatch:
        columns = [
            pa.array([row[number] for _, row in rows], pa.large_string()) for number in self._wanted
        ]
        numbers = pa.array([number for number, _ in rows], pa.int64())
        return pa.RecordBatch.from_arrays([*columns, numbers], schema=self.schema)


class _Feed:
    """Lines for `csv.reader`, which says through it how many it took.

    Attributes:
        at: index of the next line.
        ran_out: whether a line was asked for after the last one, within a row.
    """

    def __init__(self, lines: list[tuple[int, str]], at: int) -> None:
        self.at = at
        self.ran_out = False
        self._lines = lines

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.at >= len(self._lines):
            self.ran_out = True
            raise StopIteration
        text = self._lines[self.at][1]
        self.at += 1
        return text + "\n"

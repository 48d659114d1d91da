"""The rows of one review file as text columns, whatever the format: what SQL then checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .delimited import DelimitedReader
from .lines import LINE_SCHEMA, LineReader
from .loose_json import LineError, parse_object, to_text
from .malformed import MalformedLines
from .options import ITEM_ID, REVIEW_FIELDS, USER_ID
from .parquet_texts import parquet_texts
from .sniff import Found
from .sql import quoted

# What every format is brought to.
ROW_SCHEMA = pa.schema(
    [*((name, pa.large_string()) for name in REVIEW_FIELDS), ("line", pa.int64())]
)
_BATCH = 50_000
_BLANKS = "' ' || chr(9) || chr(10) || chr(13)"
# Longer lines are not blank; looking at their whole text for that would cost.
_LONG = 64

Columns = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Source:
    """A stream of Arrow batches, and the SQL that makes rows of it.

    Args:
        batches: the batches.
        schema: their schema.
        select: makes SQL of the name under which the stream is registered; that gives user_id,
            item_id, rating and timestamp as text, line, and `bad`: a line that could not be read,
            or NULL.
    """

    batches: Iterator[pa.RecordBatch]
    schema: pa.Schema
    select: Callable[[str], str]


def json_source(lines: LineReader, columns: Columns) -> Source:
    """Rows of JSON lines, taken apart by DuckDB.

    Every line is taken by itself and of it only the wanted keys, as text: no type is guessed, so
    that keys whose type changes from row to row cannot matter.
    """
    keys = list(dict.fromkeys(key for names in columns.values() for key in names))
    pointers = ", ".join(quoted(_pointer(key)) for key in keys)
    fields = []
    for field in REVIEW_FIELDS:
        names = columns.get(field, ())
        values = [f"NULLIF(keys[{keys.index(name) + 1}], '')" for name in names]
        fields.append(f"COALESCE(NULL::VARCHAR, {', '.join([*values, 'NULL'])}) AS {field}")
    values = f"TRY(json_extract_string(text, [{pointers}]))"
    blank = f"strlen(text) < {_LONG} AND trim(text, {_BLANKS}) = ''"

    def select(source: str) -> str:
        return (
            f"SELECT {', '.join(fields)}, line, CASE WHEN keys IS NULL THEN text END AS bad "
            f"FROM (SELECT text, line, {values} AS keys FROM {source} WHERE NOT ({blank}))"
        )

    return Source((batch.to_arrow() for batch in lines), LINE_SCHEMA, select)


def literal_source(lines: LineReader, columns: Columns, malformed: MalformedLines) -> Source:
    """Rows of Python literals (Amazon 2014), taken apart by Python."""
    numbered = (
        (number, text)
        for batch in lines
        for number, text in enumerate(batch.texts(), start=batch.first)
    )
    return parsed_source(numbered, columns, malformed)


def parsed_source(
    numbered: Iterable[tuple[int, str]], columns: Columns, malformed: MalformedLines
) -> Source:
    """Rows of lines that Python takes apart: literals, and JSON that DuckDB refuses."""
    return Source(_parsed(numbered, columns, malformed), ROW_SCHEMA, _plain_select)


def table_source(
    lines: LineReader, found: Found, columns: Columns, malformed: MalformedLines
) -> Source:
    """Rows of a table with separators."""
    names = list(dict.fromkeys(name for group in columns.values() for name in group))
    reader = DelimitedReader(lines, found, names, malformed)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield _rows(dict(zip(names, batch.columns, strict=False)), columns, batch.columns[-1])

    # Where files were joined, a second header stands between the rows.
    header = " AND ".join(
        f"{field} IS NOT DISTINCT FROM {quoted(columns[field][0])}" for field in (USER_ID, ITEM_ID)
    )

    def select(source: str) -> str:
        return _plain_select(source) + (f" WHERE NOT ({header})" if found.header else "")

    return Source(batches(), ROW_SCHEMA, select)


def parquet_source(found: Found, columns: Columns) -> Source:
    """Rows of a Parquet file.

    Raises:
        QBert4RecError: a column holds lists or other compounds.
    """
    names = list(dict.fromkeys(name for group in columns.values() for name in group))
    names = [name for name in names if name in found.columns]
    present = {
        field: [name for name in group if name in found.columns] for field, group in columns.items()
    }
    rows = parquet_texts(found, names, whole=[*present[USER_ID], *present[ITEM_ID]])
    batches = (
        _rows(dict(zip(names, batch.columns, strict=False)), present, batch.columns[-1])
        for batch in rows
    )
    return Source(batches, ROW_SCHEMA, _plain_select)


def _rows(arrays: Mapping[str, pa.Array], columns: Columns, numbers: pa.Array) -> pa.RecordBatch:
    """A batch of `ROW_SCHEMA`; of several columns of a field the first with a value counts."""
    fields = []
    for field in REVIEW_FIELDS:
        values = [arrays[name] for name in columns.get(field, ())]
        if len(values) > 1:
            values = [pc.if_else(pc.equal(value, ""), None, value) for value in values]
            values = [pc.coalesce(*values)]
        fields.append(values[0] if values else pa.nulls(len(numbers), pa.large_string()))
    return pa.RecordBatch.from_arrays([*fields, numbers], schema=ROW_SCHEMA)


def _parsed(
    numbered: Iterable[tuple[int, str]], columns: Columns, malformed: MalformedLines
) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[Any, ...]] = []
    for number, text in numbered:
        if not text.strip():
            continue
        try:
            value = parse_object(text)
        except LineError as error:
            malformed.add(number, str(error))
            continue
        rows.append((*(_first(value, columns.get(name, ())) for name in REVIEW_FIELDS), number))
        if len(rows) == _BATCH:
            yield _row_batch(rows)
            rows = []
    yield _row_batch(rows)


def _first(value: Mapping[str, Any], names: Sequence[str]) -> str | None:
    for name in names:
        text = to_text(value.get(name))
        if text:
            return text
    return None


def _row_batch(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(ROW_SCHEMA)
    kinds = zip(columns, ROW_SCHEMA.types, strict=True)
    arrays = [pa.array(column, kind) for column, kind in kinds]
    return pa.RecordBatch.from_arrays(arrays, schema=ROW_SCHEMA)


def _plain_select(source: str) -> str:
    return f"SELECT {', '.join(REVIEW_FIELDS)}, line, NULL::VARCHAR AS bad FROM {source}"


def _pointer(key: str) -> str:
    """A key of an object as a JSON pointer (RFC 6901), which needs no other quoting."""
    return "/" + key.replace("~", "~0").replace("/", "~1")

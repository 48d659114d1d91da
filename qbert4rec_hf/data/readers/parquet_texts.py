"""Columns of a Parquet file as text, whatever their types."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...errors import QBert4RecError
from .lines import decode_8bit
from .sniff import Found

_BATCH = 50_000


def parquet_texts(
    found: Found, columns: Sequence[str], *, whole: Collection[str] = ()
) -> Iterator[pa.RecordBatch]:
    """Reads columns as text, with the number of each row, counted from 1.

    Args:
        found: the file.
        columns: names of columns that it has.
        whole: columns of ids; where pandas made them floating point because some are missing, 123.0
            becomes 123 again.

    Returns:
        Batches of the columns and `line`.

    Raises:
        QBert4RecError: a column holds lists or other compounds, or the file is damaged.
    """
    file = pq.ParquetFile(found.path)
    for name in columns:
        kind = file.schema_arrow.field(name).type
        if pa.types.is_nested(kind):
            raise QBert4RecError(
                f"{found.path}: column {name} holds {kind}; a column with one value a row is needed"
            )
    schema = pa.schema([*((name, pa.large_string()) for name in columns), ("line", pa.int64())])

    def text(name: str, array: pa.Array) -> pa.Array:
        return as_texts(array, whole=name in whole)

    for first, rows, arrays in parquet_batches(found, columns, _BATCH, text):
        numbers = pa.array(range(first, first + rows), pa.int64())
        yield pa.RecordBatch.from_arrays([*arrays.values(), numbers], schema=schema)


def parquet_batches(
    found: Found,
    columns: Sequence[str],
    size: int,
    convert: Callable[[str, pa.Array], pa.Array],
) -> Iterator[tuple[int, int, dict[str, pa.Array]]]:
    """Reads columns in batches.

    Args:
        found: the file.
        columns: names of columns that it has.
        size: rows of a batch.
        convert: makes of the name of a column and its values what is wanted.

    Yields:
        Number of the first row, counted from 1, number of rows, and the columns by their names.

    Raises:
        QBert4RecError: the file is damaged, or a column cannot be converted.
    """
    first = 1
    try:
        for batch in pq.ParquetFile(found.path).iter_batches(size, columns=list(columns)):
            arrays = {name: convert(name, batch.column(name)) for name in columns}
            yield first, batch.num_rows, arrays
            first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise QBert4RecError(
            f"{found.path} cannot be read beyond row {first:,} ({str(error).splitlines()[0]}); "
            "fetch or write it again"
        ) from None


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes, which may be a text that nobody marked as one."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def as_texts(array: pa.Array, *, whole: bool = False) -> pa.Array:
    """A column with one value a row as text; see `parquet_texts`."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    if is_bytes(kind):
        return pa.array([_decoded(value) for value in array.to_pylist()], pa.large_string())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        # A time zone is a way to show the moment; what is stored is UTC.
        array = array.cast(pa.timestamp("us"), safe=False)
    elif pa.types.is_floating(kind) and whole:
        integers = array.cast(pa.int64(), safe=False)
        same = pc.equal(integers.cast(pa.float64(), safe=False), array.cast(pa.float64()))
        texts = pc.if_else(same, integers.cast(pa.large_string()), array.cast(pa.large_string()))
        # There "not a number" is how a missing id is written.
        return pc.if_else(pc.is_nan(array), None, texts)
    return array.cast(pa.large_string())


def _decoded(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return decode_8bit(value)

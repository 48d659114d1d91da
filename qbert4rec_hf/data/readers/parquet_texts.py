"""Columns of a Parquet file as text, whatever their types."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

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
    first = 1
    try:
        for batch in file.iter_batches(_BATCH, columns=list(columns)):
            arrays = [_texts(batch.column(name), name in whole) for name in columns]
            numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays([*arrays, numbers], schema=schema)
    except (pa.ArrowException, OSError) as error:
        raise QBert4RecError(
            f"{found.path} cannot be read beyond row {first:,} ({str(error).splitlines()[0]}); "
            "fetch or write it again"
        ) from None


def _texts(array: pa.Array, whole: bool) -> pa.Array:
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([_decoded(value) for value in array.to_pylist()], pa.large_string())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        # A time zone is a way to show the moment; what is stored is UTC.
        array = array.cast(pa.timestamp("us"), safe=False)
    elif pa.types.is_floating(kind) and whole:
        integers = array.cast(pa.int64(), safe=False)
        same = pc.equal(integers.cast(pa.float64(), safe=False), array.cast(pa.float64()))
        return pc.if_else(same, integers.cast(pa.large_string()), array.cast(pa.large_string()))
    return array.cast(pa.large_string())


def _decoded(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return decode_8bit(value)

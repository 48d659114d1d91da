"""Raw metadata files of any format -> Parquet with one row an item."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import QBert4RecError
from .delimited import DelimitedReader
from .file_read import FileRead, part_path, read_each, staged
from .items import AMAZON_KEYS, Columns, Item, item_of
from .loose_json import TOO_DEEP, LineError, parse_object
from .options import (
    AMAZON_2023,
    IMAGES,
    ITEM_ID,
    METADATA,
    METADATA_FIELDS,
    TABLE_FORMATS,
    ReadOptions,
)
from .parquet_texts import as_texts, is_bytes, parquet_batches
from .progress import with_progress
from .report import FULLER_ROW, ReadReport
from .sql import quoted

_ITEM_SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("text", pa.list_(pa.string())),
        ("images", pa.list_(pa.string())),
        ("brand", pa.string()),
        ("categories", pa.list_(pa.string())),
        ("price", pa.float64()),
        ("file", pa.int32()),
        ("line", pa.int64()),
    ]
)
# By what the fuller of two rows of an item is found; apart, so that texts are read only once more
# where rows have to go.
_KEY_SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("file", pa.int32()),
        ("line", pa.int64()),
        ("filled", pa.int32()),
        ("size", pa.int64()),
    ]
)
_BATCH = 5_000


def read_metadata(
    paths: Sequence[str | os.PathLike],
    staging: str | os.PathLike,
    connection: duckdb.DuckDBPyConnection,
    options: ReadOptions | None = None,
) -> ReadReport:
    """Reads metadata files into `staging/metadata/*.parquet`, one row an item.

    The columns are item_id, title (text or null), text (list of texts), images (list of URLs or
    paths, of each picture the largest), brand (text or null), categories (list of texts), price
    (DOUBLE or null), file (number of the file, from 0) and line (number of the line or row, from
    1). Texts are clean (`clean_text`). Of several rows of an item the fuller one stays (more
    fields, then more text), then the earlier. Memory does not grow with the size of the texts.

    Args:
        paths: files in any mixture of formats, or `hub:owner/name[:config[:split]]`.
        staging: a folder for files in between and the result.
        connection: the engine, with its limits as the caller wants them.
        options: what the user says about the files.

    Returns:
        What was read, dropped and found odd, file by file.

    Raises:
        QBert4RecError: a file cannot be used, holds reviews instead of metadata, stops in the
            middle, or has a malformed line while that is to be an error; one line that says which
            file and what to do.
    """
    options = options or ReadOptions()
    with staged(staging, METADATA) as folder:
        report = read_each(METADATA, paths, folder, options, _MetadataRead)
        _drop_duplicates(folder, connection, report)
    return report


class _MetadataRead(FileRead):
    """Reads one metadata file; see `FileRead`."""

    def run(self) -> None:
        found, report = self.found, self.report
        known = AMAZON_KEYS.get(found.format)
        columns = self.find_columns(METADATA_FIELDS, (ITEM_ID,), known)
        # Amazon's keys are read in ways of their own; what the user names is read as it says.
        named = {field: columns[field] for field in self.options.columns if field in columns}
        make_item = item_of(found.format, named if known is not None else columns)
        noted: Counter[str] = Counter()
        with _ItemWriter(self) as writer:
            for line, record in with_progress(self._records(columns), self.lines.stream):
                try:
                    item = make_item(record)
                except RecursionError:
                    self.malformed.add(line, TOO_DEEP)
                    continue
                if not (item.item_id or "").strip():
                    report.dropped["no item id"] = report.dropped.get("no item id", 0) + 1
                    continue
                report.rows += 1
                noted["title is page code"] += item.page_code
                noted["no title"] += item.title is None and not item.page_code
                noted["no text besides the title"] += not item.text
                noted["no image"] += not item.images
                writer.add(item, line)
        report.noted = {what: count for what, count in noted.items() if count}
        self.complete()
        if found.format == AMAZON_2023 and ITEM_ID not in named:
            report.remarks.append("item ids are parent_asin")

    def _records(self, columns: Columns) -> Iterator[tuple[int, dict[str, Any]]]:
        """The records of the file with the numbers of their lines."""
        keys = list(dict.fromkeys(key for names in columns.values() for key in names))
        if self.found.encoding is None:
            return self._parquet_records(keys, columns)
        if self.found.format in TABLE_FORMATS:
            return self._table_records(keys)
        return self._object_records()

    def _object_records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for batch in self.lines:
            for number, text in enumerate(batch.texts(), start=batch.first):
                if not text.strip():
                    continue
                try:
                    record = parse_object(text)
                except LineError as error:
                    self.malformed.add(number, str(error))
                    continue
                yield number, record

    def _table_records(self, keys: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        reader = DelimitedReader(self.lines, self.found, keys, self.malformed)
        for batch in reader:
            *columns, numbers = (column.to_pylist() for column in batch.columns)
            for number, *values in zip(numbers, *columns, strict=True):
                yield number, dict(zip(keys, values, strict=True))

    def _parquet_records(
        self, keys: Sequence[str], columns: Columns
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        ids, images = columns[ITEM_ID], columns.get(IMAGES, ())

        def plain(name: str, array: pa.Array) -> pa.Array:
            if name in ids and not pa.types.is_nested(array.type):
                # As in the reviews, or the two would not meet.
                return as_texts(array, whole=True)
            return as_texts(array) if is_bytes(array.type) and name not in images else array

        wanted = [key for key in keys if key in self.found.columns]
        for first, rows, arrays in parquet_batches(self.found, wanted, _BATCH, plain):
            values = {name: array.to_pylist() for name, array in arrays.items()}
            for row in range(rows):
                yield first + row, {name: column[row] for name, column in values.items()}


class _ItemWriter:
    """Writes the items of a file in batches, and their keys beside."""

    def __init__(self, file: FileRead) -> None:
        self._index = file.index
        self._items: list[tuple[Item, int]] = []
        self._paths = (file.part, file.folder / f"keys-{file.index:05d}.raw")

    def __enter__(self) -> _ItemWriter:
        self._writers = (
            pq.ParquetWriter(self._paths[0], _ITEM_SCHEMA, compression="zstd"),
            pq.ParquetWriter(self._paths[1], _KEY_SCHEMA),
        )
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        for writer in self._writers:
            writer.close()

    def add(self, item: Item, line: int) -> None:
        self._items.append((item, line))
        if len(self._items) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        items = [item for item, _ in self._items]
        lines = [line for _, line in self._items]
        files = [self._index] * len(items)
        values: dict[str, list[Any]] = {
            name: [getattr(item, name) for item in items] for name in METADATA_FIELDS
        }
        self._writers[0].write_batch(
            pa.record_batch({**values, "file": files, "line": lines}, schema=_ITEM_SCHEMA)
        )
        keys = {
            "item_id": values["item_id"],
            "file": files,
            "line": lines,
            "filled": [item.filled for item in items],
            "size": [item.size for item in items],
        }
        self._writers[1].write_batch(pa.record_batch(keys, schema=_KEY_SCHEMA))
        self._items = []


def _drop_duplicates(
    folder: Path, connection: duckdb.DuckDBPyConnection, report: ReadReport
) -> None:
    """Leaves one row of each item: the fuller, then the earlier."""
    keys = ", ".join(quoted(path, pattern=True) for path in sorted(folder.glob("keys-*.raw")))
    lost, kept = folder / "lost.raw", folder / "kept.raw"
    try:
        connection.execute(
            "COPY (SELECT file, line FROM (SELECT file, line, row_number() OVER "
            "(PARTITION BY item_id ORDER BY filled DESC, size DESC, file, line) AS place "
            f"FROM read_parquet([{keys}])) WHERE place > 1) TO {quoted(lost)} (FORMAT parquet)"
        )
        table = f"read_parquet({quoted(lost, pattern=True)})"
        counts = connection.execute(f"SELECT file, count(*) FROM {table} GROUP BY file").fetchall()
        for file, count in counts:
            part = part_path(folder, file)
            connection.execute(
                f"COPY (SELECT * FROM read_parquet({quoted(part, pattern=True)}) AS item "
                f"ANTI JOIN {table} AS lost ON item.file = lost.file AND item.line = lost.line) "
                f"TO {quoted(kept)} (FORMAT parquet, COMPRESSION zstd)"
            )
            os.replace(kept, part)
            report.files[file].rows -= count
            report.files[file].dropped[FULLER_ROW] = count
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise QBert4RecError(
            f"the metadata cannot be written to {folder} ({reason}); choose a place with more "
            "room, or allow more memory"
        ) from error
    for path in folder.glob("*.raw"):
        path.unlink()

"""Raw metadata files of any format -> Parquet with one row an item."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from transformers.utils import logging

from ...errors import QBert4RecError
from ...files import make_folder
from .byte_stream import ByteStream
from .column_names import find_columns
from .delimited import DelimitedReader
from .files_given import given_files
from .items import AMAZON_KEYS, Item, item_of
from .kinds import check_kind
from .lines import LineReader
from .loose_json import LineError, parse_object
from .malformed import MalformedLines
from .options import (
    AMAZON_2023,
    ITEM_ID,
    METADATA_FIELDS,
    REVIEW_FORMATS,
    TABLE_FORMATS,
    ReadOptions,
)
from .outcome import complete_report
from .progress import with_progress
from .report import FileReport, ReadReport
from .review_rows import quoted
from .sniff import METADATA, Found, sniff

logger = logging.get_logger(__name__)

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
_DUPLICATE = "another row of the item is fuller"


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
    staging = Path(staging)
    folder = staging / METADATA
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    report = ReadReport(METADATA)
    try:
        for name, path in given_files(paths, staging, "--metadata"):
            # A format that only reviews have is no word about the metadata beside them.
            found = sniff(path, None if options.format in REVIEW_FORMATS else options.format)
            check_kind(found, METADATA)
            file = _FileRead(name, found, len(report.files), folder, options).run()
            report.files.append(file)
            logger.info("%s: %s, %d rows", file.path, file.format, file.rows)
        _drop_duplicates(folder, connection, report)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return report


class _FileRead:
    """Reads one metadata file."""

    def __init__(
        self, name: str, found: Found, index: int, folder: Path, options: ReadOptions
    ) -> None:
        self.found = found
        self.index = index
        self.folder = folder
        self.options = options
        self.lines = LineReader(ByteStream(found.path, found.compression))
        self.malformed = MalformedLines(found.path, options.shown_errors, strict=options.strict)
        self.report = FileReport(name, found.format, found.compression, found.encoding)

    def run(self) -> FileReport:
        found, report = self.found, self.report
        known = AMAZON_KEYS.get(found.format)
        columns = find_columns(
            found.columns,
            METADATA_FIELDS,
            self.options.columns,
            path=found.path,
            required=(ITEM_ID,),
            known=known,
        )
        report.columns = {field: ", ".join(names) for field, names in columns.items()}
        # Amazon's keys are read in ways of their own; what the user names is read as it says.
        named = {field: columns[field] for field in self.options.columns if field in columns}
        make_item = item_of(found.format, named if known is not None else columns)
        keys = list(dict.fromkeys(key for names in columns.values() for key in names))
        noted: Counter[str] = Counter()
        with _ItemWriter(self.folder, self.index) as writer:
            for line, record in with_progress(self._records(keys), self.lines.stream):
                item = make_item(record)
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
        complete_report(report, self.lines, self.malformed, self.options)
        if found.format == AMAZON_2023 and ITEM_ID not in named:
            report.remarks.append("item ids are parent_asin")
        return report

    def _records(self, keys: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The records of the file with the numbers of their lines."""
        if self.found.encoding is None:
            return self._parquet_records(keys)
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

    def _parquet_records(self, keys: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        try:
            file = pq.ParquetFile(self.found.path)
            wanted = [key for key in keys if key in self.found.columns]
            for batch in file.iter_batches(_BATCH, columns=wanted):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
        except (pa.ArrowException, OSError) as error:
            raise QBert4RecError(
                f"{self.found.path} cannot be read beyond row {number:,} "
                f"({str(error).splitlines()[0]}); fetch or write it again"
            ) from None


class _ItemWriter:
    """Writes the items of a file in batches, and their keys beside."""

    def __init__(self, folder: Path, index: int) -> None:
        self._index = index
        self._items: list[tuple[Item, int]] = []
        self._paths = (_part(folder, index), folder / f"keys-{index:05d}.raw")

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
    keys = sorted(folder.glob("keys-*.raw"))
    listed = ", ".join(quoted(str(path)) for path in keys)
    lost = folder / "lost.raw"
    try:
        connection.execute(
            "COPY (SELECT file, line FROM (SELECT file, line, row_number() OVER "
            "(PARTITION BY item_id ORDER BY filled DESC, size DESC, file, line) AS place "
            f"FROM read_parquet([{listed}])) WHERE place > 1) TO {quoted(str(lost))} "
            "(FORMAT parquet)"
        )
        table = f"read_parquet({quoted(str(lost))})"
        counts = connection.execute(f"SELECT file, count(*) FROM {table} GROUP BY file").fetchall()
        for file, count in counts:
            part = _part(folder, file)
            kept = folder / "kept.raw"
            connection.execute(
                f"COPY (SELECT * FROM read_parquet({quoted(str(part))}) AS item ANTI JOIN {table} "
                f"AS lost ON item.file = lost.file AND item.line = lost.line) "
                f"TO {quoted(str(kept))} (FORMAT parquet, COMPRESSION zstd)"
            )
            os.replace(kept, part)
            report.files[file].rows -= count
            report.files[file].dropped[_DUPLICATE] = count
            report.duplicates += count
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise QBert4RecError(
            f"the metadata cannot be written to {folder} ({reason}); choose a place with more "
            "room, or allow more memory"
        ) from error
    for path in folder.glob("*.raw"):
        path.unlink()


def _part(folder: Path, index: int) -> Path:
    return folder / f"part-{index:05d}.parquet"

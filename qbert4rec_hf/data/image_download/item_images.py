"""The images column of the items table, read and rewritten shard by shard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...columns import IMAGE_URLS, IMAGES, ITEM_ID, ITEMS
from ...errors import QBert4RecError
from ..tables import Table, find_tables, is_url, need_columns, readable

_LIST = pa.list_(pa.string())
# Rows whose lists are Python objects at the same time.
_BATCH_ROWS = 50_000

# From the images of an item and its addresses: what its row is to say.
Rewrite = Callable[[list[str], list[str]], tuple[list[str], list[str]]]


def read_item_images(folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The images of each item and all addresses of it that are known.

    Yields:
        Entries of the images column as they stand, and the addresses among them together with
        those that an earlier download put into the column `image_urls`.

    Raises:
        QBert4RecError: a file is missing, is not Parquet, or lacks the column.
    """
    for path in find_tables(folder, ITEMS):
        file = _open(path)
        present = [name for name in (IMAGES, IMAGE_URLS) if name in file.schema_arrow.names]
        with readable(path):
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=present):
                yield from _rows(pa.Table.from_batches([batch]), path)


def rewrite_item_images(folder: Path, rewrite: Rewrite) -> None:
    """Rewrites the columns `images` and `image_urls`; all else stays as it is.

    The new files take their places together, after the last one is complete.

    Raises:
        QBert4RecError: a file cannot be read or written.
    """
    paths = find_tables(folder, ITEMS)
    written: list[tuple[Path, Path]] = []
    try:
        for path in paths:
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            written.append((temporary, path))
            _rewrite_file(path, temporary, rewrite)
        _replace(written)
    except OSError as error:
        raise QBert4RecError(
            f"cannot write {path} ({error.strerror or error}); the same command goes on where it "
            "stopped once there is room"
        ) from None
    finally:
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)


def _replace(written: list[tuple[Path, Path]]) -> None:
    """Puts complete files in place, all of them also when interrupted."""
    waiting = list(written)
    try:
        while waiting:
            os.replace(*waiting[0])
            del waiting[0]
    except KeyboardInterrupt:
        # Shards of one table need the same columns.
        for temporary, path in waiting:
            if temporary.exists():
                os.replace(temporary, path)
        raise


def _rewrite_file(path: Path, temporary: Path, rewrite: Rewrite) -> None:
    file = _open(path)
    schema = _new_schema(file.schema_arrow)
    with pq.ParquetWriter(temporary, schema) as writer:
        for group in range(file.num_row_groups):
            with readable(path):
                table = file.read_row_group(group)
            rows = [rewrite(images, urls) for images, urls in _rows(table, path)]
            columns = {name: table.column(name) for name in table.column_names}
            columns[IMAGES] = pa.array([images for images, _ in rows], type=_LIST)
            columns[IMAGE_URLS] = pa.array([urls for _, urls in rows], type=_LIST)
            ordered = [columns[name] for name in schema.names]
            writer.write_table(
                pa.Table.from_arrays(ordered, schema=schema), row_group_size=len(rows) or None
            )


def _new_schema(schema: pa.Schema) -> pa.Schema:
    place = schema.get_field_index(IMAGES)
    schema = schema.set(place, pa.field(IMAGES, _LIST))
    if IMAGE_URLS in schema.names:
        return schema.set(schema.get_field_index(IMAGE_URLS), pa.field(IMAGE_URLS, _LIST))
    return schema.insert(place + 1, pa.field(IMAGE_URLS, _LIST))


def _rows(table: pa.Table, path: Path) -> Iterator[tuple[list[str], list[str]]]:
    images = _lists(table, IMAGES, path)
    if IMAGE_URLS in table.column_names:
        known = _lists(table, IMAGE_URLS, path)
    else:
        known = [[] for _ in images]
    for row, kept in zip(images, known, strict=True):
        yield row, list(dict.fromkeys([*kept, *(image for image in row if is_url(image))]))


def _lists(table: pa.Table, name: str, path: Path) -> list[list[str]]:
    column = table.column(name)
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    is_list = is_list or pa.types.is_fixed_size_list(kind)
    value = kind.value_type if is_list else kind
    if not pa.types.is_null(value) and not (
        is_list
        and (
            pa.types.is_string(value)
            or pa.types.is_large_string(value)
            or pa.types.is_string_view(value)
        )
    ):
        raise QBert4RecError(
            f"{path}: column {name} must hold lists of text, found {kind}; convert it"
        )
    return [
        [value for value in values if value is not None] if values else []
        for values in column.to_pylist()
    ]


def _open(path: Path) -> pq.ParquetFile:
    with readable(path):
        file = pq.ParquetFile(path)
    columns = file.schema_arrow.empty_table()
    need_columns(Table(columns, [str(path)], np.array([0])), [ITEM_ID, IMAGES])
    return file

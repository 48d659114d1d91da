"""Reading and checking the two Parquet tables of a domain folder.

Rows in messages are counted from 0 within their file, as `DataFrame.iloc` counts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..columns import IMAGES, ITEM_ID, TEXT, TITLE
from ..errors import QBert4RecError
from ..files import stays_inside

ITEM_COLUMNS = {
    ITEM_ID: pa.string(),
    TITLE: pa.string(),
    TEXT: pa.list_(pa.string()),
    IMAGES: pa.list_(pa.string()),
}
_URL = re.compile(r"^https?://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """An Arrow table that still knows from which file each row came.

    Args:
        data: all rows.
        files: name of each file, for messages.
        ends: `[files]`, number of rows up to and including each file.
        start: rows of the first file that stand before these.
    """

    data: pa.Table
    files: list[str]
    ends: np.ndarray
    start: int = 0

    @property
    def label(self) -> str:
        """Name of the table in messages about all of it."""
        return self.files[0] if len(self.files) == 1 else f"{self.files[0]} and its shards"

    def where(self, row: int) -> str:
        """Names a row: file and row in that file."""
        shard = int(np.searchsorted(self.ends, row, side="right"))
        start = int(self.ends[shard - 1]) if shard else -self.start
        return f"{self.files[shard]}, row {row - start}"

    def wrong_type(self, column: str, wanted: str, found: object) -> QBert4RecError:
        return QBert4RecError(
            f"{self.label}: column {column} must hold {wanted}, found {found}; convert it"
        )


def find_tables(folder: Path, stem: str) -> list[Path]:
    """Finds `stem.parquet`, `stem-*.parquet` or `stem/*.parquet`.

    Raises:
        QBert4RecError: none is there, or several forms are.
    """
    forms = [
        sorted(folder.glob(f"{stem}.parquet")),
        sorted(folder.glob(f"{stem}-*.parquet")),
        sorted((folder / stem).glob("*.parquet")),
    ]
    found = [form for form in forms if form]
    if not found:
        raise QBert4RecError(
            f"{folder} has no {stem}.parquet (nor {stem}/*.parquet, {stem}-*.parquet); "
            "a domain folder needs items and interactions"
        )
    if len(found) > 1:
        raise QBert4RecError(
            f"{found[0][0]} and {found[1][0]} both claim to be the {stem} table; remove one"
        )
    return found[0]


def open_shards(folder: Path, stem: str) -> list[pq.ParquetFile]:
    """Opens the files of one table of a domain folder; nothing but their schemas is read yet.

    Raises:
        QBert4RecError: a file is missing, is not Parquet, or has other columns than the first.
    """
    paths = find_tables(folder, stem)
    shards = []
    for path in paths:
        with readable(path):
            shards.append(pq.ParquetFile(path))
    for path, shard in zip(paths, shards, strict=True):
        names, first = shard.schema_arrow.names, shards[0].schema_arrow.names
        if set(names) != set(first):
            raise QBert4RecError(
                f"{path} has columns {sorted(names)}, {paths[0].name} has {sorted(first)}; "
                "shards of one table need the same columns"
            )
    return shards


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what Arrow says of a damaged file into a message that names it."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise QBert4RecError(
            f"{path} cannot be read as Parquet ({reason}); write or fetch it again"
        ) from None


def common_schema(shards: Sequence[pa.Schema], label: str) -> pa.Schema:
    """The types that the columns of all shards can be read as.

    Raises:
        QBert4RecError: the shards have types that do not go together.
    """
    try:
        return pa.unify_schemas(shards, promote_options="permissive")
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise QBert4RecError(
            f"{label}: the shards have different column types ({reason}); write them alike"
        ) from None


def read_tables(folder: Path, stem: str) -> Table:
    """Reads one table of a domain folder, sharded or not.

    Raises:
        QBert4RecError: a file is missing, is not Parquet, or does not fit the first shard.
    """
    paths = find_tables(folder, stem)
    # Not pq.read_table: it would guess partition columns from folder names.
    tables = []
    for path, shard in zip(paths, open_shards(folder, stem), strict=True):
        with readable(path):
            tables.append(shard.read())
    common_schema([table.schema for table in tables], str(paths[0]))
    data = pa.concat_tables(tables, promote_options="permissive")
    ends = np.cumsum([table.num_rows for table in tables])
    return Table(data, [str(path) for path in paths], ends)


def table_of_frame(frame: pd.DataFrame | pa.Table, label: str) -> Table:
    """Takes a DataFrame or an Arrow table as a table, `label` naming it in messages.

    Raises:
        QBert4RecError: a column holds values of several types.
    """
    if isinstance(frame, pa.Table):
        return Table(frame, [label], np.array([len(frame)]))
    columns = {}
    for column in frame.columns:
        try:
            columns[str(column)] = pa.array(frame[column], from_pandas=True)
        except (pa.ArrowException, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise QBert4RecError(
                f"{label}: column {column} mixes types ({reason}); convert it to one type"
            ) from None
    return Table(pa.table(columns), [label], np.array([len(frame)]))


def check_items(table: Table) -> pd.DataFrame:
    """Checks the items table.

    Titles may be null, lists of texts and images empty (or null, read as empty); further columns
    are kept as they are.

    Returns:
        DataFrame with item_id, title (str or None), text and images (lists of str), then the rest.

    Raises:
        QBert4RecError: a missing column, a wrong type, an item without id or an id twice, an image
            path that leaves the folder; names file, row and column.
    """
    need_columns(table, list(ITEM_COLUMNS))
    if not table.data.num_rows:
        raise QBert4RecError(f"{table.label} has no rows; a domain needs at least one item")
    item_ids = text_column(table, ITEM_ID).to_pylist()
    _check_unique(table, item_ids)
    columns: dict[str, object] = {
        ITEM_ID: pd.Series(item_ids, dtype=object),
        TITLE: pd.Series(text_column(table, TITLE, nullable=True).to_pylist(), dtype=object),
        TEXT: pd.Series(_text_lists(table, TEXT), dtype=object),
        IMAGES: pd.Series(_text_lists(table, IMAGES), dtype=object),
    }
    for row, images in enumerate(columns[IMAGES]):
        for image in images:
            # `file:///etc/passwd` is no path of ours either.
            if not is_url(image) and (_OTHER_SCHEME.match(image) or not stays_inside(image)):
                raise QBert4RecError(
                    f"{table.where(row)}, column {IMAGES}: {image!r} is not inside the domain "
                    "folder; give a path relative to the folder, or a URL"
                )
    further = [name for name in table.data.column_names if name not in ITEM_COLUMNS]
    frame = pd.DataFrame(columns)
    if further:
        frame = pd.concat([frame, table.data.select(further).to_pandas()], axis=1)
    return frame


def is_url(image: str) -> bool:
    """Whether an entry of the images column is a URL (http or https) and not a path."""
    return bool(_URL.match(image))


def need_columns(table: Table, columns: list[str]) -> None:
    """Raises where the table lacks one of the columns."""
    for column in columns:
        if column not in table.data.column_names:
            raise QBert4RecError(
                f"{table.label} lacks column {column} "
                f"(it has: {', '.join(table.data.column_names) or 'none'}); add or rename it"
            )


def one_array(table: Table, name: str) -> pa.Array:
    column = table.data.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    # Views and 32-bit offsets cannot always be joined to one array; 64-bit offsets can.
    if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def text_column(table: Table, name: str, *, nullable: bool = False) -> pa.Array:
    column = one_array(table, name)
    if pa.types.is_null(column.type):
        column = column.cast(pa.large_string())
    if not pa.types.is_large_string(column.type):
        way_out = " (ids stay text, so that leading zeros survive)" if name != TITLE else ""
        raise table.wrong_type(name, f"text{way_out}", column.type)
    if not nullable:
        empty = pc.or_kleene(pc.is_null(column), pc.equal(pc.fill_null(column, ""), ""))
        if pc.any(empty).as_py():
            row = pc.index(empty, True).as_py()
            raise QBert4RecError(
                f"{table.where(row)}, column {name}: the value is null or empty; "
                "every row needs one"
            )
    return column


def _text_lists(table: Table, name: str) -> list[list[str]]:
    column = one_array(table, name)
    kind = column.type
    if not pa.types.is_null(kind):
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        is_list = is_list or pa.types.is_fixed_size_list(kind)
        value = kind.value_type if is_list else None
        if value is None or not (
            pa.types.is_null(value)
            or pa.types.is_string(value)
            or pa.types.is_large_string(value)
            or pa.types.is_string_view(value)
        ):
            raise table.wrong_type(name, "lists of text", kind)
    return [
        [value for value in values if value is not None] if values else []
        for values in column.to_pylist()
    ]


def _check_unique(table: Table, item_ids: list[str]) -> None:
    repeated = pd.Index(item_ids, dtype=object).duplicated()
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        first = item_ids.index(item_ids[row])
        raise QBert4RecError(
            f"{table.where(row)}, column {ITEM_ID}: {item_ids[row]!r} stands already in "
            f"{table.where(first)}; an item has one row"
        )

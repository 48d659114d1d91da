"""Reading and checking the two Parquet tables of a domain folder.

Rows in messages are counted from 0 within their file, as `DataFrame.iloc` counts them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..columns import IMAGES, INTERACTIONS, ITEM_ID, ITEMS, TEXT, TIMESTAMP, TITLE, USER_ID
from ..errors import QBert4RecError

ITEM_COLUMNS = {
    ITEM_ID: pa.string(),
    TITLE: pa.string(),
    TEXT: pa.list_(pa.string()),
    IMAGES: pa.list_(pa.string()),
}
_URL = re.compile(r"^https?://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_DRIVE = re.compile(r"^[a-z]:", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """An Arrow table that still knows from which file each row came.

    Args:
        data: all rows.
        files: name of each file, for messages.
        ends: `[files]`, number of rows up to and including each file.
    """

    data: pa.Table
    files: list[str]
    ends: np.ndarray

    @property
    def label(self) -> str:
        """Name of the table in messages about all of it."""
        return self.files[0] if len(self.files) == 1 else f"{self.files[0]} and its shards"

    def where(self, row: int) -> str:
        """Names a row: file and row in that file."""
        shard = int(np.searchsorted(self.ends, row, side="right"))
        start = int(self.ends[shard - 1]) if shard else 0
        return f"{self.files[shard]}, row {row - start}"

    def wrong_type(self, column: str, wanted: str, found: object) -> QBert4RecError:
        return QBert4RecError(
            f"{self.label}: column {column} must hold {wanted}, found {found}; convert it"
        )


@dataclass(frozen=True)
class InteractionTable:
    """Checked interactions, with users and items as indices.

    Args:
        user_ids: `[users]`, in the order of their first row.
        user_index: `[n]`, index into `user_ids`.
        item_index: `[n]`, row of the item in the items table.
        timestamps: `[n]`, int64, or None where the table has none.
    """

    user_ids: np.ndarray
    user_index: np.ndarray
    item_index: np.ndarray
    timestamps: np.ndarray | None


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


def read_tables(folder: Path, stem: str) -> Table:
    """Reads one table of a domain folder, sharded or not.

    Raises:
        QBert4RecError: a file is missing, is not Parquet, or does not fit the first shard.
    """
    paths = find_tables(folder, stem)
    tables = []
    for path in paths:
        try:
            # Not pq.read_table: it would guess partition columns from folder names.
            tables.append(pq.ParquetFile(path).read())
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise QBert4RecError(
                f"{path} cannot be read as Parquet ({reason}); write or fetch it again"
            ) from None
    for path, table in zip(paths, tables, strict=True):
        if set(table.column_names) != set(tables[0].column_names):
            raise QBert4RecError(
                f"{path} has columns {sorted(table.column_names)}, {paths[0].name} has "
                f"{sorted(tables[0].column_names)}; shards of one table need the same columns"
            )
    try:
        data = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise QBert4RecError(
            f"{paths[0]}: the shards have different column types ({reason}); write them alike"
        ) from None
    ends = np.cumsum([table.num_rows for table in tables])
    return Table(data, [str(path) for path in paths], ends)


def table_of_frame(frame: pd.DataFrame, label: str) -> Table:
    """Takes a DataFrame as a table, `label` naming it in messages.

    Raises:
        QBert4RecError: a column holds values of several types.
    """
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
    _need_columns(table, list(ITEM_COLUMNS))
    if not table.data.num_rows:
        raise QBert4RecError(f"{table.label} has no rows; a domain needs at least one item")
    item_ids = _texts(table, ITEM_ID).to_pylist()
    _check_unique(table, item_ids)
    columns: dict[str, object] = {
        ITEM_ID: pd.Series(item_ids, dtype=object),
        TITLE: pd.Series(_texts(table, TITLE, nullable=True).to_pylist(), dtype=object),
        TEXT: pd.Series(_text_lists(table, TEXT), dtype=object),
        IMAGES: pd.Series(_text_lists(table, IMAGES), dtype=object),
    }
    for row, images in enumerate(columns[IMAGES]):
        for image in images:
            if not is_url(image) and not _stays_inside(image):
                raise QBert4RecError(
                    f"{table.where(row)}, column {IMAGES}: {image!r} is not inside the domain "
                    "folder; give a path relative to the folder, or a URL"
                )
    further = [name for name in table.data.column_names if name not in ITEM_COLUMNS]
    frame = pd.DataFrame(columns)
    if further:
        frame = pd.concat([frame, table.data.select(further).to_pandas()], axis=1)
    return frame


def check_interactions(table: Table, item_ids: list[str]) -> InteractionTable:
    """Checks the interactions table against the items.

    Raises:
        QBert4RecError: a missing column, a wrong type, a null, or an item that is not in the items
            table; names file, row, column and item.
    """
    _need_columns(table, [USER_ID, ITEM_ID])
    users = _texts(table, USER_ID).dictionary_encode()
    items = _texts(table, ITEM_ID).dictionary_encode()
    rows = pd.Index(item_ids, dtype=object).get_indexer(
        pd.Index(items.dictionary.to_pylist(), dtype=object)
    )
    item_index = rows[items.indices.to_numpy(zero_copy_only=False)].astype(np.int64)
    unknown = np.flatnonzero(item_index < 0)
    if len(unknown):
        row = int(unknown[0])
        item = table.data.column(ITEM_ID)[row].as_py()
        raise QBert4RecError(
            f"{table.where(row)}, column {ITEM_ID}: item {item!r} is not in the {ITEMS} table "
            f"({len(unknown)} such rows); add the item or drop the {INTERACTIONS}"
        )
    return InteractionTable(
        user_ids=np.array(users.dictionary.to_pylist(), dtype=object),
        user_index=users.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        item_index=item_index,
        timestamps=_timestamps(table),
    )


def is_url(image: str) -> bool:
    """Whether an entry of the images column is a URL (http or https) and not a path."""
    return bool(_URL.match(image))


def _stays_inside(image: str) -> bool:
    path = PurePosixPath(image.replace("\\", "/"))
    leaves = path.is_absolute() or ".." in path.parts
    # `file:///etc/passwd` is no path of ours either, nor is an empty entry.
    return bool(path.parts) and not (leaves or _DRIVE.match(image) or _OTHER_SCHEME.match(image))


def _need_columns(table: Table, columns: list[str]) -> None:
    for column in columns:
        if column not in table.data.column_names:
            raise QBert4RecError(
                f"{table.label} lacks column {column} "
                f"(it has: {', '.join(table.data.column_names) or 'none'}); add or rename it"
            )


def _column(table: Table, name: str) -> pa.Array:
    column = table.data.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    # Views and 32-bit offsets cannot always be joined to one array; 64-bit offsets can.
    if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _texts(table: Table, name: str, *, nullable: bool = False) -> pa.Array:
    column = _column(table, name)
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
    column = _column(table, name)
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


def _timestamps(table: Table) -> np.ndarray | None:
    """Time stamps as int64, or None where the column is absent or wholly null."""
    if TIMESTAMP not in table.data.column_names or not table.data.num_rows:
        return None
    column = _column(table, TIMESTAMP)
    if column.null_count == len(column):
        return None
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise QBert4RecError(
            f"{table.where(row)}, column {TIMESTAMP}: the value is null where other rows have one; "
            "give every row a time stamp or none"
        )
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
        kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    if pa.types.is_integer(kind):
        try:
            return column.cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            wanted = "integers of at most 64 bits with sign"
            raise table.wrong_type(TIMESTAMP, wanted, "larger ones") from None
    if pa.types.is_floating(kind):
        values = column.to_numpy(zero_copy_only=False)
        whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2.0**63)
        bad = np.flatnonzero(~whole)
        if len(bad):
            raise QBert4RecError(
                f"{table.where(int(bad[0]))}, column {TIMESTAMP}: {values[bad[0]]} is no whole "
                "number of 64 bits; give seconds or milliseconds as integers"
            )
        return values.astype(np.int64)
    raise table.wrong_type(TIMESTAMP, "integers, dates or time stamps", kind)

"""Reading and checking the interactions of a domain, batch by batch.

Ids become numbers while they are read, so that memory holds a few integers an interaction and each
id once, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..columns import INTERACTIONS, ITEM_ID, ITEMS, TIMESTAMP, USER_ID
from ..errors import QBert4RecError
from .tables import (
    Table,
    common_schema,
    find_tables,
    need_columns,
    one_array,
    open_shards,
    readable,
    text_column,
)

BATCH_ROWS = 500_000
# Ids of several batches, many of them the same, that may wait until they are numbered together.
PENDING_IDS = 2_000_000


@dataclass(frozen=True)
class InteractionTable:
    """Checked interactions, with users and items as indices.

    Args:
        user_ids: `[users]`, in the order of their first row.
        user_index: `[n]`, int32, index into `user_ids`.
        item_index: `[n]`, int32, row of the item in the items table.
        timestamps: `[n]`, int64, or None where the table has none.
        time_unit: unit of the time stamps where their type tells it.
    """

    user_ids: np.ndarray
    user_index: np.ndarray
    item_index: np.ndarray
    timestamps: np.ndarray | None
    time_unit: str | None = None


def read_interactions(
    folder: Path, item_ids: list[str], *, batch_rows: int = BATCH_ROWS
) -> InteractionTable:
    """Reads and checks the interactions table of a domain folder, sharded or not.

    Args:
        folder: of the domain.
        item_ids: `[items]`, ids in the order of the items table.
        batch_rows: rows that are looked at together.

    Raises:
        QBert4RecError: as `gather_interactions`, or a file that is missing or not Parquet.
    """
    return gather_interactions(_batches(folder, batch_rows), item_ids)


def gather_interactions(tables: Iterable[Table], item_ids: list[str]) -> InteractionTable:
    """Checks interactions against the items and puts them together.

    Args:
        tables: columns user_id, item_id and, where known, timestamp; each table is let go before
            the next one is asked for.
        item_ids: `[items]`, ids in the order of the items table.

    Raises:
        QBert4RecError: a missing column, a wrong type, a null, or an item that is not in the items
            table; names file, row, column and item.
    """
    gathered = _Gathered(item_ids)
    for table in tables:
        gathered.add(table)
    return gathered.result()


def _batches(folder: Path, batch_rows: int) -> Iterator[Table]:
    """The interactions as tables of some rows each, their types alike in all shards."""
    paths = find_tables(folder, INTERACTIONS)
    shards = open_shards(folder, INTERACTIONS)
    schema = common_schema([shard.schema_arrow for shard in shards], str(paths[0]))
    wanted = [name for name in (USER_ID, ITEM_ID, TIMESTAMP) if name in schema.names]
    schema = pa.schema([schema.field(name) for name in wanted])
    for path, shard in zip(paths, shards, strict=True):
        # What lacks a column or has no rows is to be named too.
        empty = Table(shard.schema_arrow.empty_table(), [str(path)], np.array([0]))
        need_columns(empty, [USER_ID, ITEM_ID])
        start = 0
        batches = shard.iter_batches(batch_rows, columns=wanted)
        while True:
            with readable(path):
                batch = next(batches, None)
            if batch is None:
                break
            data = pa.Table.from_batches([batch]).select(wanted).cast(schema)
            yield Table(data, [str(path)], np.array([len(data)]), start)
            start += len(data)
        if not start:
            yield Table(schema.empty_table(), [str(path)], np.array([0]))


class Numbered:
    """Texts as numbers, given in the order of their first appearance; each text is kept once."""

    def __init__(self) -> None:
        self.chunks: list[pa.DictionaryArray] = []
        self.known = 0
        self.pending = 0

    def add(self, texts: pa.Array) -> None:
        self.chunks.append(texts.dictionary_encode())
        self.pending += len(self.chunks[-1].dictionary)
        # Merging goes through all that is known, so it waits for about as much that may be new.
        if self.pending > max(PENDING_IDS, self.known):
            self._merge()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """The texts, object array, and the number of each text that was added, int32."""
        if not self.chunks:
            return np.empty(0, dtype=object), np.empty(0, dtype=np.int32)
        self._merge()
        merged = self.chunks[0]
        texts = np.empty(len(merged.dictionary), dtype=object)
        texts[:] = merged.dictionary.to_pylist()
        return texts, merged.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)

    def _merge(self) -> None:
        chunks = pa.chunked_array(self.chunks).unify_dictionaries().chunks
        merged = pa.DictionaryArray.from_arrays(
            pa.concat_arrays([chunk.indices for chunk in chunks]), chunks[0].dictionary
        )
        self.chunks, self.known, self.pending = [merged], len(merged.dictionary), 0


class _Gathered:
    """Numbers of what was read so far."""

    def __init__(self, item_ids: list[str]) -> None:
        self.items = pd.Index(item_ids, dtype=object)
        self.users = Numbered()
        self.item_index: list[np.ndarray] = []
        self.stamps: list[np.ndarray] = []
        self.has_stamps = False
        self.time_unit: str | None = None
        # The first row without a time stamp and where it stands.
        self.without_stamp: str | None = None

    def add(self, table: Table) -> None:
        need_columns(table, [USER_ID, ITEM_ID])
        users = text_column(table, USER_ID)
        items = text_column(table, ITEM_ID).dictionary_encode()
        rows = self.items.get_indexer(pd.Index(items.dictionary.to_pylist(), dtype=object))
        item_index = rows.astype(np.int32)[items.indices.to_numpy(zero_copy_only=False)]
        _check_known(table, item_index)
        self.users.add(users)
        self.item_index.append(item_index)
        self._add_stamps(table)

    def _add_stamps(self, table: Table) -> None:
        rows = table.data.num_rows
        column = one_array(table, TIMESTAMP) if TIMESTAMP in table.data.column_names else None
        nulls = rows if column is None else column.null_count
        if nulls and self.without_stamp is None:
            row = 0 if column is None else pc.index(pc.is_null(column), True).as_py()
            self.without_stamp = table.where(row)
        if nulls < rows:
            self.has_stamps = True
        if nulls or not rows:
            self.stamps.append(np.empty(0, dtype=np.int64))
        else:
            values, unit = _whole_stamps(table, column)
            self.time_unit = unit
            self.stamps.append(values)
        if self.has_stamps and self.without_stamp is not None:
            raise QBert4RecError(
                f"{self.without_stamp}, column {TIMESTAMP}: the value is null where other rows "
                "have one; give every row a time stamp or none"
            )

    def result(self) -> InteractionTable:
        user_ids, user_index = self.users.result()
        return InteractionTable(
            user_ids=user_ids,
            user_index=user_index,
            item_index=_joined(self.item_index, np.int32),
            timestamps=_joined(self.stamps, np.int64) if self.has_stamps else None,
            time_unit=self.time_unit,
        )


def _check_known(table: Table, item_index: np.ndarray) -> None:
    unknown = np.flatnonzero(item_index < 0)
    if len(unknown):
        row = int(unknown[0])
        item = table.data.column(ITEM_ID)[row].as_py()
        raise QBert4RecError(
            f"{table.where(row)}, column {ITEM_ID}: item {item!r} is not in the {ITEMS} table "
            f"({len(unknown)} such rows here); add the item or drop the {INTERACTIONS}"
        )


def _whole_stamps(table: Table, column: pa.Array) -> tuple[np.ndarray, str | None]:
    """Time stamps without nulls as int64, and their unit where the type tells it."""
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
        kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.int64()).to_numpy(zero_copy_only=False), kind.unit
    if pa.types.is_integer(kind):
        try:
            return column.cast(pa.int64()).to_numpy(zero_copy_only=False), None
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
        return values.astype(np.int64), None
    raise table.wrong_type(TIMESTAMP, "integers, dates or time stamps", kind)


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    """All parts in one array; each is let go as soon as it is copied, so that memory peaks once."""
    whole = np.empty(sum(map(len, parts)), dtype=kind)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole

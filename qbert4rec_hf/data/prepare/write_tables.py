"""The tables of the domain folder, written as they stream out of the engine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...columns import INTERACTIONS, ITEMS
from ..domain_files import INTERACTION_COLUMNS, ROWS_PER_GROUP
from ..tables import ITEM_COLUMNS
from .engine import Engine
from .pictures import IS_URL

# More interactions than this become several files, none of which cuts a user in two.
SHARD_ROWS = 5_000_000
FURTHER_COLUMNS = {
    "brand": pa.string(),
    "categories": pa.list_(pa.string()),
    "price": pa.float64(),
}
# Items carry texts, interactions do not.
_ITEMS_PER_GROUP = 50_000
_ITEMS_PER_BATCH = 5_000


def write_interactions(engine: Engine, folder: Path, *, has_times: bool) -> None:
    """Writes `interactions.parquet`, or `interactions/part-*.parquet` where there are many.

    The bytes depend on the interactions alone, not on the order in which they were read.

    Args:
        engine: with `ordered`, `kept_users` and `kept_items`.
        folder: the domain folder that is being written.
        has_times: whether ts is a time stamp; otherwise the column is null.
    """
    shards = _shards(engine)
    timestamp = "ts" if has_times else "NULL::BIGINT"
    for number, (first, last) in enumerate(shards):
        path = folder / f"{INTERACTIONS}.parquet"
        if len(shards) > 1:
            path = folder / INTERACTIONS / f"part-{number:05d}.parquet"
            path.parent.mkdir(exist_ok=True)
        query = (
            f"SELECT user_id, item_id, {timestamp} AS timestamp FROM ordered JOIN "
            f"(SELECT u, user_id, place FROM kept_users WHERE place BETWEEN {first} AND {last}) "
            "USING (u) JOIN (SELECT i, item_id FROM kept_items) USING (i) ORDER BY place, ts, tie"
        )
        _write(path, INTERACTION_COLUMNS, engine.batches(query), ROWS_PER_GROUP)


def define_item_rows(engine: Engine) -> None:
    """Makes the view `item_rows`: what is known of each item that is kept.

    Args:
        engine: with `kept_items`, `metadata` and `pictures`.
    """
    engine.define(
        "item_rows",
        "SELECT place, item_id, described, title, coalesce(text, []) AS text, "
        "list_concat(coalesce(files, []), list_filter(coalesce(images, []), "
        f"lambda image: {IS_URL})) AS images, {', '.join(FURTHER_COLUMNS)} FROM kept_items "
        "LEFT JOIN metadata USING (item_id) LEFT JOIN pictures USING (item_id)",
    )


def write_items(engine: Engine, folder: Path) -> None:
    """Writes `items.parquet`.

    Args:
        engine: with `item_rows`.
        folder: the domain folder that is being written.
    """
    columns = {**ITEM_COLUMNS, **FURTHER_COLUMNS}
    query = f"SELECT {', '.join(columns)} FROM item_rows ORDER BY place"
    batches = engine.batches(query, _ITEMS_PER_BATCH)
    _write(folder / f"{ITEMS}.parquet", columns, batches, _ITEMS_PER_GROUP)


def _shards(engine: Engine) -> list[tuple[int, int]]:
    """First and last place of the users of each file."""
    return engine.rows(
        "SELECT min(place), max(place) FROM (SELECT place, "
        f"(sum(n) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) - n) // {SHARD_ROWS} AS shard "
        "FROM (SELECT u, count(*) AS n FROM ordered GROUP BY u) JOIN kept_users USING (u)) "
        "GROUP BY shard ORDER BY min(place)"
    )


def _write(
    path: Path,
    columns: dict[str, pa.DataType],
    batches: Iterable[pa.RecordBatch],
    rows_per_group: int,
) -> None:
    """Writes batches of any sizes in row groups of the same size."""
    schema = pa.schema(columns)
    with pq.ParquetWriter(path, schema) as writer:
        waiting: list[pa.RecordBatch] = []
        rows = 0
        for batch in batches:
            while batch.num_rows:
                part = batch.slice(0, rows_per_group - rows)
                waiting.append(part)
                rows += part.num_rows
                batch = batch.slice(part.num_rows)
                if rows == rows_per_group:
                    writer.write_table(_joined(waiting, schema), row_group_size=rows_per_group)
                    waiting, rows = [], 0
        if waiting:
            writer.write_table(_joined(waiting, schema), row_group_size=rows_per_group)


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """One table without a trace of where its batches began, which the file would show."""
    return pa.Table.from_batches(batches).cast(schema).combine_chunks()

"""The order of the result: of the interactions of a user, of the users, of the items."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from ..time_order import hash_ids
from .engine import Engine
from .filters import Log


def order_log(log: Log, *, seed: int, max_history: int | None, has_times: bool) -> None:
    """Makes the table `ordered` (u, i, ts, tie) of `log`, which is deleted.

    Sorted by ts and then tie, a user's interactions are in the order that `Domain.load` gives
    them: equal time stamps by a seeded hash of user and item. Without time stamps ts is the place
    in the files and decides alone.

    Makes also `kept_users` (u, user_id, hash), the users of the log.

    Args:
        log: the interactions that are left.
        seed: of the hashes.
        max_history: how many of a user are kept, the latest; None keeps all.
        has_times: whether ts is a time stamp.
    """
    engine = log.engine
    users = "SELECT u, user_id FROM users SEMI JOIN (SELECT u FROM log) USING (u)"
    items = "SELECT i, item_id FROM items SEMI JOIN (SELECT i FROM log) USING (i)"
    _hash(engine, users, "kept_users", f"user{seed}")
    engine.drop("users")
    _hash(engine, items, "item_ties", f"item{seed}")
    query = "SELECT u, i, ts, 0::UBIGINT AS tie FROM log"
    if has_times:
        query = (
            "SELECT u, i, ts, mix64(xor(mixed, hash)) AS tie FROM log "
            "JOIN (SELECT u, mix64(hash) AS mixed FROM kept_users) USING (u) "
            "JOIN (SELECT i, hash FROM item_ties) USING (i)"
        )
    engine.create("ordered", query)
    engine.drop("log", "item_ties")
    if max_history is None:
        return
    before = log.rows
    log.rows = engine.create(
        "ordered",
        "SELECT u, i, ts, tie FROM (SELECT *, row_number() OVER "
        "(PARTITION BY u ORDER BY ts DESC, tie DESC) AS from_end FROM ordered) "
        f"WHERE from_end <= {max_history}",
    )
    log.count(
        f"older than the latest {max_history} of the user",
        before - log.rows,
        "allow longer histories",
    )


def number_rows(engine: Engine, *, seed: int, whole_catalogue: bool) -> None:
    """Gives users and items their rows in the result, by hashes of their ids.

    Item rows in the order of a file would tell how late an item came. Makes `kept_users`
    (u, user_id, place) and `kept_items` (i, item_id, described, place).

    Args:
        engine: with `ordered`, `kept_users` and `items`; the last is deleted.
        seed: of the hashes.
        whole_catalogue: whether items of the metadata that nobody has are kept.
    """
    engine.create(
        "kept_users",
        "SELECT u, user_id, row_number() OVER (ORDER BY hash, user_id) - 1 AS place "
        "FROM kept_users",
    )
    taken = "i IN (SELECT i FROM ordered)"
    kept = f"described OR {taken}" if whole_catalogue else taken
    _hash(
        engine,
        f"SELECT i, item_id, described FROM items WHERE {kept}",
        "kept_items",
        f"row{seed}",
    )
    engine.drop("items")
    engine.create(
        "kept_items",
        "SELECT i, item_id, described, row_number() OVER (ORDER BY hash, item_id) - 1 AS place "
        "FROM kept_items",
    )


def _hash(engine: Engine, query: str, name: str, key: str) -> None:
    """Makes a table of a query with a further column `hash`, computed in Python in batches.

    Args:
        engine: the engine.
        query: its second column are the ids.
        name: of the table.
        key: of the hash.
    """
    path = engine.new_file(name)
    writer = None
    try:
        for batch in engine.batches(query):
            hashes = pa.array(hash_ids(batch.column(1).to_pylist(), key), pa.uint64())
            table = pa.table([*batch.columns, hashes], names=[*batch.schema.names, "hash"])
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    engine.attach(name, [path])

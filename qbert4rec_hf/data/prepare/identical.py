"""Products that stand in a catalogue under several ids."""

from __future__ import annotations

from .engine import Engine
from .filters import Log

# Unit and record separator: the readers leave no control characters in texts.
_KEY = (
    "md5(concat_ws(chr(31), coalesce(title, ''), array_to_string(coalesce(text, []), chr(30)), "
    "array_to_string(coalesce(images, []), chr(30)), coalesce(brand, '')))"
)
# The same picture alone is no sign: it may say that there is none.
_TELLING = "(coalesce(title, '') <> '' OR len(coalesce(text, [])) > 0)"


def find_identical(engine: Engine, items: str, interactions: str) -> int:
    """Finds items with the same title, text, images and brand.

    Makes the table `identical` (i, keeper): of each group the item with most interactions, or the
    first by its id, is the keeper of the others.

    Args:
        engine: with the tables `items` and `metadata`.
        items: SQL, the items to look at; gives `i` and `item_id`.
        interactions: SQL, the interactions that count; gives `i`.

    Returns:
        How many items have a keeper.
    """
    engine.create(
        "item_keys",
        f"SELECT i, item_id, {_KEY} AS key FROM metadata JOIN ({items}) USING (item_id) "
        f"WHERE {_TELLING}",
    )
    count = engine.create(
        "identical",
        f"""
        SELECT i, keeper FROM (
            SELECT i, first_value(i) OVER (
                PARTITION BY key ORDER BY coalesce(taken, 0) DESC, item_id
            ) AS keeper
            FROM (
                SELECT * FROM item_keys
                SEMI JOIN (SELECT key FROM item_keys GROUP BY key HAVING count(*) > 1) USING (key)
            )
            LEFT JOIN (SELECT i, count(*) AS taken FROM ({interactions}) GROUP BY i) USING (i)
        ) WHERE i <> keeper
        """,
    )
    engine.drop("item_keys")
    return count


def merge_identical(log: Log) -> int:
    """Makes identical items one, in `log` and in `items`.

    Returns:
        How many items went.
    """
    engine = log.engine
    merged = find_identical(engine, "SELECT i, item_id FROM items", "SELECT i FROM log")
    if merged:
        log.replace(
            "SELECT u, coalesce(keeper, i) AS i, rating, ts FROM log LEFT JOIN identical USING (i)",
            "identical product",
            "check the files",
        )
        engine.create("items", "SELECT * FROM items ANTI JOIN identical USING (i)")
    engine.drop("identical")
    return merged

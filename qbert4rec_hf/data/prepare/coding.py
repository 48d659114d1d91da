"""Users and items as integers: what makes every later step small."""

from __future__ import annotations

from ...errors import QBert4RecError
from .engine import Engine

# Where there are no time stamps, place in the files takes their part.
_FILE_ROWS = 1 << 40


def code_log(engine: Engine, *, has_times: bool) -> int:
    """Makes the tables that the cleaning works on.

    Reads the tables `reviews` and `metadata` of the readers; `reviews` is deleted. Makes
    `users` (u, user_id), `items` (i, item_id, described: whether the metadata has it, taken:
    whether anybody has it) and `log` (u, i, rating, ts). The numbers say nothing and may differ
    from run to run; no result depends on them.

    Args:
        engine: with the readers' tables.
        has_times: whether the reviews have time stamps; otherwise `ts` is the place in the files.

    Returns:
        The number of interactions.

    Raises:
        QBert4RecError: there is metadata, but of none of the items.
    """
    # Without an order the window counts rows as they stream by; nothing is kept.
    engine.create(
        "users",
        "SELECT (row_number() OVER ())::INTEGER AS u, user_id "
        "FROM (SELECT DISTINCT user_id FROM reviews)",
    )
    engine.create(
        "items",
        "SELECT (row_number() OVER ())::INTEGER AS i, item_id, described, taken FROM "
        "(SELECT item_id, bool_or(described) AS described, bool_or(taken) AS taken FROM "
        "(SELECT DISTINCT item_id, false AS described, true AS taken FROM reviews UNION ALL "
        "SELECT item_id, true, false FROM metadata) GROUP BY item_id)",
    )
    _check_metadata_belongs(engine)
    ts = "timestamp" if has_times else f"file::BIGINT * {_FILE_ROWS} + line"
    rows = engine.create(
        "log",
        f"SELECT u, i, rating, {ts} AS ts FROM reviews "
        "JOIN users USING (user_id) JOIN items USING (item_id)",
    )
    engine.drop("reviews")
    return rows


def _check_metadata_belongs(engine: Engine) -> None:
    described, both, of_log, of_metadata = engine.row(
        "SELECT count(*) FILTER (described), count(*) FILTER (described AND taken), "
        "min(item_id) FILTER (taken), min(item_id) FILTER (described) FROM items"
    )
    if described and not both:
        raise QBert4RecError(
            f"the metadata has none of the items of the reviews (reviews: {of_log!r}, metadata: "
            f"{of_metadata!r}); is it of another category?"
        )

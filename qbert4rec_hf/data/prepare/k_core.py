"""The k-core of the graph of users and items."""

from __future__ import annotations

from ...errors import QBert4RecError
from .engine import Engine
from .filters import Log

_CORE = "core"


def keep_core(log: Log, user_core: int, item_core: int) -> int:
    """Leaves the interactions of the k-core: its fixed point, not the result of one pass.

    Removing a user takes interactions from items and the other way round, so that both conditions
    are looked at until a round removes nothing. The result does not depend on any order: it is the
    largest part of the log in which every user and item has enough interactions.

    Args:
        log: the interactions.
        user_core: least number of interactions of a user.
        item_core: least number of interactions of an item.

    Returns:
        In how many rounds something was removed.

    Raises:
        QBert4RecError: nothing remains; says at which k something would.
    """
    if max(user_core, item_core) <= 1:
        return 0
    engine, before = log.engine, log.rows
    table, rounds = _peel(engine, user_core, item_core)
    if table != "log":
        log.rows = engine.value(f"SELECT count(*) FROM {table}")
    if not log.rows:
        raise QBert4RecError(
            f"nothing remains of {before:,} interactions when each user needs {user_core} and each "
            f"item {item_core} of them; {_what_would_remain(engine, user_core, item_core)}"
        )
    if table != "log":
        engine.rename(table, "log")
    log.count(
        f"outside the {_words(user_core, item_core)}", before - log.rows, "take a smaller core"
    )
    return rounds


def _peel(engine: Engine, user_core: int, item_core: int) -> tuple[str, int]:
    """Finds the core of `log`, which stays.

    Returns:
        The table of the core, which is `log` itself where nothing is removed, and the number of
        rounds.
    """
    table, rounds = "log", 0
    cores = {column: core for column, core in (("u", user_core), ("i", item_core)) if core > 1}
    while True:
        # After the first rounds few are removed in each: joining those is far cheaper than joining
        # the many that stay.
        removed = {
            column: engine.create(
                f"removed_{column}",
                f"SELECT {column} FROM {table} GROUP BY {column} HAVING count(*) < {core}",
            )
            for column, core in cores.items()
        }
        if not any(removed.values()):
            return table, rounds
        joins = "".join(f" ANTI JOIN removed_{column} USING ({column})" for column in cores)
        engine.create(_CORE, f"SELECT * FROM {table}{joins}")
        table = _CORE
        rounds += 1


def _what_would_remain(engine: Engine, user_core: int, item_core: int) -> str:
    """The largest k at which something remains, by halving: cores lie within each other."""
    low, high = 1, max(user_core, item_core)
    while high - low > 1:
        middle = (low + high) // 2
        table, _ = _peel(engine, min(user_core, middle), min(item_core, middle))
        some = engine.value(f"SELECT count(*) > 0 FROM {table}")
        low, high = (middle, high) if some else (low, middle)
    cores = min(user_core, low), min(item_core, low)
    table, _ = _peel(engine, *cores)
    users, items, rows = engine.row(
        f"SELECT count(DISTINCT u), count(DISTINCT i), count(*) FROM {table}"
    )
    return f"a {_words(*cores)} would leave {users:,} users, {items:,} items, {rows:,} interactions"


def _words(user_core: int, item_core: int) -> str:
    if user_core == item_core:
        return f"{user_core}-core"
    return f"core of {user_core} a user and {item_core} an item"

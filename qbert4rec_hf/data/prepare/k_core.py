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
    before = log.rows
    rows, rounds = _peel(log.engine, user_core, item_core)
    if not rows:
        raise QBert4RecError(
            f"nothing remains of {before:,} interactions when each user needs {user_core} and each "
            f"item {item_core} of them; {_what_would_remain(log.engine, user_core, item_core)}"
        )
    log.engine.rename(_CORE, "log")
    log.rows = rows
    log.count(f"outside the {_words(user_core, item_core)}", before - rows, "take a smaller core")
    return rounds


def _peel(engine: Engine, user_core: int, item_core: int) -> tuple[int, int]:
    """Makes the table `core` of `log`; gives its rows and the number of rounds."""
    source, before, rounds = "log", None, 0
    while True:
        enough = "".join(
            f" SEMI JOIN (SELECT {column} FROM {source} GROUP BY {column} "
            f"HAVING count(*) >= {core}) USING ({column})"
            for column, core in (("u", user_core), ("i", item_core))
            if core > 1
        )
        if before is None:
            before = engine.value("SELECT count(*) FROM log")
        rows = engine.create(_CORE, f"SELECT * FROM {source}{enough}")
        if rows == before:
            return rows, rounds
        rounds += 1
        if not rows:
            return rows, rounds
        source, before = _CORE, rows


def _what_would_remain(engine: Engine, user_core: int, item_core: int) -> str:
    """The largest k at which something remains, by halving: cores lie within each other."""
    low, high = 1, max(user_core, item_core)
    while high - low > 1:
        middle = (low + high) // 2
        rows, _ = _peel(engine, min(user_core, middle), min(item_core, middle))
        low, high = (middle, high) if rows else (low, middle)
    cores = min(user_core, low), min(item_core, low)
    if low > 1:
        _peel(engine, *cores)
    table = _CORE if low > 1 else "log"
    users, items, rows = engine.row(
        f"SELECT count(DISTINCT u), count(DISTINCT i), count(*) FROM {table}"
    )
    return f"a {_words(*cores)} would leave {users:,} users, {items:,} items, {rows:,} interactions"


def _words(user_core: int, item_core: int) -> str:
    if user_core == item_core:
        return f"{user_core}-core"
    return f"core of {user_core} a user and {item_core} an item"

"""The figures of a prepared log: the paper's Table 1, coverage and ties."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain_info import TEMPORAL, DomainInfo
from ..split import MIN_EVALUATED_LENGTH
from .engine import Engine
from .identical import find_identical

_PER_STAMP = "SELECT u, ts, count(*) AS n FROM ordered GROUP BY u, ts"


@dataclass(frozen=True)
class LogFigures:
    """What is counted in the interactions.

    Args:
        users: users.
        interactions: interactions.
        repeats: whether any user has an item twice.
        tied_pairs: neighbouring interactions of one user with equal time stamps; None without time
            stamps.
        tied_users: users whose test item the tie-break alone decides; None without time stamps.
        rising_pairs: neighbouring interactions of one user of which the later item has the larger
            id; None with time stamps, or where all ids are numbers.
        evaluated_users: users with a test item.
    """

    users: int
    interactions: int
    repeats: bool
    tied_pairs: int | None
    tied_users: int | None
    rising_pairs: int | None
    evaluated_users: int


def log_figures(engine: Engine, *, has_times: bool, test_from: int | None) -> LogFigures:
    """Counts in the table `ordered`.

    Args:
        engine: with `ordered` and `kept_items`.
        has_times: whether ts is a time stamp.
        test_from: start of the test period under a temporal split; None under leave-one-out.
    """
    repeats = engine.value(
        "SELECT count(*) > 0 FROM (SELECT 1 FROM ordered GROUP BY u, i HAVING count(*) > 1)"
    )
    if test_from is None:
        per_user = (
            f"SELECT sum(n) AS length, arg_max(n, ts) > 1 AS tied, "
            f"sum(n) >= {MIN_EVALUATED_LENGTH} AS evaluated FROM ({_PER_STAMP}) GROUP BY u"
        )
    else:
        per_user = (
            f"SELECT sum(n) AS length, arg_min(n, ts) FILTER (ts >= {test_from}) > 1 AS tied, "
            f"bool_or(ts < {test_from}) AND bool_or(ts >= {test_from}) AS evaluated "
            f"FROM ({_PER_STAMP}) GROUP BY u"
        )
    users, interactions, evaluated, tied = engine.row(
        "SELECT count(*), sum(length)::BIGINT, count(*) FILTER (evaluated), "
        f"count(*) FILTER (evaluated AND tied) FROM ({per_user})"
    )
    pairs = engine.value(f"SELECT (sum(n - 1))::BIGINT FROM ({_PER_STAMP})") if has_times else None
    return LogFigures(
        users=users,
        interactions=interactions,
        repeats=repeats,
        tied_pairs=pairs,
        tied_users=tied if has_times else None,
        rising_pairs=None if has_times else _rising_pairs(engine),
        evaluated_users=evaluated,
    )


def _rising_pairs(engine: Engine) -> int | None:
    """What `count_rising_pairs` counts, without the log in memory."""
    if engine.value("SELECT bool_and(regexp_full_match(item_id, '[0-9]+')) FROM kept_items"):
        return None
    return engine.value(
        "SELECT count(*) FILTER (item_id > before) FROM (SELECT item_id, lag(item_id) OVER "
        "(PARTITION BY u ORDER BY ts, tie) AS before FROM ordered JOIN "
        "(SELECT i, item_id FROM kept_items) USING (i))"
    )


def table_of(
    engine: Engine,
    info: DomainInfo,
    figures: LogFigures,
    *,
    has_metadata: bool,
    merged: int | None,
    rounds: int,
) -> dict[str, int | float]:
    """The table that a preparation ends with.

    Args:
        engine: with `ordered`, `kept_items`, `item_rows` and `metadata`.
        info: what is known of the domain.
        figures: of the interactions.
        has_metadata: whether metadata was given.
        merged: how many identical products were merged; None where none should be.
        rounds: rounds of the k-core.

    Returns:
        Name -> value. What begins with "share" or is the sparsity is between 0 and 1.
    """
    items, text, image, both, described = engine.row(
        "SELECT count(*), count(*) FILTER (has_text), count(*) FILTER (has_image), "
        "count(*) FILTER (has_text AND has_image), count(*) FILTER (described) FROM ("
        "SELECT described, coalesce(title, '') <> '' OR len(coalesce(text, [])) > 0 AS has_text, "
        "len(images) > 0 AS has_image FROM item_rows)"
    )
    table: dict[str, int | float] = {
        "users": figures.users,
        "items": items,
        "interactions": figures.interactions,
        "mean length": figures.interactions / figures.users,
        "sparsity": 1 - figures.interactions / (figures.users * items),
        "share of items with text": text / items,
        "share of items with image": image / items,
        "share of items with both": both / items,
    }
    if has_metadata:
        table["items without metadata"] = items - described
        table["interactions of items without metadata"] = engine.value(
            "SELECT count(*) FROM ordered SEMI JOIN "
            "(SELECT i FROM kept_items WHERE NOT described) USING (i)"
        )
        if merged is None:
            table["items that equal another in text and image"] = find_identical(
                engine, "SELECT i, item_id FROM kept_items", "SELECT i FROM ordered"
            )
        else:
            table["identical products merged into another"] = merged
    if rounds:
        table["rounds of the k-core"] = rounds
    if figures.tied_pairs is not None:
        neighbours = figures.interactions - figures.users
        table["share of neighbouring pairs with equal time stamps"] = (
            figures.tied_pairs / neighbours if neighbours else 0.0
        )
        table["users whose test item is tied"] = figures.tied_users
        table["share of test items that are tied"] = (
            figures.tied_users / figures.evaluated_users if figures.evaluated_users else 0.0
        )
    table["users with a test item"] = figures.evaluated_users
    if info.split == TEMPORAL:
        training, validation = engine.row(
            f"SELECT count(*) FILTER (ts < {info.validation_from}), count(*) FILTER "
            f"(ts >= {info.validation_from} AND ts < {info.test_from}) FROM ordered"
        )
        table["share of interactions for training"] = training / figures.interactions
        table["share of interactions for validation"] = validation / figures.interactions
        table["share of interactions for test"] = 1 - (training + validation) / figures.interactions
    return table

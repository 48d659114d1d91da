"""The cleaning steps that look at one interaction, or at one user and item, at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import QBert4RecError
from .engine import Engine


@dataclass
class Log:
    """The interactions on their way: the table `log` of the engine.

    Args:
        engine: the engine.
        rows: interactions that are left.
        dropped: reason -> interactions left out for it.
    """

    engine: Engine
    rows: int
    dropped: dict[str, int] = field(default_factory=dict)

    def replace(self, query: str, reason: str, way_out: str) -> int:
        """Takes the result of a query on `log` as the new `log`.

        Args:
            query: gives the rows that stay.
            reason: why the others go.
            way_out: what the user can change, should none stay.

        Returns:
            How many went.

        Raises:
            QBert4RecError: none stays.
        """
        before = self.rows
        self.rows = self.engine.create("log", query)
        return self.count(reason, before - self.rows, way_out)

    def count(self, reason: str, dropped: int, way_out: str) -> int:
        """Notes that interactions went; see `replace`."""
        if dropped:
            self.dropped[reason] = self.dropped.get(reason, 0) + dropped
        if not self.rows:
            others = {name: count for name, count in self.dropped.items() if name != reason}
            before = "".join(f"; before that, {name}: {count:,}" for name, count in others.items())
            raise QBert4RecError(
                f"no interaction is left: {reason}: {dropped:,}{before}; {way_out}"
            )
        return dropped


def drop_duplicates(log: Log) -> None:
    """Leaves one of the rows with the same user, item, time stamp and rating."""
    log.replace("SELECT DISTINCT u, i, rating, ts FROM log", "duplicate row", "check the files")


def keep_period(log: Log, since: int | None, until: int | None) -> None:
    """Leaves what is in a period; bounds in the time stamps' unit, both included."""
    if since is not None:
        log.replace(
            f"SELECT * FROM log WHERE ts >= {since}", "before since", "choose an earlier since"
        )
    if until is not None:
        log.replace(f"SELECT * FROM log WHERE ts <= {until}", "after until", "choose a later until")


def keep_ratings(log: Log, least: float) -> None:
    """Leaves what has a rating of at least `least`."""
    way_out = "lower min_rating, or leave it out"
    log.replace("SELECT * FROM log WHERE rating IS NOT NULL", "no rating", way_out)
    log.replace(
        f"SELECT * FROM log WHERE rating >= {float(least)!r}::DOUBLE",
        f"rating below {least:g}",
        way_out,
    )


def keep_described(log: Log) -> None:
    """Leaves the interactions of items that the metadata has."""
    log.replace(
        "SELECT * FROM log SEMI JOIN (SELECT i FROM items WHERE described) USING (i)",
        "item without metadata",
        "keep the items without metadata",
    )


def keep_first(log: Log) -> None:
    """Leaves the first time that each user has each item; ratings go."""
    log.replace(
        "SELECT u, i, min(ts) AS ts FROM log GROUP BY u, i",
        "user has the item already",
        "keep the repeats",
    )

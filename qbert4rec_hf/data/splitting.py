"""How histories were split, in words and figures: what stands beside every metric."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import QBert4RecError
from .domain_info import BY_TIMESTAMPS, LEAVE_ONE_OUT, ON_TRUST, TEMPORAL
from .item_order import sorting_note

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_RULES = {
    LEAVE_ONE_OUT: "leave-one-out: last item test, last but one validation",
    TEMPORAL: "temporal, one cut-off for everybody: training before {validation}, validation "
    "from there, test from {test}; a user's first item of a period is the one to predict",
}
_HISTORIES = {
    (LEAVE_ONE_OUT, "validation"): "training part",
    (LEAVE_ONE_OUT, "test"): "training part and validation item",
    (TEMPORAL, "validation"): "everything before validation_from",
    (TEMPORAL, "test"): "everything before test_from",
}


@dataclass(frozen=True)
class Splitting:
    """How the users of an evaluation were split.

    Args:
        kind: "leave_one_out" or "temporal".
        split: "validation" or "test".
        time_order: "timestamps", or "trust" where the order is believed.
        num_users: users evaluated.
        tied_users: those of them whose target the tie-break alone decides: under leave-one-out it
            shares its time stamp with the item before, under a temporal split with the item
            after. None without time stamps.
        dropped_users: users left out of the evaluation because their target is tied.
        validation_from: temporal split: the first time stamp after training.
        test_from: temporal split: the first time stamp of the test period.
        time_unit: unit of the time stamps, where known.
        rising_share: share of neighbouring items that rise by id, where the order is believed.
    """

    kind: str
    split: str
    time_order: str
    num_users: int
    tied_users: int | None = None
    dropped_users: int = 0
    validation_from: int | None = None
    test_from: int | None = None
    time_unit: str | None = None
    rising_share: float | None = None

    @property
    def rule(self) -> str:
        """The rule in words, with its cut-offs."""
        return split_rule(self.kind, self.validation_from, self.test_from, self.time_unit)

    @property
    def history(self) -> str:
        """What is known of a user before the target, in words."""
        return _HISTORIES[self.kind, self.split]

    @property
    def tied_share(self) -> float | None:
        """Share of the evaluated users whose target is tied; None without time stamps."""
        if self.tied_users is None:
            return None
        return self.tied_users / self.num_users if self.num_users else 0.0

    @property
    def note(self) -> str:
        """What stands under every table of metrics: how far order can be believed."""
        if self.time_order == ON_TRUST or self.tied_share is None:
            note = (
                "The histories have no time stamps: their order, and so what was held out, is "
                "taken on trust."
            )
            return f"{note} {sorting_note(self.rising_share)}".rstrip()
        neighbour = "after" if self.kind == TEMPORAL else "before"
        if self.tied_users:
            # Never "0%" of some, nor "100%" of not all.
            percent = round(100 * self.tied_share)
            share = f"{min(max(percent, 1), 99 if self.tied_share < 1 else 100)}%"
            if self.tied_share < 0.005:
                share = "less than 1%"
            note = (
                f"The {self.split} item of {share} of these users shares its time stamp with the "
                f"item {neighbour}: for them the order is a coin toss."
            )
        else:
            note = (
                f"No {self.split} item of these users shares its time stamp with the item "
                f"{neighbour} it."
            )
        if self.dropped_users:
            note += (
                f" {self.dropped_users:,} users were left out because their held-out items are "
                "tied."
            )
        return note

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, words and figures."""
        cutoffs = None
        if self.kind == TEMPORAL:
            cutoffs = {
                "validation_from": self.validation_from,
                "test_from": self.test_from,
                "time_unit": self.time_unit,
            }
        return {
            "kind": self.kind,
            "splitting": self.rule,
            "history": self.history,
            "cutoffs": cutoffs,
            "time_order": self.time_order,
            "rising_share": self.rising_share,
            "tied_users": self.tied_users,
            "tied_share": self.tied_share,
            "users_left_out_for_ties": self.dropped_users,
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], split: str, num_users: int) -> Splitting | None:
        """Reads what `to_dict` wrote; None where it is not stated."""
        if "kind" not in values:
            return None
        if values["kind"] not in _RULES:
            raise QBert4RecError(f"a split of kind {values['kind']!r} is not known here")
        return cls(
            kind=values["kind"],
            split=split,
            time_order=values["time_order"],
            num_users=num_users,
            tied_users=values["tied_users"],
            dropped_users=values["users_left_out_for_ties"],
            rising_share=values.get("rising_share"),
            **(values["cutoffs"] or {}),
        )


def split_rule(
    kind: str, validation_from: int | None, test_from: int | None, time_unit: str | None
) -> str:
    """A splitting rule in words, with its cut-offs."""
    return _RULES[kind].format(
        validation=describe_stamp(validation_from, time_unit),
        test=describe_stamp(test_from, time_unit),
    )


def describe_stamp(stamp: int | None, unit: str | None) -> str:
    """A time stamp to read: as a time of UTC where its unit is known, with the stamp itself.

    Example:
        >>> describe_stamp(1_500_000_000, "s")
        '2017-07-14 02:40 UTC (1500000000 s)'
        >>> describe_stamp(30, None)
        'time stamp 30'
    """
    if unit is None or stamp is None:
        return f"time stamp {stamp}"
    try:
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=stamp // _PER_SECOND[unit])
    except OverflowError:
        return f"time stamp {stamp} {unit}"
    return f"{when:%Y-%m-%d %H:%M} UTC ({stamp} {unit})"


def time_order_of(has_stamps: bool) -> str:
    """How histories were ordered, as `domain.json` calls it."""
    return BY_TIMESTAMPS if has_stamps else ON_TRUST

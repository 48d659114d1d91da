"""What a user may choose about the cleaning of a log."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from ...errors import QBert4RecError
from ..domain_info import KEEP_TIES, LEAVE_ONE_OUT, SPLITTINGS, TEMPORAL, TIE_RULES

FIRST, KEEP, DROP = "first", "keep", "drop"
REPEATS = (FIRST, KEEP)
ITEMS_WITHOUT_METADATA = (KEEP, DROP)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class PrepareSettings:
    """How a log is cleaned; the defaults are the paper's choices.

    The steps are taken in the order of the fields.

    Args:
        since: first day or moment to keep, ISO form (2018-01-31, or 2018-01-31T12:00); UTC where
            no offset is given.
        until: last day (whole) or moment to keep.
        min_rating: lowest rating to keep; rows without a rating go too.
        merge_identical: whether items with the same title, text, images and brand become one; the
            id that has most interactions stays.
        items_without_metadata: "keep", or "drop" together with their interactions.
        repeats: "first" keeps the first time that a user has an item, "keep" all.
        user_core: each user has at least so many interactions, together with `item_core` taken to
            the fixed point.
        item_core: each item has at least so many interactions. With 0, items of the metadata that
            nobody has yet stay in the catalogue.
        max_history: how many interactions of a user are kept, the latest; None keeps all.
        ties: what `DomainInfo.ties` says of users whose held-out item is tied: "keep" or
            "drop-users".
        split: "leave_one_out" or "temporal".
        validation_from: temporal split: first day or moment after training; by default a tenth of
            the interactions lies between it and `test_from`.
        test_from: temporal split: first day or moment of the test period; by default a tenth of
            the interactions lies in it.
        seed: shuffles the item rows and orders equal time stamps.

    Raises:
        QBert4RecError: a value that is not allowed; names the setting.
    """

    since: str | None = None
    until: str | None = None
    min_rating: float | None = None
    merge_identical: bool = False
    items_without_metadata: str = KEEP
    repeats: str = FIRST
    user_core: int = 5
    item_core: int = 5
    max_history: int | None = None
    ties: str = KEEP_TIES
    split: str = LEAVE_ONE_OUT
    validation_from: str | None = None
    test_from: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("items_without_metadata", ITEMS_WITHOUT_METADATA),
            ("repeats", REPEATS),
            ("ties", TIE_RULES),
            ("split", SPLITTINGS),
        ):
            if getattr(self, name) not in allowed:
                raise QBert4RecError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        for name, least in (("user_core", 0), ("item_core", 0), ("max_history", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise QBert4RecError(f"{name} must be {least} or more, got {value}")
        if self.min_rating is not None and not math.isfinite(self.min_rating):
            raise QBert4RecError(f"min_rating must be a number, got {self.min_rating}")
        since, until = self.since_ms, self.until_ms
        if since is not None and until is not None and since > until:
            raise QBert4RecError(f"since ({self.since}) must not be after until ({self.until})")
        cutoffs = (self.validation_from_ms, self.test_from_ms)
        if self.split != TEMPORAL and cutoffs != (None, None):
            raise QBert4RecError(
                "validation_from and test_from belong to the temporal split; choose split temporal "
                "or leave them out"
            )
        if None not in cutoffs and cutoffs[0] >= cutoffs[1]:
            raise QBert4RecError(
                f"validation_from ({self.validation_from}) must be before test_from "
                f"({self.test_from})"
            )

    @property
    def since_ms(self) -> int | None:
        """`since` in milliseconds since 1970."""
        return _milliseconds("since", self.since)

    @property
    def until_ms(self) -> int | None:
        """`until` in milliseconds since 1970: the last one of a day."""
        return _milliseconds("until", self.until, last=True)

    @property
    def validation_from_ms(self) -> int | None:
        """`validation_from` in milliseconds since 1970."""
        return _milliseconds("validation_from", self.validation_from)

    @property
    def test_from_ms(self) -> int | None:
        """`test_from` in milliseconds since 1970."""
        return _milliseconds("test_from", self.test_from)

    @property
    def needing_times(self) -> str | None:
        """A setting that cannot do without time stamps, as it stands; None where none is set."""
        for name in ("since", "until"):
            if getattr(self, name) is not None:
                return f"{name} {getattr(self, name)}"
        if self.ties != KEEP_TIES:
            return f"ties {self.ties}"
        return f"split {TEMPORAL}" if self.split == TEMPORAL else None

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, without those that were not chosen."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def _milliseconds(name: str, text: str | None, *, last: bool = False) -> int | None:
    """A day or moment in ISO form as milliseconds since 1970; of a day the first, or the last."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise QBert4RecError(
            f"{name} must be a day such as 2018-01-31, or a moment such as 2018-01-31T12:00, "
            f"got {text!r}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    if last and _is_day(text.strip()):
        milliseconds += timedelta(days=1) // _MILLISECOND - 1
    return milliseconds


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

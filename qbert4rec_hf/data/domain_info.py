"""What is known of a domain besides its tables: `domain.json`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..columns import DOMAIN_FILE
from ..errors import QBert4RecError
from ..files import read_json
from .item_order import MIN_PAIRS

FORMAT_VERSION = 1
BY_TIMESTAMPS = "timestamps"
ON_TRUST = "trust"
KEEP_TIES = "keep"
DROP_TIED_USERS = "drop-users"
TIE_RULES = (KEEP_TIES, DROP_TIED_USERS)
LEAVE_ONE_OUT = "leave_one_out"
TEMPORAL = "temporal"
SPLITTINGS = (LEAVE_ONE_OUT, TEMPORAL)
TIME_UNITS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class DomainInfo:
    """What is known of a domain besides its tables; `domain.json`.

    Args:
        name: short name, used in catalogues and reports.
        source: where the data came from, in words.
        time_order: "timestamps", or "trust" where the source has none and its order is believed.
        time_unit: unit of the time stamps, "s", "ms", "us" or "ns", where it is known.
        tied_pairs: neighbouring interactions of one user with equal time stamps; None where there
            are no time stamps.
        tied_users: users whose test item has the time stamp of the item before, so that the
            tie-break alone made it the test item; None where there are no time stamps.
        rising_pairs: neighbouring interactions of one user of which the later item has the larger
            id (see `count_rising_pairs`); None where there are time stamps, or ids are numbers.
        ties: "keep", or "drop-users": users whose test or validation item is tied with the item
            before it are not evaluated; they stay in training whole.
        split: "leave_one_out", or "temporal": one cut-off in time for everybody.
        validation_from: temporal split: the first time stamp after training.
        test_from: temporal split: the first time stamp of the test period.
        repeats: whether any user has an item twice.
        item_shuffle_seed: seed with which an importer shuffled the rows of the items; None where
            they stand as the source had them.
        tie_seed: seed of the hash that orders equal time stamps.
        num_items: items in the catalogue.
        num_users: users with at least one interaction.
        num_interactions: all interactions.
        format_version: version of the folder's form.

    Raises:
        QBert4RecError: an unknown rule for ties, split or unit, or cut-offs that do not rise.
    """

    name: str
    source: str = ""
    time_order: str = ON_TRUST
    time_unit: str | None = None
    tied_pairs: int | None = None
    tied_users: int | None = None
    rising_pairs: int | None = None
    ties: str = KEEP_TIES
    split: str = LEAVE_ONE_OUT
    validation_from: int | None = None
    test_from: int | None = None
    repeats: bool = False
    item_shuffle_seed: int | None = None
    tie_seed: int = 0
    num_items: int = 0
    num_users: int = 0
    num_interactions: int = 0
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.ties not in TIE_RULES:
            raise QBert4RecError(f"ties must be one of {', '.join(TIE_RULES)}, got {self.ties!r}")
        if self.split not in SPLITTINGS:
            raise QBert4RecError(
                f"split must be one of {', '.join(SPLITTINGS)}, got {self.split!r}"
            )
        cutoffs = (self.validation_from, self.test_from)
        if self.split == TEMPORAL and (None in cutoffs or cutoffs[0] >= cutoffs[1]):
            raise QBert4RecError(
                "a temporal split needs validation_from below test_from, got "
                f"{self.validation_from} and {self.test_from}"
            )
        if self.time_unit is not None and self.time_unit not in TIME_UNITS:
            raise QBert4RecError(
                f"time_unit must be one of {', '.join(TIME_UNITS)}, got {self.time_unit!r}"
            )

    @property
    def rising_share(self) -> float | None:
        """`rising_pairs` as a share of all pairs; None where it is not known or there are few."""
        pairs = self.num_interactions - self.num_users
        return None if self.rising_pairs is None or pairs < MIN_PAIRS else self.rising_pairs / pairs

    @property
    def exclude_seen(self) -> bool:
        """Whether ranking leaves out what a user already has, unless told otherwise."""
        return not self.repeats


def read_domain_info(folder: Path) -> DomainInfo:
    """Reads `domain.json`; a folder without one is named after itself.

    Raises:
        QBert4RecError: the file is malformed, or of a later version than this package knows.
    """
    path = folder / DOMAIN_FILE
    if not path.exists():
        return DomainInfo(name=folder.resolve().name)
    values = read_json(path)
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise QBert4RecError(f'{path} must hold an object with "name"; write the domain again')
    version = values.get("format_version", FORMAT_VERSION)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise QBert4RecError(
            f"{path}: format_version {version!r} is later than this package reads "
            f"({FORMAT_VERSION}); upgrade qbert4rec-hf"
        )
    known: dict[str, Any] = {}
    for field in fields(DomainInfo):
        if field.name in values:
            known[field.name] = values[field.name]
    for name in ("tie_seed", "item_shuffle_seed", "validation_from", "test_from"):
        if not isinstance(known.get(name, 0), int | None):
            raise QBert4RecError(f"{path}: {name} must be an integer, found {known[name]!r}")
    try:
        return DomainInfo(**known)
    except QBert4RecError as error:
        raise QBert4RecError(f"{path}: {error}") from None

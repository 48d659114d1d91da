"""Splits of histories into training, validation and test: leave-one-out, or one cut-off in time.

Either way everything is a prefix of a user's history in time order: what is trained on, and what
is known before an item that was held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..errors import QBert4RecError
from .domain_info import (
    DROP_TIED_USERS,
    KEEP_TIES,
    LEAVE_ONE_OUT,
    TEMPORAL,
    TIE_RULES,
    DomainInfo,
)
from .sequences import Sequences
from .splitting import Splitting, describe_stamp, time_order_of

MIN_EVALUATED_LENGTH = 3
VALIDATION, TEST = SPLITS = ("validation", "test")


@dataclass(frozen=True)
class HeldOut:
    """The interactions that one split holds out: one a user who is evaluated in it.

    Args:
        users: `[evaluated]`, row of each user, rising.
        places: `[evaluated]`, place of the target in the user's history; what comes before it is
            known.
        tied: `[evaluated]`, whether the tie-break alone makes this interaction the target; None
            without time stamps.
        num_dropped: users who are not here because of `ties="drop-users"`.
    """

    users: np.ndarray
    places: np.ndarray
    tied: np.ndarray | None
    num_dropped: int = 0

    def without(self, dropped: np.ndarray) -> HeldOut:
        """Without the users whose entry in `dropped` `[evaluated]` is true."""
        return HeldOut(
            users=self.users[~dropped],
            places=self.places[~dropped],
            tied=None if self.tied is None else self.tied[~dropped],
            num_dropped=self.num_dropped + int(dropped.sum()),
        )


@dataclass(frozen=True)
class Split:
    """The histories of a domain, split.

    Make one with `Domain.split`, `leave_one_out` or `temporal_split`.

    Args:
        user_ids: `[users]`, all users, in the order of the rows of `train`.
        sequences: all users: their whole histories, oldest item first.
        training_lengths: `[users]`, how many of a user's interactions are for training.
        held_out: targets by split, "validation" and "test".
        kind: "leave_one_out" or "temporal".
        validation_from: temporal split: the first time stamp after training.
        test_from: temporal split: the first time stamp of the test period.
        time_unit: unit of the time stamps, for words.
        rising_share: share of neighbouring items that rise by id, for words (see `DomainInfo`).

    Example:
        >>> from qbert4rec_hf import Sequences, leave_one_out
        >>> split = leave_one_out(Sequences.from_lists([[4, 1, 3, 0], [2, 5]]), ["ann", "bob"])
        >>> split
        Split(leave_one_out, 2 users, 4 training interactions, evaluated: validation 1, test 1)
        >>> split.histories("test")[0].tolist(), split.targets("test").tolist()
        ([4, 1, 3], [0])
    """

    user_ids: np.ndarray
    sequences: Sequences
    training_lengths: np.ndarray
    held_out: Mapping[str, HeldOut]
    kind: str = LEAVE_ONE_OUT
    validation_from: int | None = None
    test_from: int | None = None
    time_unit: str | None = None
    rising_share: float | None = None

    @cached_property
    def train(self) -> Sequences:
        """The training part of every user's history; empty where a user has none.

        Leave-one-out: all but the last two items; users who are not evaluated stand here whole.
        Temporal: what happened before `validation_from`, whether a user is evaluated or not.
        """
        return self.sequences.first(self.training_lengths)

    def evaluated(self, split: str) -> np.ndarray:
        """Rows of the users who are evaluated in `split` ("validation" or "test"), rising."""
        return self._held_out(split).users

    def histories(self, split: str) -> Sequences:
        """What is known of the evaluated users before the target of `split`.

        Args:
            split: "validation" or "test".

        Returns:
            One row an evaluated user, as `evaluated` lists them.
        """
        held_out = self._held_out(split)
        return self.sequences.take(held_out.users).first(held_out.places)

    def targets(self, split: str) -> np.ndarray:
        """The item row that each evaluated user of `split` took next, `[evaluated]`."""
        held_out = self._held_out(split)
        return self.sequences.items[self.sequences.offsets[held_out.users] + held_out.places]

    def __repr__(self) -> str:
        evaluated = ", ".join(f"{split} {len(self.evaluated(split))}" for split in self.held_out)
        return (
            f"Split({self.kind}, {len(self.sequences)} users, {self.training_lengths.sum()} "
            f"training interactions, evaluated: {evaluated})"
        )

    @property
    def num_training_only(self) -> int:
        """Users who are evaluated in no split."""
        evaluated = np.union1d(*(self.evaluated(split) for split in SPLITS))
        return len(self.sequences) - len(evaluated)

    def splitting(self, split: str) -> Splitting:
        """The rule of `split` and how far its order can be believed, for the record."""
        held_out = self._held_out(split)
        return Splitting(
            kind=self.kind,
            split=split,
            time_order=time_order_of(held_out.tied is not None),
            num_users=len(held_out.users),
            tied_users=None if held_out.tied is None else int(held_out.tied.sum()),
            dropped_users=held_out.num_dropped,
            validation_from=self.validation_from,
            test_from=self.test_from,
            time_unit=self.time_unit,
            rising_share=self.rising_share,
        )

    def renumbered(self, rows: np.ndarray) -> Split:
        """The same split with other item numbers: `rows` `[items]` holds the new one of each."""
        items = np.asarray(rows, dtype=np.int64)[self.sequences.items]
        return replace(self, sequences=Sequences(items, self.sequences.offsets))

    def require_evaluated(self, split: str, source: object) -> None:
        """Raises where nobody can be evaluated.

        Args:
            split: "validation" or "test".
            source: what the message names, such as the domain's folder.

        Raises:
            QBert4RecError: no user is evaluated in `split`; says why.
        """
        held_out = self._held_out(split)
        if len(held_out.users):
            return
        if held_out.num_dropped:
            raise QBert4RecError(
                f"{source}: the held-out items of all {held_out.num_dropped} users are tied in "
                'time and "ties" is "drop-users", so nobody is left to evaluate; keep ties in '
                "domain.json"
            )
        if self.kind == TEMPORAL:
            cutoff = self.validation_from if split == VALIDATION else self.test_from
            raise QBert4RecError(
                f"{source}: no user has interactions both before and in the {split} period "
                f"(from {describe_stamp(cutoff, self.time_unit)}); set other cut-offs in "
                "domain.json"
            )
        raise QBert4RecError(
            f"{source} has no user with three interactions, so nothing can be held out to test on"
        )

    def _held_out(self, split: str) -> HeldOut:
        if split not in SPLITS:
            raise QBert4RecError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        return self.held_out[split]


def leave_one_out(
    sequences: Sequences,
    user_ids: np.ndarray | list[str],
    *,
    timestamps: np.ndarray | None = None,
    ties: str = KEEP_TIES,
    time_unit: str | None = None,
) -> Split:
    """Holds out every user's last item for testing and the one before for validation.

    Users with fewer than three interactions are not evaluated and stand in `train` whole.

    Args:
        sequences: one row a user, oldest item first.
        user_ids: `[users]`.
        timestamps: `[interactions]`, of the entries of `sequences`; without them it is not known
            which targets are tied.
        ties: "keep", or "drop-users": users whose test item has the time stamp of the validation
            item, or whose validation item has that of the item before it, are evaluated in
            neither split and stand in `train` whole.
        time_unit: of the time stamps, for words.

    Returns:
        The split. No validation or test item is in `train`, unless the user had the same item
        earlier too.

    Raises:
        QBert4RecError: as many user ids as rows are needed, or "drop-users" without time stamps.

    Source:
        Q-BERT4Rec, section 4.1: last item test, last but one validation.

    Example:
        >>> from qbert4rec_hf import Sequences, leave_one_out
        >>> split = leave_one_out(Sequences.from_lists([[4, 1, 3, 0], [2, 5]]), ["ann", "bob"])
        >>> [history.tolist() for history in split.train]  # bob has too few to hold any out
        [[4, 1], [2, 5]]
        >>> split.targets("validation").tolist(), split.targets("test").tolist()
        ([3], [0])
    """
    user_ids = _checked(sequences, user_ids, timestamps, ties)
    lengths = sequences.lengths
    users = np.flatnonzero(lengths >= MIN_EVALUATED_LENGTH)
    held_out = {}
    for split, from_end in ((VALIDATION, 2), (TEST, 1)):
        ends = sequences.offsets[1:][users] - from_end
        tied = None if timestamps is None else timestamps[ends] == timestamps[ends - 1]
        held_out[split] = HeldOut(users, lengths[users] - from_end, tied)
    if ties == DROP_TIED_USERS:
        dropped = held_out[VALIDATION].tied | held_out[TEST].tied
        held_out = {split: part.without(dropped) for split, part in held_out.items()}
    training_lengths = lengths.copy()
    training_lengths[held_out[TEST].users] -= 2
    return Split(user_ids, sequences, training_lengths, held_out, time_unit=time_unit)


def temporal_split(
    sequences: Sequences,
    user_ids: np.ndarray | list[str],
    timestamps: np.ndarray,
    *,
    validation_from: int,
    test_from: int,
    ties: str = KEEP_TIES,
    time_unit: str | None = None,
) -> Split:
    """Splits at one cut-off in time for everybody, as a shop meets it.

    Training is what happened before `validation_from`. A user's validation target is the first
    interaction in `[validation_from, test_from)`, the test target the first one at or after
    `test_from`; known is everything before `validation_from` or `test_from`. Users without such a
    history or such a target are not evaluated in that split.

    Args:
        sequences: one row a user, oldest item first.
        user_ids: `[users]`.
        timestamps: `[interactions]`, of the entries of `sequences`, rising within a user.
        validation_from: the first time stamp after training.
        test_from: the first time stamp of the test period.
        ties: "keep", or "drop-users": users whose target shares its time stamp with their next
            interaction are not evaluated in that split. Training stays what it is, since the
            cut-off alone decides it.
        time_unit: of the time stamps, for words.

    Raises:
        QBert4RecError: no time stamps, cut-offs that do not rise, or as many user ids as rows are
            needed.

    Example:
        >>> import numpy as np
        >>> from qbert4rec_hf import Sequences, temporal_split
        >>> histories = Sequences.from_lists([[4, 1, 3, 0], [2, 5]])
        >>> stamps = np.array([10, 20, 30, 40, 15, 45])
        >>> split = temporal_split(
        ...     histories, ["ann", "bob"], stamps, validation_from=30, test_from=40
        ... )
        >>> [history.tolist() for history in split.train]
        [[4, 1], [2]]
        >>> split.evaluated("validation").tolist(), split.evaluated("test").tolist()
        ([0], [0, 1])
    """
    if timestamps is None:
        raise QBert4RecError(
            "a temporal split needs time stamps, and these interactions have none; use "
            "leave-one-out"
        )
    if validation_from >= test_from:
        raise QBert4RecError(
            f"validation_from must be below test_from, got {validation_from} and {test_from}"
        )
    user_ids = _checked(sequences, user_ids, timestamps, ties)
    before = {at: _count_below(sequences, timestamps, at) for at in (validation_from, test_from)}
    held_out = {}
    for split, start, end in (
        (VALIDATION, before[validation_from], before[test_from]),
        (TEST, before[test_from], sequences.lengths),
    ):
        users = np.flatnonzero((start > 0) & (start < end))
        targets = sequences.offsets[users] + start[users]
        following = np.minimum(targets + 1, sequences.offsets[1:][users] - 1)
        tied = (following > targets) & (timestamps[following] == timestamps[targets])
        held_out[split] = HeldOut(users, start[users], tied)
        if ties == DROP_TIED_USERS:
            held_out[split] = held_out[split].without(tied)
    return Split(
        user_ids,
        sequences,
        before[validation_from],
        held_out,
        kind=TEMPORAL,
        validation_from=validation_from,
        test_from=test_from,
        time_unit=time_unit,
    )


def split_by(
    info: DomainInfo,
    user_ids: np.ndarray,
    sequences: Sequences,
    timestamps: np.ndarray | None,
) -> Split:
    """The split that `domain.json` asks for. Arguments and errors as of the two above."""
    if info.split == TEMPORAL:
        return temporal_split(
            sequences,
            user_ids,
            timestamps,
            validation_from=info.validation_from,
            test_from=info.test_from,
            ties=info.ties,
            time_unit=info.time_unit,
        )
    split = leave_one_out(
        sequences, user_ids, timestamps=timestamps, ties=info.ties, time_unit=info.time_unit
    )
    return replace(split, rising_share=info.rising_share)


def _count_below(sequences: Sequences, timestamps: np.ndarray, cutoff: int) -> np.ndarray:
    """How many interactions of each user are before a cut-off, `[users]`."""
    counts = np.zeros(len(timestamps) + 1, dtype=np.int64)
    np.cumsum(timestamps < cutoff, out=counts[1:])
    return np.diff(counts[sequences.offsets])


def _checked(
    sequences: Sequences,
    user_ids: np.ndarray | list[str],
    timestamps: np.ndarray | None,
    ties: str,
) -> np.ndarray:
    user_ids = np.asarray(user_ids, dtype=object)
    if len(user_ids) != len(sequences):
        raise QBert4RecError(f"{len(sequences)} sequences came with {len(user_ids)} user ids")
    if timestamps is not None and len(timestamps) != len(sequences.items):
        raise QBert4RecError(
            f"{len(sequences.items)} interactions came with {len(timestamps)} time stamps"
        )
    if ties not in TIE_RULES:
        raise QBert4RecError(f"ties must be one of {', '.join(TIE_RULES)}, got {ties!r}")
    if ties == DROP_TIED_USERS and timestamps is None:
        raise QBert4RecError(
            'ties="drop-users" needs time stamps, and these interactions have none; keep ties'
        )
    return user_ids

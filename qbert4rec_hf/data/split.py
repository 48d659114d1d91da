"""Leave-one-out split: the last item of a user is for testing, the one before for validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import QBert4RecError
from .sequences import Sequences

MIN_EVALUATED_LENGTH = 3
SPLITS = ("validation", "test")


@dataclass(frozen=True)
class LeaveOneOut:
    """The histories of a domain, split.

    Args:
        user_ids: `[users]`, all users, in the order of the rows of `train`.
        train: all users: histories without validation and test item. Users with fewer than three
            interactions are not evaluated and stand here whole.
        evaluated: `[evaluated]`, rows of the users with at least three interactions.
        validation_target: `[evaluated]`, item row of the last but one interaction.
        test_target: `[evaluated]`, item row of the last interaction.
        num_training_only: users with fewer than three interactions.
    """

    user_ids: np.ndarray
    train: Sequences
    evaluated: np.ndarray
    validation_target: np.ndarray
    test_target: np.ndarray
    num_training_only: int

    def histories(self, split: str) -> Sequences:
        """What is known of the evaluated users before the target of `split`.

        Args:
            split: "validation" (the training part) or "test" (the training part and the
                validation item).

        Returns:
            One row an evaluated user.
        """
        _check_split(split)
        histories = self.train.take(self.evaluated)
        return histories if split == "validation" else histories.append(self.validation_target)

    def targets(self, split: str) -> np.ndarray:
        """The item row that each evaluated user took next, `[evaluated]`."""
        _check_split(split)
        return self.validation_target if split == "validation" else self.test_target


def leave_one_out(sequences: Sequences, user_ids: np.ndarray | list[str]) -> LeaveOneOut:
    """Splits histories in time order.

    Args:
        sequences: one row a user, oldest item first.
        user_ids: `[users]`.

    Returns:
        The split. No validation or test item is in `train`, unless the user had the same item
        earlier too.

    Raises:
        QBert4RecError: as many user ids as rows are needed.

    Source:
        Q-BERT4Rec, section 4.1: last item test, last but one validation.
    """
    user_ids = np.asarray(user_ids, dtype=object)
    if len(user_ids) != len(sequences):
        raise QBert4RecError(f"{len(sequences)} sequences came with {len(user_ids)} user ids")
    is_evaluated = sequences.lengths >= MIN_EVALUATED_LENGTH
    evaluated = np.flatnonzero(is_evaluated)
    ends = sequences.offsets[1:][evaluated]
    return LeaveOneOut(
        user_ids=user_ids,
        train=sequences.drop_last(np.where(is_evaluated, 2, 0)),
        evaluated=evaluated,
        validation_target=sequences.items[ends - 2],
        test_target=sequences.items[ends - 1],
        num_training_only=int((~is_evaluated).sum()),
    )


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise QBert4RecError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")

"""Whether a log without time stamps was sorted by item, which nobody's next item follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .sequences import Sequences

# Half of the pairs rise by chance; ids that were given out over the years take it to 0.52 or so.
SORTED_FROM = 0.6
# Of fewer pairs, chance alone lets as many rise now and then.
MIN_PAIRS = 1000


def count_rising_pairs(sequences: Sequences, item_ids: Sequence[str]) -> int | None:
    """Counts neighbours in a history of which the later one has the larger id, compared as texts.

    Args:
        sequences: histories in the order that is to be believed.
        item_ids: `[items]`.

    Returns:
        The count; None where all ids are numbers, which often tell when an item first came, so
        that rising ones prove nothing.
    """
    if all(item_id.isascii() and item_id.isdigit() for item_id in item_ids):
        return None
    rank = np.empty(len(item_ids), dtype=np.int64)
    rank[np.argsort(np.array(item_ids, dtype=object))] = np.arange(len(item_ids))
    before, after = sequences.neighbours()
    return int((rank[before] < rank[after]).sum())


def sorting_note(rising_share: float | None) -> str:
    """What a share of rising neighbours says, as a sentence; empty where it says nothing.

    Example:
        >>> sorting_note(0.52)
        ''
        >>> sorting_note(0.71)[:47]
        '71% of neighbouring items rise by id, where 50%'
    """
    if rising_share is None or rising_share < SORTED_FROM:
        return ""
    return (
        f"{rising_share:.0%} of neighbouring items rise by id, where 50% would be chance: they "
        "look sorted by item within a day or an order. A model of sequences learns that too, and "
        "does better on them than it will in a shop."
    )

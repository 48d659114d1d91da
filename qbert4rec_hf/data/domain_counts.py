"""What `domain.json` says of a domain's data: counted, never believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .domain_info import KEEP_TIES, DomainInfo
from .item_order import count_rising_pairs
from .sequences import Sequences
from .split import TEST, split_by
from .splitting import time_order_of
from .time_order import count_tied_pairs


def counted(
    info: DomainInfo,
    item_ids: Sequence[str],
    user_ids: np.ndarray,
    sequences: Sequences,
    timestamps: np.ndarray | None,
) -> DomainInfo:
    """Fills in what follows from the data, whatever `domain.json` said.

    Args:
        info: name, origin and settings.
        item_ids: `[items]` of the catalogue.
        user_ids: `[users]`.
        sequences: histories in time order.
        timestamps: `[interactions]`, of the entries of `sequences`, or None.

    Raises:
        QBert4RecError: `info` asks for a split that the data cannot have.
    """
    split = split_by(info, user_ids, sequences, timestamps)
    # Those who are left out for their ties are counted too: it is the data that is described.
    kept = (
        split
        if info.ties == KEEP_TIES
        else split_by(replace(info, ties=KEEP_TIES), user_ids, sequences, timestamps)
    )
    tied = kept.held_out[TEST].tied
    return replace(
        info,
        time_order=time_order_of(timestamps is not None),
        time_unit=None if timestamps is None else info.time_unit,
        tied_pairs=None if timestamps is None else count_tied_pairs(timestamps, sequences.offsets),
        tied_users=None if tied is None else int(tied.sum()),
        rising_pairs=count_rising_pairs(sequences, item_ids) if timestamps is None else None,
        repeats=_has_repeats(sequences, len(item_ids)),
        num_items=len(item_ids),
        num_users=len(sequences),
        num_interactions=len(sequences.items),
    )


def _has_repeats(sequences: Sequences, num_items: int) -> bool:
    """Whether any user has an item twice."""
    pairs = np.repeat(np.arange(len(sequences)) * num_items, sequences.lengths)
    pairs += sequences.items
    # In place: of a large shop this is the largest array there is.
    pairs.sort()
    return bool((pairs[1:] == pairs[:-1]).any())

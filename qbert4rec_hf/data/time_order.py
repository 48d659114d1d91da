"""The order of a user's interactions: by time stamp, ties by a hash that says nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def order_by_time(
    user_index: np.ndarray,
    item_index: np.ndarray,
    timestamps: np.ndarray,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    *,
    seed: int = 0,
) -> np.ndarray:
    """Orders interactions by user, then time, then a seeded hash of user and item.

    Equal stamps are common (whole days in many logs). Breaking them by item id or by the order of
    the file would make the test item predictable from its number, so neither takes part; the same
    rows in any order give the same sequences.

    Args:
        user_index: `[n]`, index into `user_ids`.
        item_index: `[n]`, index into `item_ids`.
        timestamps: `[n]`, int64, any unit.
        user_ids: ids of the users.
        item_ids: ids of the items.
        seed: seed of the hash.

    Returns:
        `[n]`, the permutation that sorts the interactions.
    """
    hashes = _mix(_hash_ids(user_ids, f"user{seed}")[user_index])
    hashes = _mix(hashes ^ _hash_ids(item_ids, f"item{seed}")[item_index])
    return np.lexsort((hashes, timestamps, user_index))


def count_tied_last(timestamps: np.ndarray, offsets: np.ndarray, min_length: int) -> int:
    """Counts users whose last interaction has the time stamp of the one before.

    For them the tie-break alone decides which item is the test item.

    Args:
        timestamps: `[n]`, sorted within each user.
        offsets: `[users + 1]`.
        min_length: shorter users have no test item and are not counted.
    """
    ends = offsets[1:][np.diff(offsets) >= max(min_length, 2)]
    return int((timestamps[ends - 1] == timestamps[ends - 2]).sum())


def _hash_ids(ids: Sequence[str], key: str) -> np.ndarray:
    """A 64-bit hash of each text, the same on every machine and in every version."""
    start = hashlib.blake2b(key.encode(), digest_size=8)
    digests = bytearray()
    for text in ids:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digests += digest.digest()
    return np.frombuffer(bytes(digests), dtype="<u8")


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64, so that xor of two hashes does not cancel patterns."""
    values = values.astype(np.uint64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))

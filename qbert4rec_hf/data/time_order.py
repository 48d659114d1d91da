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
    hashes = mix(hash_ids(user_ids, f"user{seed}")[user_index])
    hashes = mix(hashes ^ hash_ids(item_ids, f"item{seed}")[item_index])
    keys = (hashes, timestamps, user_index)
    # A folder that we wrote is in order already; finding that out is far cheaper than sorting.
    return np.arange(len(hashes)) if _in_order(keys) else np.lexsort(keys)


def count_tied_pairs(timestamps: np.ndarray, offsets: np.ndarray) -> int:
    """Counts neighbouring interactions of one user that have the same time stamp.

    Args:
        timestamps: `[n]`, sorted within each user.
        offsets: `[users + 1]`.
    """
    tied = timestamps[1:] == timestamps[:-1]
    # The last interaction of a user and the first of the next are no neighbours.
    starts = offsets[1:-1]
    starts = starts[(starts > 0) & (starts < len(timestamps))]
    tied[starts - 1] = False
    return int(tied.sum())


def _in_order(keys: Sequence[np.ndarray]) -> bool:
    """Whether rows rise by the last key, then the one before it, and so on (as for lexsort)."""
    undecided = np.ones(max(len(keys[0]) - 1, 0), dtype=bool)
    for key in reversed(keys):
        if (undecided & (key[1:] < key[:-1])).any():
            return False
        undecided &= key[1:] == key[:-1]
    return True


def hash_ids(ids: Sequence[str], key: str) -> np.ndarray:
    """A 64-bit hash of each text, the same on every machine and in every version."""
    start = hashlib.blake2b(key.encode(), digest_size=8)
    digests = bytearray()
    for text in ids:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digests += digest.digest()
    return np.frombuffer(bytes(digests), dtype="<u8")


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64, so that xor of two hashes does not cancel patterns."""
    values = values.astype(np.uint64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))

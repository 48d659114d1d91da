from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from qbert4rec_hf.data.sequences import Sequences


@dataclass(frozen=True)
class Shop:
    train: Sequences
    histories: Sequences
    targets: np.ndarray
    num_items: int

    def arguments(self) -> dict:
        return {"train": self.train, "num_items": self.num_items}


@pytest.fixture(scope="session")
def shop() -> Shop:
    """60 users in two tastes of 20 items each; some targets are bought for the second time."""
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, 20, size=rng.integers(3, 12)) + 20 * (user % 2) for user in range(60)]
    return Shop(
        train=Sequences.from_lists([items[:-2] for items in lists]),
        histories=Sequences.from_lists([items[:-1] for items in lists]),
        targets=np.array([items[-1] for items in lists]),
        num_items=45,
    )

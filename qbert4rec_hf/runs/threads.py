"""How many CPU threads PyTorch works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def cpu_threads(number: int | None) -> Iterator[None]:
    """Holds PyTorch to a number of CPU threads until the block ends.

    What the block itself sets ends with it too, so that one stage's number is not the next one's.

    Args:
        number: of threads; None leaves it as it is.
    """
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""What the preparation is doing, for whoever waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm
from transformers.utils import logging

logger = logging.get_logger(__name__)


class Steps:
    """Shows each step while it works, on a terminal, and logs its time when it is done."""

    def __init__(self) -> None:
        disabled = None if logger.isEnabledFor(logging.INFO) else True
        self._bar = tqdm(bar_format="{desc} ... {elapsed}", leave=False, disable=disabled)

    @contextmanager
    def step(self, name: str, rows: Callable[[], int] | None = None) -> Iterator[None]:
        """One step; the block does it.

        Args:
            name: what is done.
            rows: gives the number of interactions that are left when it is done.
        """
        self._bar.set_description_str(name)
        start = time.perf_counter()
        yield
        self._bar.clear()
        left = "" if rows is None else f"{rows():,} interactions left, "
        logger.info("%s: %s%.1f s", name, left, time.perf_counter() - start)

    def close(self) -> None:
        """Takes the bar away."""
        self._bar.close()

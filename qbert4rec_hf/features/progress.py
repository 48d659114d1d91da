"""Progress bars of encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from tqdm.auto import tqdm
from transformers.utils import logging

_shown: bool | None = None


class Bar(Protocol):
    """What an encoder moves on; a tqdm bar is one."""

    def update(self, n: int) -> Any:
        """Moves on by a number of items."""


def show_bars(shown: bool | None) -> None:
    """Shows or hides the bars of encoding in this process.

    Args:
        shown: None does as transformers does with its own bars, which is also the default.
    """
    global _shown
    _shown = shown


def bars_are_shown() -> bool:
    """Whether a bar that is asked for is shown."""
    return logging.is_progress_bar_enabled() if _shown is None else _shown


@contextmanager
def no_bars(hidden: bool) -> Iterator[None]:
    """Hides all bars of encoding within the block.

    Args:
        hidden: False changes nothing.
    """
    before = _shown
    show_bars(False if hidden else before)
    try:
        yield
    finally:
        show_bars(before)


@contextmanager
def progress_bar(
    progress: bool | Bar, total: int, description: str, *, delay: float = 0.0
) -> Iterator[Callable[[int], Any]]:
    """Yields a function that moves a progress bar on by a number of items.

    Args:
        progress: whether to show a bar, or one that is there already.
        total: number of items.
        description: stands before the bar.
        delay: seconds before it appears.
    """
    if not isinstance(progress, bool):
        yield progress.update
        return
    shown = progress and bars_are_shown()
    with tqdm(total=total, desc=description, unit="item", disable=not shown, delay=delay) as bar:
        yield bar.update


class ShardsBar:
    """One bar over all items of a domain, which are encoded shard by shard.

    It moves by work rather than by items: while long texts are encoded it moves slower than items
    are done, so that the remaining time it shows holds for those that come later, too.

    Args:
        bar: counts items.
        efforts: `[shards]`, work of each shard, in any unit.
    """

    def __init__(self, bar: tqdm, efforts: Sequence[float]) -> None:
        self.bar = bar
        efforts = np.asarray(efforts, float)
        if not efforts.any():
            efforts = np.ones(len(efforts))
        self.worth = efforts / efforts.sum() * (bar.total or 0)
        self._exact = 0.0

    def skip(self, shards: Sequence[int]) -> None:
        """Counts shards as done before the start; they say nothing about the speed."""
        self._exact += float(self.worth[list(shards)].sum())
        self.bar.initial = self.bar.n = round(self._exact)
        self.bar.refresh()

    @contextmanager
    def round(self, shards: Sequence[int], num_items: int) -> Iterator[Bar]:
        """Yields the bar of a round, in which each process encodes one shard.

        Args:
            shards: all that are encoded in it.
            num_items: of the shard of this process, which stands for the others while they work.
        """
        start, worth = self._exact, float(self.worth[list(shards)].sum())
        yield _Part(self, start, worth / max(num_items, 1))
        self._move_to(start + worth)

    def _move_to(self, place: float) -> None:
        self._exact = place
        self.bar.update(round(place) - self.bar.n)


class _Part:
    """Moves a bar on from a place by a fixed step an item."""

    def __init__(self, bar: ShardsBar, start: float, step: float) -> None:
        self._bar = bar
        self._start = start
        self._step = step
        self._done = 0

    def update(self, n: int) -> None:
        self._done += n
        self._bar._move_to(self._start + self._done * self._step)

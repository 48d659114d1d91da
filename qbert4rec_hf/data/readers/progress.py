"""A bar that shows how far a large file has been read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.auto import tqdm

from .byte_stream import ByteStream

T = TypeVar("T")

# Smaller files are read before anybody would look at a bar.
_SHOWN_FROM = 32 << 20


def with_progress(values: Iterable[T], stream: ByteStream) -> Iterator[T]:
    """Yields the values; the bar follows the position in the file, on a terminal only."""
    with tqdm(
        total=stream.size,
        desc=stream.path.name,
        unit="B",
        unit_scale=True,
        disable=True if stream.size < _SHOWN_FROM else None,
    ) as bar:
        for value in values:
            bar.update(stream.position - bar.n)
            yield value
        bar.update(stream.position - bar.n)

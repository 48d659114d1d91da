"""Batches that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from transformers.utils import logging

from ..errors import QBert4RecError

logger = logging.get_logger(__name__)

T = TypeVar("T")
# What the allocators of PyTorch, its GPU libraries and the operating system say.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "alloc_failed",
)


class Batcher:
    """Cuts work into batches, and into smaller ones when memory runs out.

    Entries of like length run together, the longest first: what does not fit fails at once, not at
    the end. A batch that does not fit is halved and tried again, and later ones are made no larger
    than the one that fitted.

    Args:
        max_cost: number of entries times length of the longest, for a batch at most; None for no
            such limit.
        max_size: entries a batch at most; None for no limit.
        noun: what an entry is, in messages.
        hint: what helps when not even one entry fits.

    Source:
        The retry is that of `accelerate.utils.find_executable_batch_size`, without starting over.
    """

    def __init__(
        self,
        max_cost: int | None = None,
        max_size: int | None = None,
        *,
        noun: str = "item",
        hint: str = "choose a smaller model",
    ) -> None:
        self.max_cost = max_cost
        self.max_size = max_size
        self.noun = noun
        self.hint = hint

    def run(
        self, lengths: Sequence[int], work: Callable[[list[int]], T]
    ) -> Iterator[tuple[list[int], T]]:
        """Does the work batch by batch.

        Args:
            lengths: `[entries]`.
            work: called with the positions of a batch.

        Yields:
            The positions of a batch and what the work returned.

        Raises:
            QBert4RecError: not even a single entry fits into memory.
        """
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        start = 0
        while start < len(order):
            longest = max(lengths[order[start]], 1)
            batch = order[start : start + self._size(longest)]
            failure = ""
            try:
                result = work(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failure = " ".join(str(error).split())[:200] or type(error).__name__
            # Not inside the except clause: there the error still holds on to the batch's tensors.
            if failure:
                self._shrink(len(batch), longest, failure)
                continue
            yield batch, result
            start += len(batch)

    def _size(self, longest: int) -> int:
        sizes = [self.max_size] if self.max_size is not None else []
        if self.max_cost is not None:
            sizes.append(self.max_cost // longest)
        return max(1, min(sizes)) if sizes else 2**31

    def _shrink(self, size: int, longest: int, reason: str) -> None:
        _free_cached_memory()
        if size == 1:
            raise QBert4RecError(
                f"a single {self.noun} of length {longest} does not fit into memory ({reason}); "
                f"{self.hint}"
            )
        self.max_cost = size // 2 * longest
        logger.warning(
            f"a batch of {size} {self.noun}s of length {longest} does not fit into memory; going "
            f"on with {size // 2}"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _OUT_OF_MEMORY)


def _free_cached_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()

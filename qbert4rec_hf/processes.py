"""Several processes that do one piece of work together, as `torch.distributed.run` starts them."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from .errors import QBert4RecError

T = TypeVar("T")

# Processes wait for each other as long as the slowest works. One that dies is noticed at once,
# by its broken connection, so nobody waits this long for nothing.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """The processes of this launch; one, in an ordinary program.

    Every method must be called by all of them, in the same order.

    Attributes:
        index: of this process, from 0.
        count: number of processes.
        group: what they talk through; None for a single process.
    """

    index: int = 0
    count: int = 1
    group: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes what belongs to all."""
        return self.index == 0

    def together(self, work: Callable[[], T]) -> list[T]:
        """Every process does some work.

        Args:
            work: of this process; what it returns must pickle.

        Returns:
            What each process returned, in their order.

        Raises:
            QBert4RecError: another process failed; says which and why. A process that fails
                itself raises its own error. So either all go on or none does.
        """
        if self.count == 1:
            return [work()]
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        outcomes = self._exchange((None if failure is None else _described(failure), result))
        if failure is not None:
            raise failure
        for index, (message, _) in enumerate(outcomes):
            if message is not None:
                raise QBert4RecError(f"process {index + 1} of {self.count} failed: {message}")
        return [result for _, result in outcomes]

    def first_does(self, work: Callable[[], T]) -> T:
        """The first process does some work; all of them get the result, or an error.

        Raises:
            QBert4RecError: as for `together`.
        """
        return self.together(work if self.first else lambda: None)[0]

    def _exchange(self, value: Any) -> list[Any]:
        import torch.distributed

        values = [None] * self.count
        try:
            torch.distributed.all_gather_object(values, value, group=self.group)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise QBert4RecError(
                f"another of the {self.count} processes ended too early ({reason}); see its own "
                "message, and run the same command again"
            ) from None
        return values


_alone = Processes()
# The process group that was joined, and the processes in it.
_joined: tuple[Any, Processes] | None = None


def processes() -> Processes:
    """The processes that this one belongs to.

    Joins them when first asked, through `accelerate.PartialState`, so that each takes a GPU of its
    own where there are some.
    """
    global _joined
    # Asked without an import: most programs are one process and need no PyTorch for this.
    distributed = getattr(sys.modules.get("torch"), "distributed", None)
    initialized = (
        distributed is not None and distributed.is_available() and distributed.is_initialized()
    )
    if not initialized and not _launched_with_others():
        return _alone
    if initialized and _joined is not None and _joined[0] is distributed.group.WORLD:
        return _joined[1]
    import torch
    from accelerate import PartialState

    if not torch.distributed.is_initialized():
        # Without the hint it takes processes on a machine without a GPU for one.
        PartialState(cpu=not torch.accelerator.is_available())
    if not torch.distributed.is_initialized():
        # Something asked accelerate before, which then stays with one process.
        torch.distributed.init_process_group(backend="gloo")
    if not initialized:
        atexit.register(_leave)
    index, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
    # A group of its own: objects go through the CPU, and its time limit is ours.
    group = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)
    team = Processes(index, count, group) if count > 1 else _alone
    _joined = (torch.distributed.group.WORLD, team)
    return team


def _leave() -> None:
    """Ends what was joined, and lets go of it.

    One of gloo's threads may still hold the objects of the last exchange, which it drops under
    Python's lock; while the interpreter is being taken apart that aborts a program that is done.
    A group that nothing refers to any more waits for its threads, so it goes before that.
    """
    global _joined
    import torch

    _joined = None
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _launched_with_others() -> bool:
    """Whether a launcher such as `torch.distributed.run` started this process with others."""
    names = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    count = os.environ.get("WORLD_SIZE", "1")
    return count.isdigit() and int(count) > 1 and all(name in os.environ for name in names)


def _described(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, QBert4RecError) else f"{type(error).__name__}: {text}"

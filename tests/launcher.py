"""Starts functions in several processes with what `torch.distributed.run` would tell them.

Forks, which is quick, but safe only in a program that has not computed anything in parallel yet:
tests start a script of their own for it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qbert4rec_hf.errors import QBert4RecError


def launch(work: Callable[..., Any], count: int, *arguments: Any, seconds: float = 60) -> list[Any]:
    """Calls `work(rank, *arguments)` in each of `count` processes.

    Returns:
        What each returned, "error: ..." where it raised a QBert4RecError, or None where it died.

    Raises:
        TimeoutError: a process hangs.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        started = [
            context.Process(target=_child, args=(work, rank, count, port, folder, arguments))
            for rank in range(count)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(seconds)
        hanging = [rank for rank, process in enumerate(started) if process.is_alive()]
        for process in started:
            process.kill()
        if hanging:
            raise TimeoutError(f"processes {hanging} of {work.__name__} hang")
        results = [Path(folder, str(rank)) for rank in range(count)]
        return [pickle.loads(r.read_bytes()) if r.exists() else None for r in results]


def _child(
    work: Callable[..., Any], rank: int, count: int, port: int, folder: str, arguments: tuple
) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(count),
        LOCAL_WORLD_SIZE=str(count),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    try:
        result = work(rank, *arguments)
    except QBert4RecError as error:
        result = f"error: {error}"
    Path(folder, str(rank)).write_bytes(pickle.dumps(result))

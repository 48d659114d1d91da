"""One process a run folder, or one launch of several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import QBert4RecError
from ..files import make_folder
from ..processes import processes

LOCK_FILE = ".lock"


@contextmanager
def run_lock(folder: str | os.PathLike) -> Iterator[Path]:
    """Holds a run folder, made if need be, against other processes until the block ends.

    The lock is the operating system's: it goes when its process ends, however that ends, so a
    lock file left behind by a process that died keeps nobody out. Of several processes that were
    launched together the first holds it for all.

    Raises:
        QBert4RecError: another process holds the folder, or it cannot be written to.
    """
    folder = make_folder(folder)
    lock = FileLock(folder / LOCK_FILE, timeout=0)
    processes().first_does(partial(_acquire, lock, folder))
    try:
        yield folder
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire()
    except Timeout:
        raise QBert4RecError(
            f"another process is working in {folder}; wait until it ends or choose another "
            "output folder"
        ) from None
    except OSError as error:
        raise QBert4RecError(
            f"cannot lock {folder} ({error.strerror or error}); choose another output folder"
        ) from None

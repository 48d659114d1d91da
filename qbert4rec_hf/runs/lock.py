"""One process a run folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import QBert4RecError
from ..files import make_folder

LOCK_FILE = ".lock"


@contextmanager
def run_lock(folder: str | os.PathLike) -> Iterator[Path]:
    """Holds a run folder, made if need be, against other processes until the block ends.

    The lock is the operating system's: it goes when its process ends, however that ends, so a
    lock file left behind by a process that died keeps nobody out.

    Raises:
        QBert4RecError: another process holds the folder, or it cannot be written to.
    """
    folder = make_folder(folder)
    lock = FileLock(folder / LOCK_FILE, timeout=0)
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
    try:
        yield folder
    finally:
        lock.release()

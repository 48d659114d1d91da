"""The files that a user names, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import QBert4RecError
from .hub import HUB, fetch_dataset


def given_files(
    paths: Sequence[str | os.PathLike], staging: Path, argument: str
) -> Iterator[tuple[str, Path]]:
    """Yields the name of each file as the user wrote it, and where it is.

    Args:
        paths: files, or data sets of the Hub (`hub:owner/name[:config[:split]]`), which are
            fetched into `staging` when their turn comes.
        staging: a folder for them.
        argument: what the user names them with, for messages.

    Raises:
        QBert4RecError: none is given, one is given twice, or a data set cannot be had.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if not paths:
        raise QBert4RecError(f"no file is given; name at least one with {argument}")
    seen: dict[Path | str, None] = {}
    for path in paths:
        name = os.fspath(path)
        is_remote = name.startswith(HUB)
        key = name if is_remote else Path(name).resolve()
        if key in seen:
            raise QBert4RecError(f"{name} is given twice; name each file once")
        seen[key] = None
        if "://" in name and not is_remote:
            raise QBert4RecError(f"{name} is an address; download it first and give its path")
        if is_remote:
            yield from fetch_dataset(name, staging)
        else:
            yield name, Path(name)

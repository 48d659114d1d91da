"""Where an exporter writes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import QBert4RecError


def new_folder(folder: str | os.PathLike, name: str | None) -> tuple[Path, str]:
    """The folder of an export and the name that its files begin with.

    Both forms want the folder to be called as its files are, so the folder's name is the default.

    Args:
        folder: where to write.
        name: of the files.

    Raises:
        QBert4RecError: the folder is a file or not empty, or the name cannot begin a file's name.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise QBert4RecError(f"{folder} is a file; choose another output folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise QBert4RecError(f"{folder} is not empty; choose another output folder or empty it")
    name = name or folder.resolve().name
    if not re.fullmatch(r"[^/\\\0]+", name) or name in (".", ".."):
        raise QBert4RecError(f"{name!r} cannot begin a file's name; give another --name")
    return folder, name

"""Where an exporter writes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

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


def check_ids(
    what: str, ids: Iterable[str], place: str, *, spaces: bool = True, way_out: str = "rename it"
) -> None:
    """Refuses ids that would end their field in a text file.

    Args:
        what: "user" or "item".
        ids: to write.
        place: where the fields stand, in words.
        spaces: whether ids may hold spaces.
        way_out: what the message advises.

    Raises:
        QBert4RecError: names the first id that cannot be written.
    """
    pattern, blank = (r"[\t\r\n]", "a tab or a line break") if spaces else (r"\s", "white space")
    ids = pa.array(ids, pa.large_string())
    row = pc.index(pc.match_substring_regex(ids, pattern), True).as_py()
    if row >= 0:
        raise QBert4RecError(
            f"{what} id {ids[row].as_py()!r} holds {blank}, which separates fields in {place}; "
            f"{way_out}"
        )

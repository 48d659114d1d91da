"""Writing the files of a domain folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..columns import (
    CARD_FILE,
    CODES_FOLDER,
    DOMAIN_FILE,
    IMAGES,
    INTERACTIONS,
    ITEM_ID,
    ITEMS,
    PREPARATION_FILE,
    TIMESTAMP,
    USER_ID,
)
from ..errors import QBert4RecError
from ..files import atomic_folder, lies_inside
from .sequences import Sequences
from .tables import ITEM_COLUMNS, check_items, read_tables

# What a download leaves: pictures by their content, those too that no item has, and its records.
_DOWNLOADED = re.compile(r"images/(manifest\.jsonl|\.lock|[0-9a-f]{2}/[0-9a-f]{32}\.(jpg|png))")
# What this package writes into a domain folder, besides the images that items name.
_OURS = re.compile(
    rf"{re.escape(DOMAIN_FILE)}|{re.escape(CARD_FILE)}|{re.escape(PREPARATION_FILE)}"
    rf"|({ITEMS}|{INTERACTIONS})((-|/)[^/]+)?\.parquet|{CODES_FOLDER}/[^/]+\.parquet"
    rf"|{_DOWNLOADED.pattern}"
)
ROWS_PER_GROUP = 1_000_000
INTERACTION_COLUMNS = {USER_ID: pa.string(), ITEM_ID: pa.string(), TIMESTAMP: pa.int64()}


@contextmanager
def domain_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary folder that becomes `folder`; an older domain folder there is replaced.

    Raises:
        QBert4RecError: at `folder` stands something that is no domain folder, or a domain folder
            with files that no domain folder has; names one of them.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise QBert4RecError(f"{folder} is a file; choose another output folder")
    # Replacing means deleting, so only what we can have written ourselves is replaced.
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / DOMAIN_FILE).exists() or not any(folder.glob(f"{ITEMS}*")):
            raise QBert4RecError(
                f"{folder} is not empty and holds no domain; choose another output folder"
            )
        foreign = foreign_files(folder)
        if foreign:
            more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
            raise QBert4RecError(
                f"{foreign[0]}{more} is no part of a domain folder, and writing {folder} again "
                "would delete it; move it away or choose another output folder"
            )
    with atomic_folder(folder) as temporary:
        yield temporary


def foreign_files(folder: Path) -> list[Path]:
    """Files of a domain folder that neither this package writes nor its items table names."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or not path.is_dir())
        and not _OURS.fullmatch(path.relative_to(folder).as_posix())
    ]
    if not found:
        return []
    named = _named_images(folder)
    return [path for path in found if path.relative_to(folder).as_posix() not in named]


def downloaded_files(folder: Path) -> list[str]:
    """What a download of images left in a domain folder: paths in it, the lock not among them."""
    paths = (path.relative_to(folder).as_posix() for path in (folder / "images").rglob("*"))
    return [path for path in paths if _DOWNLOADED.fullmatch(path) and not path.endswith(".lock")]


def require_inside(file: Path, folder: Path) -> Path:
    """A file of a domain folder that may be copied: one that no link takes from elsewhere.

    Raises:
        QBert4RecError: the file is outside the folder.
    """
    if not lies_inside(file, folder):
        raise QBert4RecError(
            f"{file} is a link to {file.resolve()}, outside {folder}; put the file itself there to "
            "keep it, or remove the link"
        )
    return file


def _named_images(folder: Path) -> set[str]:
    """The paths in the images column, as far as the items table can be read."""
    try:
        images = check_items(read_tables(folder, ITEMS))[IMAGES]
    except QBert4RecError:
        return set()
    return {PurePosixPath(image.replace("\\", "/")).as_posix() for row in images for image in row}


def write_items(items: pd.DataFrame, path: Path) -> None:
    """Writes the items table with fixed types, also where a column is wholly empty."""
    columns = {name: pa.array(items[name], type=kind) for name, kind in ITEM_COLUMNS.items()}
    for name in items.columns:
        if name not in columns:
            columns[name] = pa.array(items[name], from_pandas=True)
    pq.write_table(pa.table(columns), path)


def write_interactions(
    user_ids: np.ndarray,
    item_ids: Sequence[str],
    sequences: Sequences,
    timestamps: np.ndarray | None,
    path: Path,
) -> None:
    """Writes histories as the interactions table, a million rows at a time.

    Args:
        user_ids: `[users]`.
        item_ids: `[items]`.
        sequences: one row a user, oldest item first.
        timestamps: `[interactions]`, or None; the column is null then.
        path: the Parquet file.
    """
    users, items = pa.array(user_ids, pa.string()), pa.array(item_ids, pa.string())
    schema = pa.schema(INTERACTION_COLUMNS)
    with pq.ParquetWriter(path, schema) as writer:
        total = len(sequences.items)
        for start in range(0, total, ROWS_PER_GROUP):
            rows = slice(start, min(start + ROWS_PER_GROUP, total))
            numbers = np.arange(rows.start, rows.stop)
            of_user = np.searchsorted(sequences.offsets, numbers, side="right") - 1
            stamps = (
                pa.nulls(len(numbers), pa.int64())
                if timestamps is None
                else pa.array(timestamps[rows], pa.int64())
            )
            columns = [users.take(pa.array(of_user)), items.take(pa.array(sequences.items[rows]))]
            writer.write_table(pa.table([*columns, stamps], schema=schema))

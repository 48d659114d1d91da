"""Writing the files of a domain folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..columns import DOMAIN_FILE, ITEM_ID, ITEMS, TIMESTAMP, USER_ID
from ..errors import QBert4RecError
from ..files import atomic_folder
from .tables import ITEM_COLUMNS

INTERACTION_COLUMNS = {USER_ID: pa.string(), ITEM_ID: pa.string(), TIMESTAMP: pa.int64()}


@contextmanager
def domain_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary folder that becomes `folder`; an older domain folder there is replaced.

    Raises:
        QBert4RecError: at `folder` stands something that is no domain folder.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise QBert4RecError(f"{folder} is a file; choose another output folder")
    # Replacing means deleting, so only what we can have written ourselves is replaced.
    ours = (folder / DOMAIN_FILE).exists() and (folder / f"{ITEMS}.parquet").exists()
    if folder.is_dir() and any(folder.iterdir()) and not ours:
        raise QBert4RecError(
            f"{folder} is not empty and holds no domain; choose another output folder"
        )
    with atomic_folder(folder) as temporary:
        yield temporary


def write_items(items: pd.DataFrame, path: Path) -> None:
    """Writes the items table with fixed types, also where a column is wholly empty."""
    columns = {name: pa.array(items[name], type=kind) for name, kind in ITEM_COLUMNS.items()}
    for name in items.columns:
        if name not in columns:
            columns[name] = pa.array(items[name], from_pandas=True)
    pq.write_table(pa.table(columns), path)


def write_interactions(interactions: pd.DataFrame, path: Path) -> None:
    """Writes the interactions table with fixed types."""
    columns = {
        name: pa.array(interactions[name], type=kind, from_pandas=True)
        for name, kind in INTERACTION_COLUMNS.items()
    }
    pq.write_table(pa.table(columns), path)

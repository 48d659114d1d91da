"""The table of a catalogue: one row an item, in Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import CODES, COLLIDES, DOMAIN, ITEM_ID, TITLE
from ..errors import QBert4RecError
from ..files import atomic_file


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """Writes the columns item_id, title, domain, codes and collides.

    Raises:
        QBert4RecError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    items, levels = columns[CODES].shape
    edges = np.arange(items + 1, dtype=np.int32) * levels
    table = pa.table(
        {
            ITEM_ID: pa.array(columns[ITEM_ID], pa.string()),
            TITLE: pa.array(columns[TITLE], pa.string()),
            DOMAIN: pa.array(columns[DOMAIN], pa.string()),
            CODES: pa.ListArray.from_arrays(edges, columns[CODES].reshape(-1)),
            COLLIDES: pa.array(columns[COLLIDES], pa.bool_()),
        }
    )
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary)


def read_table(
    path: Path, num_levels: int
) -> tuple[list[str], list[str | None], list[str], np.ndarray]:
    """Reads the table of a catalogue.

    Returns:
        Item ids, titles, domains and codes `[items, levels]` int64.

    Raises:
        QBert4RecError: no file, no Parquet, a column is missing, or a row's codes are not
            `num_levels` whole numbers.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise QBert4RecError(f"{path} does not exist; copy the whole folder")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise QBert4RecError(f"{path} is no Parquet file ({error}); copy it again") from None
    missing = [name for name in (ITEM_ID, TITLE, DOMAIN, CODES) if name not in table.column_names]
    if missing:
        raise QBert4RecError(
            f"{path} has no column {missing[0]!r}, only {', '.join(table.column_names)}"
        )
    codes = table[CODES].to_pylist()
    for row, of_item in enumerate(codes):
        if (
            not isinstance(of_item, list)
            or len(of_item) != num_levels
            or not all(isinstance(code, int) for code in of_item)
        ):
            raise QBert4RecError(
                f"{path} row {row}: codes must be {num_levels} whole numbers, got {of_item}"
            )
    return (
        table[ITEM_ID].to_pylist(),
        table[TITLE].to_pylist(),
        table[DOMAIN].to_pylist(),
        np.array(codes, dtype=np.int64).reshape(len(codes), num_levels),
    )

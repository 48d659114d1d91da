"""Codes that were published with a data set: one tuple of small integers an item."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..columns import CODES, CODES_FOLDER, COLLIDES, ITEM_ID, ITEMS
from ..errors import QBert4RecError
from ..files import make_folder
from .tables import check_items, read_tables

_METADATA_KEY = b"qbert4rec_codes"


@dataclass(frozen=True)
class ImportedCodes:
    """Codes of all items of a domain, in the order of its items table.

    Args:
        codes: `[items, levels]`, int64.
        codebook_sizes: `[levels]`, number of codes that each level can have.
        prefixes: `[levels]`, letter of each level in the published tokens ("A" in `<A_154>`).
    """

    codes: np.ndarray
    codebook_sizes: list[int]
    prefixes: list[str]

    @property
    def collides(self) -> np.ndarray:
        """`[items]`, whether another item has the same codes."""
        _, inverse, counts = np.unique(self.codes, axis=0, return_inverse=True, return_counts=True)
        return counts[inverse.reshape(-1)] > 1

    @property
    def num_distinct(self) -> int:
        """Number of different code tuples."""
        return len(np.unique(self.codes, axis=0))

    def tokens(self, row: int) -> str:
        """The codes of one item as they were published, such as `<A_154><B_106>`."""
        pairs = zip(self.prefixes, self.codes[row], strict=True)
        return "".join(f"<{prefix}_{code}>" for prefix, code in pairs)


def join_codes(parts: Sequence[ImportedCodes]) -> ImportedCodes:
    """Puts the levels of several sets of codes beside each other, such as text and image codes.

    Raises:
        QBert4RecError: none given, or they belong to different numbers of items.
    """
    if not parts or len({len(part.codes) for part in parts}) > 1:
        sizes = [len(part.codes) for part in parts]
        raise QBert4RecError(f"codes to join must belong to the same items, got {sizes} items")
    return ImportedCodes(
        codes=np.concatenate([part.codes for part in parts], axis=1),
        codebook_sizes=[size for part in parts for size in part.codebook_sizes],
        prefixes=[prefix for part in parts for prefix in part.prefixes],
    )


def save_codes(codes: dict[str, ImportedCodes], item_ids: list[str], folder: Path) -> None:
    """Writes `codes/<key>.parquet` into a domain folder: item_id, codes, collides."""
    for key, part in codes.items():
        make_folder(folder / CODES_FOLDER)
        about = {"codebook_sizes": list(map(int, part.codebook_sizes)), "prefixes": part.prefixes}
        levels = part.codes.shape[1]
        table = pa.table(
            {
                ITEM_ID: pa.array(item_ids, pa.string()),
                CODES: pa.FixedSizeListArray.from_arrays(part.codes.reshape(-1), levels).cast(
                    pa.list_(pa.int64())
                ),
                COLLIDES: pa.array(part.collides),
            }
        ).replace_schema_metadata({_METADATA_KEY: json.dumps(about)})
        pq.write_table(table, folder / CODES_FOLDER / f"{key}.parquet")


def load_codes(folder: str | os.PathLike) -> dict[str, ImportedCodes]:
    """Reads the codes of a domain folder.

    Args:
        folder: the domain folder.

    Returns:
        Codes by key, rows in the order of the items table; empty where the domain has none.

    Raises:
        QBert4RecError: a file is malformed, lacks an item, or has a code out of range.
    """
    folder = Path(folder)
    paths = sorted((folder / CODES_FOLDER).glob("*.parquet"))
    if not paths:
        return {}
    item_ids = check_items(read_tables(folder, ITEMS))[ITEM_ID].tolist()
    return {path.stem: _load(path, item_ids) for path in paths}


def _load(path: Path, item_ids: list[str]) -> ImportedCodes:
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise QBert4RecError(
            f"{path} cannot be read as Parquet ({reason}); import the domain again"
        ) from None
    for column in (ITEM_ID, CODES):
        if column not in table.column_names:
            raise QBert4RecError(f"{path} lacks column {column}; import the domain again")
    rows: dict[str, int] = {}
    for row, item_id in enumerate(table.column(ITEM_ID).to_pylist()):
        if rows.setdefault(item_id, row) != row:
            raise QBert4RecError(
                f"{path}, row {row}: item {item_id!r} stands already in row {rows[item_id]}; an "
                "item has one row"
            )
    lists = table.column(CODES).to_pylist()
    levels = len(lists[0] or []) if lists else 0
    about = _about(path, table, levels)
    for row, values in enumerate(lists):
        if values is None or len(values) != levels or not levels:
            raise QBert4RecError(
                f"{path}, row {row}, column {CODES}: {levels} codes expected, found {values}"
            )
        if not all(isinstance(code, int) and 0 <= code < 2**63 for code in values):
            raise QBert4RecError(
                f"{path}, row {row}, column {CODES}: codes are integers from 0, found {values}"
            )
    codes = np.array(lists, dtype=np.int64).reshape(len(lists), levels)
    sizes = about.get("codebook_sizes") or [codebook_size(codes)] * levels
    check_code_range(codes, sizes, lambda row: f"{path}, row {row}, column {CODES}")
    missing = [item_id for item_id in item_ids if item_id not in rows]
    if missing:
        raise QBert4RecError(
            f"{path} has no codes for item {missing[0]!r} ({len(missing)} such items); "
            "every item of the domain needs codes"
        )
    order = np.array([rows[item_id] for item_id in item_ids], dtype=np.int64)
    return ImportedCodes(codes[order], list(sizes), list(about.get("prefixes") or []))


def _about(path: Path, table: pa.Table, levels: int) -> dict[str, list]:
    text = (table.schema.metadata or {}).get(_METADATA_KEY)
    try:
        about: dict[str, list] = dict(json.loads(text)) if text else {}
    except (TypeError, ValueError):
        raise QBert4RecError(f"{path}: its metadata is damaged; import the domain again") from None
    about.setdefault("prefixes", [chr(ord("a") + level) for level in range(levels)])
    for name, values in about.items():
        if not isinstance(values, list):
            raise QBert4RecError(f"{path}: {name} must be a list, found {values!r}")
        if len(values) != levels:
            raise QBert4RecError(f"{path}: {len(values)} {name} for {levels} levels of codes")
    return about


def codebook_size(codes: np.ndarray) -> int:
    """The smallest power of two that holds every code: published codebooks are powers of two."""
    return 1 << max(int(codes.max(initial=0)), 1).bit_length()


def check_code_range(codes: np.ndarray, sizes: Sequence[int], where: Callable[[int], str]) -> None:
    """Checks `codes` `[items, levels]` against the size of each level.

    Args:
        codes: the codes.
        sizes: `[levels]`.
        where: names a row for the message.

    Raises:
        QBert4RecError: names row, level and code.
    """
    outside = (codes < 0) | (codes >= np.asarray(sizes))
    if outside.any():
        row, level = map(int, np.argwhere(outside)[0])
        raise QBert4RecError(
            f"{where(row)}: code {codes[row, level]} at level {level} is outside a codebook of "
            f"{sizes[level]}; give the right codebook size"
        )

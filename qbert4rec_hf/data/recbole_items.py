"""RecBole's `X.item` as an items table, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from transformers.utils import logging

from ..columns import IMAGES, ITEM_ID, TEXT, TITLE
from ..errors import QBert4RecError
from .recbole_files import FLOAT, TOKEN, TOKEN_SEQ, read_header, read_rows
from .tables import check_items, table_of_frame

logger = logging.get_logger(__name__)

# What separates several texts in one field.
TEXT_SEPARATOR = " | "
_TITLES = (TITLE, "movie_title", "book_title", "name", "app_name")
_TEXTS = (TEXT, "description", "features", "brand", "categories", "category", "genre", "class")


def read_items(path: Path, used: Sequence[str], seed: int) -> pd.DataFrame:
    """Reads `X.item`, adds the items that only the interactions name, and shuffles the rows.

    Args:
        path: the file; it may be absent.
        used: ids of the items that have interactions.
        seed: of the shuffle.

    Returns:
        As `check_items` gives it.

    Raises:
        QBert4RecError: the file is malformed, or has an item twice.
    """
    frame = _described(path) if path.exists() else _ids([])
    described = set(frame[ITEM_ID])
    missing = [item for item in used if item not in described]
    if missing and path.exists():
        logger.warning(
            f"{path}: {len(missing)} items of the interactions are not described, such as "
            f"{missing[0]!r}; they are kept without title and texts"
        )
    if missing:
        frame = pd.concat([frame, _ids(missing)], ignore_index=True)
    for column, kind, empty in ((TITLE, str, None), (TEXT, list, []), (IMAGES, list, [])):
        values = frame[column] if column in frame else [None] * len(frame)
        kept = [value if isinstance(value, kind) else empty for value in values]
        frame[column] = pd.Series(kept, dtype=object)
    # By id first: the file's order, by first appearance in many files, must leave no trace.
    frame = frame.sort_values(ITEM_ID, kind="stable", ignore_index=True)
    order = np.random.default_rng(seed).permutation(len(frame))
    frame = frame.iloc[order].reset_index(drop=True)
    return check_items(table_of_frame(frame, str(path)))


def items_table(items: pd.DataFrame) -> tuple[dict[str, str], pa.Table]:
    """What `X.item` can hold of an items table: text, lists of text, and numbers.

    Returns:
        Type by name of the columns, and the table. Images are left out.
    """
    ids = pa.array(items[ITEM_ID], pa.large_string())
    kinds: dict[str, str] = {ITEM_ID: TOKEN}
    columns: dict[str, pa.Array] = {ITEM_ID: ids}
    for name in items.columns:
        values = items[name]
        if name in (ITEM_ID, IMAGES) or set(name) & set(':"\t\r\n'):
            continue
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            kinds[name], columns[name] = FLOAT, pa.array(values, from_pandas=True)
            continue
        texts = [_field(value) for value in values]
        if None not in texts and (name == TITLE or any(texts)):
            kinds[name] = TOKEN_SEQ if name in (TITLE, TEXT) else TOKEN
            columns[name] = pa.array(texts, pa.large_string())
    return kinds, pa.table(columns)


def _ids(ids: Iterable[str]) -> pd.DataFrame:
    return pd.DataFrame({ITEM_ID: pd.Series(list(ids), dtype=object)})


def _described(path: Path) -> pd.DataFrame:
    kinds = read_header(path)
    if kinds.get(ITEM_ID, FLOAT) == FLOAT:
        raise QBert4RecError(f"{path}, line 1: it lacks {ITEM_ID}:{TOKEN}")
    parts = [table.data for table in read_rows(path, kinds)]
    if not parts:
        return _ids([])
    data = pa.concat_tables(parts)
    frame = _ids(data.column(ITEM_ID).to_pylist())
    texts = [name for name in _TEXTS if kinds.get(name, FLOAT) != FLOAT]
    if TEXT in texts:
        # Somebody chose what the texts are; other columns stay columns.
        texts = [TEXT]
    title = next((name for name in _TITLES if kinds.get(name, FLOAT) != FLOAT), None)
    if title is not None:
        frame[TITLE] = pd.Series(map(_plain, data.column(title).to_pylist()), dtype=object)
    if texts:
        rows = zip(*(data.column(name).to_pylist() for name in texts), strict=True)
        frame[TEXT] = pd.Series([_texts(row) for row in rows], dtype=object)
    for name, kind in kinds.items():
        if name in (ITEM_ID, title, *texts, TITLE, TEXT, IMAGES):
            continue
        values = data.column(name).to_pylist()
        kept = values if kind == FLOAT else [value or None for value in values]
        frame[name] = pd.Series(kept, dtype=float if kind == FLOAT else object)
    return frame


def _plain(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None


def _texts(row: Sequence[str | None]) -> list[str]:
    parts = [part for text in row for part in (text or "").split(TEXT_SEPARATOR)]
    return [text for text in map(_plain, parts) if text is not None]


def _field(value: object) -> str | None:
    """A value in one line; None for what is no text."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return TEXT_SEPARATOR.join(filter(None, (" ".join(part.split()) for part in value)))
    if isinstance(value, str):
        return " ".join(value.split())
    return "" if value is None or value is pd.NA or value != value else None

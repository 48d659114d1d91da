"""Texts and paths within SQL."""

from __future__ import annotations

from pathlib import Path


def quoted(text: str | Path, *, pattern: bool = False) -> str:
    """A text or path as an SQL literal.

    Args:
        text: the text or path.
        pattern: whether DuckDB takes it as a pattern, in which brackets and stars mean something,
            as `read_parquet` does.
    """
    text = str(text)
    if pattern:
        text = "".join(f"[{char}]" if char in "[*?" else char for char in text)
    return "'" + text.replace("'", "''") + "'"

"""Whether reviews and metadata speak of the same items."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from .review_rows import quoted
from .sniff import METADATA, REVIEWS


@dataclass(frozen=True)
class MatchCount:
    """How many reviewed items have metadata.

    Args:
        items: items with reviews.
        matched: those of them with metadata.
        review_example: id of an item with reviews.
        metadata_example: id of an item with metadata.
    """

    items: int
    matched: int
    review_example: str | None
    metadata_example: str | None


def count_matched_items(
    connection: duckdb.DuckDBPyConnection, staging: str | os.PathLike
) -> MatchCount:
    """Counts the reviewed items that have metadata, once both have been read into `staging`.

    None at all means that the files do not belong together: another category, or ids of another
    kind (`asin` and `parent_asin`).
    """
    reviews, metadata = (
        f"(SELECT item_id FROM read_parquet({quoted(str(Path(staging) / kind / '*.parquet'))}))"
        for kind in (REVIEWS, METADATA)
    )
    items, review_example, matched = connection.execute(
        "SELECT count(*), min(item_id), count(*) FILTER (item_id IN "
        f"(SELECT item_id FROM {metadata})) FROM (SELECT DISTINCT item_id FROM {reviews})"
    ).fetchall()[0]
    (metadata_example,) = connection.execute(f"SELECT min(item_id) FROM {metadata}").fetchall()[0]
    return MatchCount(items, matched, review_example, metadata_example)

"""What Amazon's files look like, by year: their keys, and how a year is told from another.

Source: https://jmcauley.ucsd.edu/data/amazon (2014), https://nijianmo.github.io/amazon (2018),
https://amazon-reviews-2023.github.io (2023), and files of each.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from .options import (
    AMAZON_2014,
    AMAZON_2014_RATINGS,
    AMAZON_2018,
    AMAZON_2018_RATINGS,
    AMAZON_2023,
    AMAZON_2023_RATINGS,
    AMAZON_2023_SPLIT,
    ITEM_ID,
    METADATA,
    RATING,
    REVIEWS,
    TIMESTAMP,
    USER_ID,
)

_OLD_REVIEWS: Mapping[str, tuple[str, ...]] = {
    USER_ID: ("reviewerID",),
    ITEM_ID: ("asin",),
    RATING: ("overall",),
    TIMESTAMP: ("unixReviewTime", "reviewTime"),
}
_TABLE_2023: Mapping[str, tuple[str, ...]] = {
    USER_ID: ("user_id",),
    ITEM_ID: ("parent_asin",),
    RATING: ("rating",),
    TIMESTAMP: ("timestamp",),
}
# Format -> field -> keys of its reviews; of several the first that a row has counts.
REVIEW_COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    AMAZON_2014: _OLD_REVIEWS,
    AMAZON_2018: _OLD_REVIEWS,
    AMAZON_2023: {
        USER_ID: ("user_id",),
        ITEM_ID: ("parent_asin", "asin"),
        RATING: ("rating",),
        TIMESTAMP: ("timestamp", "sort_timestamp"),
    },
    AMAZON_2014_RATINGS: {
        USER_ID: ("column1",),
        ITEM_ID: ("column2",),
        RATING: ("column3",),
        TIMESTAMP: ("column4",),
    },
    AMAZON_2018_RATINGS: {
        USER_ID: ("column2",),
        ITEM_ID: ("column1",),
        RATING: ("column3",),
        TIMESTAMP: ("column4",),
    },
    AMAZON_2023_RATINGS: _TABLE_2023,
    AMAZON_2023_SPLIT: _TABLE_2023,
}
# Names of the columns of 2023's tables, for those without a header.
NAMES_2023 = ("user_id", "parent_asin", "rating", "timestamp", "history")

_METADATA_2014 = {"imUrl", "salesRank", "related"}
_METADATA_2018 = {"imageURL", "imageURLHighRes", "also_buy", "also_view", "main_cat", "tech1"}
_METADATA_2023 = {"main_category", "average_rating", "rating_number", "bought_together", "store"}
_REVIEWS_2018 = {"vote", "verified", "style", "image"}

_ASIN = re.compile(r"B[0-9A-Z]{9}|[0-9]{9}[0-9X]")
_REVIEWER = re.compile(r"A[0-9A-Z]{9,27}")
_STAMP = re.compile(r"-?[0-9]{8,13}")


def find_year(keys: Collection[str]) -> tuple[str, str] | None:
    """Tells the format and the kind of a file from the keys of its objects or its column names.

    Returns:
        Format and kind ("reviews" or "metadata"), or None where it is none of Amazon's.
    """
    keys = set(keys)
    if {"reviewerID", "asin"} <= keys:
        return (AMAZON_2018 if keys & _REVIEWS_2018 else AMAZON_2014), REVIEWS
    if {"user_id", "parent_asin"} <= keys:
        if {"helpful_vote", "verified_purchase", "text", "asin"} & keys:
            return AMAZON_2023, REVIEWS
        return None
    if "parent_asin" in keys and keys & _METADATA_2023:
        return AMAZON_2023, METADATA
    if "asin" in keys:
        if keys & _METADATA_2018:
            return AMAZON_2018, METADATA
        if keys & _METADATA_2014:
            return AMAZON_2014, METADATA
        # Rows of 2014 may have no more than these.
        if "categories" in keys and keys <= {"asin", "categories", "title", "description", "price"}:
            return AMAZON_2014, METADATA
    return None


def find_table(header: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str | None:
    """Tells which of Amazon's tables with separators a file is.

    Args:
        header: column names; None for a file without.
        rows: the first rows.

    Returns:
        One of the formats, or None where it is none of Amazon's or the rows leave it open.
    """
    if header is not None:
        if tuple(header) == NAMES_2023[:4]:
            return AMAZON_2023_RATINGS
        if tuple(header) == NAMES_2023:
            return AMAZON_2023_SPLIT
        return None
    rows = [row for row in rows if len(row) in (4, 5) and _is_rated(row)]
    if not rows:
        return None
    if all(len(row) == 5 for row in rows) and _share(rows, 1, _ASIN) > 0.9:
        return AMAZON_2023_SPLIT
    first, second = _share(rows, 0, _ASIN), _share(rows, 1, _ASIN)
    if first > 0.9 and second < 0.5 and _share(rows, 1, _REVIEWER) > 0.9:
        return AMAZON_2018_RATINGS
    if second > 0.9 and first < 0.5 and _share(rows, 0, _REVIEWER) > 0.9:
        # 2023's user ids have 28 characters and its time stamps are milliseconds.
        stamps = [abs(int(row[3])) for row in rows]
        return AMAZON_2023_RATINGS if max(stamps) > 10**11 else AMAZON_2014_RATINGS
    return None


def _is_rated(row: Sequence[str]) -> bool:
    try:
        return 0 <= float(row[2]) <= 5 and bool(_STAMP.fullmatch(row[3]))
    except ValueError:
        return False


def _share(rows: Sequence[Sequence[str]], column: int, form: re.Pattern[str]) -> float:
    return sum(bool(form.fullmatch(row[column])) for row in rows) / len(rows)

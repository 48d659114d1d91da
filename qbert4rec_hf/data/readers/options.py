"""What a user may say about raw files, and the names of their formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from ...columns import IMAGES, ITEM_ID, TEXT, TIMESTAMP, TITLE, USER_ID
from ...errors import QBert4RecError

REVIEWS = "reviews"
METADATA = "metadata"

AMAZON_2014 = "amazon2014"
AMAZON_2018 = "amazon2018"
AMAZON_2023 = "amazon2023"
AMAZON_2014_RATINGS = "amazon2014_ratings"
AMAZON_2018_RATINGS = "amazon2018_ratings"
AMAZON_2023_RATINGS = "amazon2023_ratings"
AMAZON_2023_SPLIT = "amazon2023_split"
CSV = "csv"
PARQUET = "parquet"
RECBOLE = "recbole"
JSONL = "jsonl"

# Format -> what it is, for help texts.
FORMATS: Mapping[str, str] = MappingProxyType(
    {
        AMAZON_2014: "Amazon 2014, JSON or Python-literal lines",
        AMAZON_2018: "Amazon 2018, JSON lines",
        AMAZON_2023: "Amazon 2023, JSON lines or Parquet (item ids are parent_asin)",
        AMAZON_2014_RATINGS: "Amazon 2014 ratings only: user,item,rating,timestamp without header",
        AMAZON_2018_RATINGS: "Amazon 2018 ratings only: item,user,rating,timestamp without header",
        AMAZON_2023_RATINGS: "Amazon 2023 ratings only: user_id,parent_asin,rating,timestamp",
        AMAZON_2023_SPLIT: "Amazon 2023 published splits: the same columns and a history",
        CSV: "any shop's table with separators: comma, tab, semicolon or |",
        PARQUET: "any shop's Parquet",
        RECBOLE: "RecBole atomic files (.inter, .item)",
        JSONL: "any shop's JSON lines",
    }
)
# Formats whose lines are JSON objects.
JSON_FORMATS = frozenset({AMAZON_2014, AMAZON_2018, AMAZON_2023, JSONL})
# Formats that only reviews have.
REVIEW_FORMATS = frozenset(
    {AMAZON_2014_RATINGS, AMAZON_2018_RATINGS, AMAZON_2023_RATINGS, AMAZON_2023_SPLIT}
)
# Formats that are tables of text with separators.
TABLE_FORMATS = REVIEW_FORMATS | {CSV, RECBOLE}

RATING = "rating"
BRAND = "brand"
CATEGORIES = "categories"
PRICE = "price"
REVIEW_FIELDS = (USER_ID, ITEM_ID, RATING, TIMESTAMP)
METADATA_FIELDS = (ITEM_ID, TITLE, TEXT, IMAGES, BRAND, CATEGORIES, PRICE)

TIME_UNITS = ("auto", "s", "ms", "us", "ns")


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say about raw files.

    Args:
        format: one of `FORMATS`; None recognises it from the content of each file.
        columns: field -> the file's own column or key, for the fields user_id, item_id, rating and
            timestamp of reviews and item_id, title, text, images, brand, categories and price of
            metadata. Several names are separated by commas: text, images and categories are joined
            from all of them, of the others the first that the file has is taken. Columns of a file
            without header are called column1, column2, ...
        time_unit: unit of numeric time stamps; "auto" finds it from the values, for each file.
        strict: whether a malformed line is an error. Otherwise such lines are counted and left out.
        allow_truncated: whether a compressed file that stops in the middle gives what could be read
            of it. Otherwise it is an error.
        shown_errors: malformed lines that the report shows for each file.

    Raises:
        QBert4RecError: an unknown format, field or unit.
    """

    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: Literal["auto", "s", "ms", "us", "ns"] = "auto"
    strict: bool = False
    allow_truncated: bool = False
    shown_errors: int = 5

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise QBert4RecError(
                f"format {self.format!r} is not known; choose one of {', '.join(FORMATS)}"
            )
        fields = tuple(dict.fromkeys(REVIEW_FIELDS + METADATA_FIELDS))
        for name, column in self.columns.items():
            if name not in fields:
                raise QBert4RecError(
                    f"column {name}={column}: {name!r} is not a field; "
                    f"choose one of {', '.join(fields)}"
                )
            if not isinstance(column, str) or not column:
                raise QBert4RecError(f"column {name}=: give the name that the file uses for {name}")
        if self.time_unit not in TIME_UNITS:
            raise QBert4RecError(
                f"time unit {self.time_unit!r} is not known; choose one of {', '.join(TIME_UNITS)}"
            )

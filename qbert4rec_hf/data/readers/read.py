"""The way in: raw reviews and metadata of any format -> Parquet with the same few columns."""

from __future__ import annotations

from .metadata import read_metadata
from .options import FORMATS, ReadOptions
from .report import FileReport, MalformedLine, ReadReport
from .reviews import read_reviews
from .sniff import Found, sniff

__all__ = [
    "FORMATS",
    "FileReport",
    "Found",
    "MalformedLine",
    "ReadOptions",
    "ReadReport",
    "read_metadata",
    "read_reviews",
    "sniff",
]

"""What reading did: for each file what was read, dropped, and found odd."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

# Why a row of metadata is dropped that is not the only one of its item.
FULLER_ROW = "another row of the item is fuller"


@dataclass(frozen=True)
class MalformedLine:
    """A line that could not be understood.

    Args:
        line: its number, counted from 1.
        why: what is wrong with it.
    """

    line: int
    why: str


@dataclass
class FileReport:
    """What reading one file did.

    Args:
        path: the file, as the user named it.
        format: one of `FORMATS`.
        compression: "none", "gzip" or "zstd".
        encoding: encoding of the text; None for Parquet.
        columns: field -> the file's own column or key that it was taken from.
        rows: rows that were read and kept.
        malformed: lines that could not be understood.
        first_malformed: the first few of them.
        truncated_at_row: last line that was readable of a file that stops in the middle.
        time_unit: unit of the time stamps in the file: "s", "ms", "us", "ns" or "text".
        dropped: reason -> rows left out for it.
        noted: oddity -> rows that have it and were kept.
        remarks: what else a user should know.
    """

    path: str
    format: str
    compression: str = "none"
    encoding: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    malformed: int = 0
    first_malformed: list[MalformedLine] = field(default_factory=list)
    truncated_at_row: int | None = None
    time_unit: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass
class ReadReport:
    """What reading all files of one kind did.

    Args:
        kind: "reviews" or "metadata".
        files: one report a file, in the order in which they were given.
    """

    kind: str
    files: list[FileReport] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows that were kept, of all files; for metadata: one row an item."""
        return sum(file.rows for file in self.files)

    @property
    def has_timestamps(self) -> bool:
        """Whether the reviews have time stamps (in milliseconds, once read)."""
        return any(file.time_unit is not None for file in self.files)

    @property
    def duplicates(self) -> int:
        """Rows of metadata left out because a fuller one has the same item id."""
        return self.dropped.get(FULLER_ROW, 0)

    @property
    def malformed(self) -> int:
        """Lines that could not be understood, of all files."""
        return sum(file.malformed for file in self.files)

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> rows left out for it, of all files."""
        total: Counter[str] = Counter()
        for file in self.files:
            total.update(file.dropped)
        if self.malformed:
            total["malformed line"] += self.malformed
        return dict(total)

"""What reading reviews and reading metadata have in common."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from transformers.utils import logging

from ...errors import QBert4RecError
from ...files import make_folder
from .byte_stream import ByteStream
from .column_names import find_columns
from .files_given import given_files
from .kinds import ARGUMENTS, check_kind
from .lines import LineReader
from .malformed import MalformedLines
from .options import METADATA, REVIEW_FORMATS, ReadOptions
from .report import FileReport, ReadReport
from .sniff import Found, sniff

logger = logging.get_logger(__name__)


@contextmanager
def staged(staging: str | os.PathLike, kind: str) -> Iterator[Path]:
    """Yields the folder, empty, in which files of one kind are read; a block that raises takes it
    away."""
    folder = Path(staging) / kind
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def read_each(
    kind: str,
    paths: Sequence[str | os.PathLike],
    folder: Path,
    options: ReadOptions,
    file_read: Callable[[str, Found, int, Path, ReadOptions], FileRead],
) -> ReadReport:
    """Reads files one after the other.

    Args:
        kind: "reviews" or "metadata".
        paths: as the user gives them.
        folder: for what is read; data sets of the Hub are fetched beside it.
        options: what the user says about the files.
        file_read: makes what reads one file; takes what `FileRead` takes.

    Raises:
        QBert4RecError: a file cannot be used, or is of the other kind.
    """
    format = options.format
    # A format that only reviews have is no word about the metadata beside them.
    if kind == METADATA and format in REVIEW_FORMATS:
        format = None
    report = ReadReport(kind)
    for name, path in given_files(paths, folder.parent, ARGUMENTS[kind]):
        found = sniff(path, format)
        check_kind(found, kind)
        file = file_read(name, found, len(report.files), folder, options)
        file.run()
        report.files.append(file.report)
        logger.info("%s: %s, %d rows", name, found.format, file.report.rows)
    return report


class FileRead:
    """Reads one file; what is done with its rows is up to the class that inherits.

    Args:
        name: the file as the user named it.
        found: what it is.
        index: its number, from 0.
        folder: for the result, `part`, and for files in between.
        options: what the user says about the files.
    """

    def __init__(
        self, name: str, found: Found, index: int, folder: Path, options: ReadOptions
    ) -> None:
        self.found = found
        self.index = index
        self.folder = folder
        self.options = options
        self.lines = LineReader(ByteStream(found.path, found.compression))
        self.malformed = MalformedLines(found.path, options.shown_errors, strict=options.strict)
        self.report = FileReport(name, found.format, found.compression, found.encoding)

    def run(self) -> None:
        """Reads the file to its end: its rows into `part`, what there is to tell into `report`."""
        raise NotImplementedError

    @property
    def part(self) -> Path:
        """The file that is written."""
        return part_path(self.folder, self.index)

    def find_columns(
        self,
        fields: Sequence[str],
        required: Sequence[str],
        known: Mapping[str, tuple[str, ...]] | None,
    ) -> dict[str, tuple[str, ...]]:
        """Finds the columns of the fields, and notes them; see `column_names.find_columns`."""
        columns = find_columns(
            self.found.columns,
            fields,
            self.options.columns,
            path=self.found.path,
            required=required,
            known=known,
        )
        self.report.columns = {field: ", ".join(names) for field, names in columns.items()}
        return columns

    def complete(self) -> None:
        """Notes what only the end of the file tells.

        Raises:
            QBert4RecError: the file stops in the middle, or none of its rows can be used.
        """
        report, lines, stream = self.report, self.lines, self.lines.stream
        report.encoding = lines.encoding if report.encoding is not None else None
        report.malformed = self.malformed.count
        report.first_malformed = self.malformed.first
        if stream.problem is not None:
            if not self.options.allow_truncated:
                raise QBert4RecError(
                    f"{report.path} {stream.problem} (a broken download?): {report.rows:,} rows "
                    f"were readable, up to line {lines.last:,}; fetch it again, or take those with "
                    "--allow-truncated"
                )
            report.truncated_at_row = lines.last
            report.remarks.append(stream.problem)
        if stream.remark is not None:
            report.remarks.append(stream.remark)
        if lines.foreign:
            report.noted["line is not UTF-8, read as Windows-1252"] = lines.foreign
        if not report.rows:
            raise QBert4RecError(f"{report.path} has no row that can be used{_why_none(report)}")


def part_path(folder: Path, index: int) -> Path:
    """The file that is written of the file with a number."""
    return folder / f"part-{index:05d}.parquet"


def _why_none(report: FileReport) -> str:
    reasons = [f"{reason}: {count:,}" for reason, count in report.dropped.items()]
    if report.malformed:
        first = report.first_malformed[0] if report.first_malformed else None
        where = f", the first in line {first.line}: {first.why}" if first else ""
        reasons.append(f"malformed lines: {report.malformed:,}{where}")
    if not reasons:
        return "; it holds nothing below its header"
    return f" ({'; '.join(reasons)}); check the columns and the format"

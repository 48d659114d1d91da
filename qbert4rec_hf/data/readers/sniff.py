"""What a file is, from its content and never from its name."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...errors import QBert4RecError
from .amazon import NAMES_2023, find_table, find_year
from .byte_stream import NONE, ByteStream, find_compression, read_head
from .column_names import COMMON_NAMES, plain_name
from .lines import UTF_8, LineReader
from .loose_json import LineError, is_literal, parse_object
from .options import (
    AMAZON_2014_RATINGS,
    AMAZON_2018_RATINGS,
    AMAZON_2023_RATINGS,
    AMAZON_2023_SPLIT,
    CSV,
    JSON_FORMATS,
    JSONL,
    PARQUET,
    RECBOLE,
    REVIEW_FORMATS,
    REVIEWS,
    TABLE_FORMATS,
)

_SAMPLED_LINES = 200
_DELIMITERS = ",\t;|"
_RECBOLE_TYPES = {"token", "token_seq", "float", "float_seq"}
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,eE+:-]*")


@dataclass(frozen=True)
class Found:
    """What a file is.

    Args:
        path: the file.
        format: one of `FORMATS`.
        compression: "none", "gzip" or "zstd".
        encoding: encoding of the text; None for Parquet.
        kind: "reviews" or "metadata" where the format tells, else None.
        columns: column names, or keys of the sampled JSON objects in order of appearance.
        delimiter: of a table with separators.
        quoted: whether quotes in a table enclose fields (not in RecBole's).
        header: number of the line with the column names, 0 where there is none.
        literal: whether the lines are Python literals instead of JSON.
    """

    path: Path
    format: str
    compression: str = NONE
    encoding: str | None = UTF_8
    kind: str | None = None
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    quoted: bool = True
    header: int = 0
    literal: bool = False


def sniff(path: str | os.PathLike, format: str | None = None) -> Found:
    """Tells format, compression and columns of a file from its content.

    Args:
        path: the file.
        format: the format that the user names; then only the rest is found out.

    Raises:
        QBert4RecError: the file is missing, empty, a folder, cannot be read, or is of no format
            that is read here.
    """
    path = Path(path)
    compression = find_compression(path)
    if compression == NONE and read_head(path, 4) == b"PAR1":
        return _sniff_parquet(path, format)
    if format == PARQUET:
        raise QBert4RecError(f"{path} is not Parquet; leave the format out to have it recognised")
    reader = LineReader(ByteStream(path, compression))
    lines = _sample(reader)
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise QBert4RecError(
            f"{path} holds no text"
            + (f" ({reader.stream.problem})" if reader.stream.problem else "")
            + "; fetch or write it again"
        )
    _refuse(path, numbered[0][1])
    first = numbered[0][1].lstrip()
    if format in JSON_FORMATS or (format is None and first.startswith(("{", "["))):
        found = _sniff_objects(path, [line for _, line in numbered], format)
    else:
        found = _sniff_table(path, numbered, format)
    return Found(path, compression=compression, encoding=reader.encoding, **found)


def _sample(reader: LineReader) -> list[str]:
    """The first lines, at least one and at most a chunk's worth."""
    for batch in reader:
        return list(islice(batch.texts(), _SAMPLED_LINES))
    return []


def _refuse(path: Path, line: str) -> None:
    """Raises for what is often downloaded in place of data."""
    start = line.lstrip("\ufeff \t")[:100].lower()
    if start.startswith(("<!doctype", "<html", "<?xml")):
        raise QBert4RecError(
            f"{path} is a web page, not data (a download that went wrong?); fetch it again"
        )
    if start.startswith("version https://git-lfs"):
        raise QBert4RecError(f"{path} is a Git LFS pointer, not data; fetch it with git lfs pull")
    if line[257:262] == "ustar":
        raise QBert4RecError(f"{path} is a tar archive; unpack it first (tar -xf)")
    if line[:1000].count("\0") > 2:
        raise QBert4RecError(
            f"{path} is no text, nor Parquet, gzip or zstd; give one of the formats read here"
        )


def _sniff_parquet(path: Path, format: str | None) -> Found:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if format is not None and format in TABLE_FORMATS:
        raise QBert4RecError(f"{path} is Parquet and not {format}; leave the format out")
    try:
        columns = tuple(pq.ParquetFile(path).schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise QBert4RecError(
            f"{path} is Parquet that cannot be read ({str(error).splitlines()[0]}); "
            "fetch or write it again"
        ) from None
    _check_distinct(path, columns)
    year = find_year(columns) if format is None else None
    name, kind = year or (format or PARQUET, None)
    return Found(path, name, encoding=None, kind=kind, columns=columns)


def _sniff_objects(path: Path, lines: Sequence[str], format: str | None) -> dict[str, object]:
    if format is None and lines[0].lstrip().startswith("["):
        raise QBert4RecError(
            f"{path} is one JSON list; write one object a line instead (jq -c '.[]' does it)"
        )
    keys: dict[str, None] = {}
    literals = 0
    reason = ""
    for line in lines:
        try:
            keys.update(dict.fromkeys(parse_object(line)))
        except LineError as error:
            reason = reason or str(error)
            continue
        literals += is_literal(line)
    if not keys:
        raise QBert4RecError(
            f"{path}, line 1: {reason or 'an object without keys'}; "
            "one JSON object a line is expected"
        )
    year = find_year(keys)
    kind = year[1] if year else None
    name = format or (year[0] if year else JSONL)
    return {
        "format": name,
        "kind": kind,
        "columns": tuple(keys),
        "literal": literals > len(lines) // 2,
    }


def _sniff_table(
    path: Path, numbered: Sequence[tuple[int, str]], format: str | None
) -> dict[str, object]:
    header_line, first = numbered[0]
    cells = first.rstrip("\r").split("\t")
    typed = [cell.strip().rpartition(":") for cell in cells]
    if all(name and kind in _RECBOLE_TYPES for name, _, kind in typed):
        names = tuple(name for name, _, _ in typed)
        return {
            "format": format or RECBOLE,
            "columns": names,
            "delimiter": "\t",
            "quoted": False,
            "header": header_line,
        }
    if format == RECBOLE:
        raise QBert4RecError(
            f"{path}, line {header_line}: RecBole's first line names its columns with their types "
            "(user_id:token, separated by tabs); leave the format out to have it recognised"
        )
    texts = [line for _, line in numbered]
    delimiter = _find_delimiter(texts)
    rows = _split(texts, delimiter)
    header = rows[0] if _is_header(rows) else None
    if format in (AMAZON_2014_RATINGS, AMAZON_2018_RATINGS):
        header = None
    name = format or find_table(header, rows) or CSV
    if header is not None:
        columns = tuple(cell.strip() for cell in header)
        _check_distinct(path, columns)
    elif name in (AMAZON_2023_RATINGS, AMAZON_2023_SPLIT):
        columns = NAMES_2023[: len(rows[0])]
    else:
        columns = tuple(f"column{number}" for number in range(1, len(rows[0]) + 1))
    return {
        "format": name,
        "kind": REVIEWS if name in REVIEW_FORMATS else None,
        "columns": columns,
        "delimiter": delimiter,
        "header": header_line if header is not None else 0,
    }


def _check_distinct(path: Path, columns: Sequence[str]) -> None:
    repeated = [column for column, count in Counter(columns).items() if count > 1 and column]
    if repeated:
        raise QBert4RecError(
            f"{path} has column {repeated[0]!r} more than once; rename one of them"
        )


def _find_delimiter(lines: Sequence[str]) -> str:
    """The separator that splits most lines into as many fields as the first."""
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in _split(lines, delimiter)]
        if not widths or widths[0] < 2:
            continue
        score = sum(width == widths[0] for width in widths) / len(widths)
        # Of two that fit alike the earlier one counts; commas within texts fit rarely.
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _split(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The rows of the first lines, without those that cannot be split."""
    rows = []
    for line in lines:
        try:
            # One by one, as a quote that stays open would swallow the lines below.
            rows += [row for row in csv.reader([line], delimiter=delimiter) if row]
        except csv.Error:
            continue
    return rows or [[""]]


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns."""
    first = [cell.strip() for cell in rows[0]]
    common = {name for groups in COMMON_NAMES.values() for group in groups for name in group}
    if any(plain_name(cell) in common for cell in first):
        return True
    if any(_NUMBER.fullmatch(cell) for cell in first) or not any(first):
        return False
    # No name that we know and no number: names, if some later row has a number.
    return any(_NUMBER.fullmatch(cell.strip()) for row in rows[1:] for cell in row)

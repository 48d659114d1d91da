"""RecBole's atomic files: tables of `name:type` columns, separated by tabs.

RecBole reads them with pandas, so a field that holds a quotation mark stands in quotation marks;
most files that are published have none and were written without a thought of it. A quotation mark
is therefore taken for an ordinary character unless it encloses its field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from ..errors import QBert4RecError
from .tables import Table

TOKEN, TOKEN_SEQ, FLOAT, FLOAT_SEQ = TYPES = ("token", "token_seq", "float", "float_seq")
# Names of the files of a set X: `X.inter`, or `X.train.inter` and so on, and `X.item`.
INTER, ITEM = ".inter", ".item"
PARTS = ("train", "valid", "test")
# Place in a user's history, which our exporter writes; where it stands alone there were no stamps.
POSITION = "position"
SEPARATOR = "\t"
BLOCK_BYTES = 1 << 24


def read_header(path: Path) -> dict[str, str]:
    """The columns of an atomic file.

    Returns:
        Type by name, in the file's order.

    Raises:
        QBert4RecError: the file is missing or its first line is no header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise QBert4RecError(f"{path} cannot be read as text ({error})") from None
    columns: dict[str, str] = {}
    for field in line.split(SEPARATOR):
        name, colon, kind = field.partition(":")
        if not name or not colon or kind not in TYPES or name in columns:
            raise QBert4RecError(
                f"{path}, line 1: columns such as user_id:token, each once and separated by tabs, "
                f"expected, found {field[:60]!r}"
            )
        columns[name] = kind
    return columns


def read_rows(path: Path, columns: Iterable[str]) -> Iterator[Table]:
    """The rows of an atomic file, some 16 MiB at a time.

    Args:
        path: the file.
        columns: names of the columns that are wanted; all of them must be there.

    Yields:
        Tables with these columns: text (also of sequences), or float64. Empty numbers are null.

    Raises:
        QBert4RecError: a line with another number of fields, or a number that is none.
    """
    kinds, wanted = read_header(path), list(columns)
    types = {
        name: pa.float64() if kind == FLOAT else pa.large_string() for name, kind in kinds.items()
    }
    start = 0
    try:
        # One thread, so that a bad line is named by its number.
        reader = pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(
                skip_rows=1, column_names=list(kinds), block_size=BLOCK_BYTES, use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(delimiter=SEPARATOR, quote_char=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=types, include_columns=wanted, null_values=["", "nan", "NaN"]
            ),
        )
        for batch in reader:
            data = pa.Table.from_batches([batch])
            for place, name in enumerate(wanted):
                if kinds[name] != FLOAT:
                    data = data.set_column(place, name, _unquoted(data.column(name)))
            yield Table(data, [str(path)], np.array([len(data)]), start)
            start += len(data)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        if "Empty CSV file" not in reason:
            raise QBert4RecError(
                f"{path} cannot be read as one of RecBole's files ({reason}); mend that line, or "
                "use `qbert4rec prepare`, which leaves such lines out"
            ) from None


def write_rows(path: Path, columns: Mapping[str, str], tables: Iterable[pa.Table]) -> None:
    """Writes an atomic file.

    Args:
        path: the file.
        columns: type by name.
        tables: parts of it with these columns.
    """
    header = SEPARATOR.join(f"{name}:{kind}" for name, kind in columns.items())
    with path.open("wb") as file:
        file.write(f"{header}\n".encode())
        for table in tables:
            if len(table):
                lines = pc.binary_join_element_wise(
                    *(_quoted(table.column(name)) for name in columns),
                    _text(SEPARATOR),
                    null_handling="replace",
                    null_replacement="",
                )
                file.write(("\n".join(lines.to_pylist()) + "\n").encode())


def _quoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text; fields with a quotation mark stand in quotation marks."""
    column = column.cast(pa.large_string())
    marked = pc.match_substring(column, '"')
    if not pc.any(marked).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    enclosed = pc.binary_join_element_wise(_text('"'), doubled, _text('"'), _text(""))
    return pc.if_else(pc.fill_null(marked, False), enclosed, column)


def _unquoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Fields without the quotation marks that enclose them."""
    if not pc.any(pc.starts_with(column, '"')).as_py():
        return column
    return pa.chunked_array([pa.array(map(_unquote, column.to_pylist()), column.type)])


def _unquote(text: str | None) -> str | None:
    if text is None or len(text) < 2 or not (text[0] == text[-1] == '"'):
        return text
    inner = text[1:-1].replace('""', "\0")
    # A single quotation mark inside: the outer ones enclose nothing.
    return text if '"' in inner else inner.replace("\0", '"')


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())

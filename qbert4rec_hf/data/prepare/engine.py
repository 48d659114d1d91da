"""DuckDB on Parquet files of one folder: tables of any size in bounded memory."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ...errors import QBert4RecError
from ...files import make_folder
from ..readers.sql import quoted
from .interrupt import interruptible

DEFAULT_MEMORY_LIMIT = "3GB"
_BATCH_ROWS = 100_000
_MEMORY = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?)?B", re.IGNORECASE)
_FULL_DISK = ("no space left", "disk quota", "not enough space", "max_temp_directory_size")

# The finaliser of splitmix64, as in data/time_order.py; SQL's own product would overflow.
_MACROS = """
CREATE MACRO times64(a, b) AS
    ((a::UHUGEINT * b::UHUGEINT) & 18446744073709551615::UHUGEINT)::UBIGINT;
CREATE MACRO shifted64(a, bits) AS xor(a, a >> bits);
CREATE MACRO mix64(a) AS shifted64(
    times64(shifted64(times64(shifted64(a, 30), 13787848793156543929), 27), 10723151780598845931),
    31
);
"""


class Engine:
    """Tables as Parquet files, made by SQL.

    Each table is one file and a view on it, so that dropping one frees its room at once, nothing
    is kept twice, and only what a query itself needs is in memory.

    Args:
        connection: DuckDB with its limits.
        folder: for the files.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.connection = connection
        self.folder = folder
        self._files: dict[str, list[Path]] = {}
        self._number = 0

    def create(self, name: str, query: str) -> int:
        """Makes a table, or replaces one; the query may read the former.

        Returns:
            The number of rows.
        """
        path = self.new_file(name)
        rows = self.connection.execute(f"COPY ({query}) TO {quoted(path)} (FORMAT parquet)")
        count = rows.fetchall()[0][0]
        self.attach(name, [path])
        return count

    def new_file(self, name: str) -> Path:
        """A path in the folder that no table has yet."""
        self._number += 1
        return self.folder / f"{name}-{self._number}.parquet"

    def attach(self, name: str, paths: Sequence[Path]) -> None:
        """Makes Parquet files a table; those of a former table of that name are deleted."""
        files = ", ".join(quoted(path, pattern=True) for path in paths)
        self.connection.execute(
            f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet([{files}])"
        )
        for path in self._files.pop(name, ()):
            path.unlink()
        self._files[name] = list(paths)

    def define(self, name: str, query: str) -> None:
        """Gives a query a name, without working it out."""
        self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")

    def rename(self, name: str, new_name: str) -> None:
        """Gives a table another name; a former table of that name is deleted."""
        paths = self._files.pop(name)
        self.attach(new_name, paths)
        self.connection.execute(f"DROP VIEW {name}")

    def drop(self, *names: str) -> None:
        """Deletes tables with their files."""
        for name in names:
            self.connection.execute(f"DROP VIEW {name}")
            for path in self._files.pop(name):
                path.unlink()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query; for results that are known to be small."""
        return self.connection.execute(query).fetchall()

    def row(self, query: str) -> tuple[Any, ...]:
        """The one row of a query."""
        return self.rows(query)[0]

    def value(self, query: str) -> Any:
        """The one value of a query."""
        return self.row(query)[0]

    def batches(self, query: str, rows: int = _BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The result of a query, in batches; no other query may run before its end."""
        relation = self.connection.sql(query)
        # The method's name before DuckDB 1.5.
        read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        yield from read(rows)


@contextmanager
def open_engine(
    folder: Path, *, memory_limit: str = DEFAULT_MEMORY_LIMIT, threads: int | None = None
) -> Iterator[Engine]:
    """Opens an engine whose files are all in `folder`.

    Args:
        folder: made here; the caller deletes it.
        memory_limit: such as "3GB"; queries that need more go to the disk.
        threads: of DuckDB; by default all of the machine.

    Raises:
        QBert4RecError: a limit that cannot be read, or, in the block, a full disk or too little
            memory.
        KeyboardInterrupt: in the block, at once, also while a query runs.
    """
    if not _MEMORY.fullmatch(memory_limit.strip()):
        raise QBert4RecError(f"memory_limit must be a size such as 3GB, got {memory_limit!r}")
    if threads is not None and threads < 1:
        raise QBert4RecError(f"threads must be 1 or more, got {threads}")
    config: dict[str, Any] = {
        "memory_limit": memory_limit.strip(),
        "temp_directory": str(make_folder(folder / "temporary")),
        # Every result whose order matters is ordered by its query.
        "preserve_insertion_order": False,
    }
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(":memory:", config=config)
    try:
        # Its own bar knows nothing of the other steps.
        connection.execute("SET enable_progress_bar = false")
        connection.execute(_MACROS)
        with _clear_errors(folder, memory_limit), interruptible(connection):
            yield Engine(connection, folder)
    finally:
        connection.close()


@contextmanager
def _clear_errors(folder: Path, memory_limit: str) -> Iterator[None]:
    """Full disks and too little memory in one line, whoever meets them."""
    try:
        yield
    except (duckdb.Error, OSError, QBert4RecError) as error:
        # A reader may have said it in its own words already.
        cause = error.__cause__ if isinstance(error, QBert4RecError) else error
        if is_full_disk(cause):
            raise QBert4RecError(
                f"the disk of {folder.parent.parent} is full; free some space, or choose an output "
                "folder on another disk (nothing was left behind)"
            ) from error
        if isinstance(cause, duckdb.OutOfMemoryException):
            raise QBert4RecError(
                f"{memory_limit} of memory are too little for this log; allow more with "
                "--memory-limit, or take fewer --threads"
            ) from error
        raise


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error, of Python or of DuckDB, says that a disk has no room."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    text = str(error).lower()
    return isinstance(error, duckdb.Error) and any(words in text for words in _FULL_DISK)

"""An engine, and what the readers left in the staging folder."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from qbert4rec_hf.data.readers.read import ReadOptions, ReadReport, read_metadata, read_reviews


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


@pytest.fixture
def reviews(tmp_path, connection) -> Callable[..., tuple[ReadReport, list[dict[str, Any]]]]:
    """Reads review files; returns the report and the rows in the order of files and lines."""

    def read(*paths: Path, **options: Any) -> tuple[ReadReport, list[dict[str, Any]]]:
        staging = tmp_path / "staging"
        report = read_reviews(paths, staging, connection, ReadOptions(**options))
        return report, _rows(connection, staging / "reviews")

    return read


@pytest.fixture
def metadata(tmp_path, connection) -> Callable[..., tuple[ReadReport, dict[str, dict[str, Any]]]]:
    """Reads metadata files; returns the report and the items by id."""

    def read(*paths: Path, **options: Any) -> tuple[ReadReport, dict[str, dict[str, Any]]]:
        staging = tmp_path / "staging"
        report = read_metadata(paths, staging, connection, ReadOptions(**options))
        return report, {row["item_id"]: row for row in _rows(connection, staging / "metadata")}

    return read


def _rows(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[dict[str, Any]]:
    assert not [path for path in folder.iterdir() if path.suffix != ".parquet"]
    query = f"SELECT * FROM read_parquet('{folder}/*.parquet') ORDER BY file, line"
    return connection.sql(query).to_arrow_table().to_pylist()


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """Writes a file: bytes, text, or objects as JSON lines; compressed as asked."""

    def write(name: str, content: Any, *, compression: str | None = None) -> Path:
        if isinstance(content, list):
            content = "".join(
                (line if isinstance(line, str) else json.dumps(line)) + "\n" for line in content
            )
        data = content.encode() if isinstance(content, str) else content
        if compression == "gzip":
            data = gzip.compress(data)
        elif compression == "zstd":
            data = zstd(data)
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


@pytest.fixture(name="zstd")
def zstd_fixture() -> Callable[[bytes], bytes]:
    return zstd

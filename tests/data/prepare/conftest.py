"""Prepares small logs that are given as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.prepare.pipeline import prepare_domain
from qbert4rec_hf.data.prepare.report import Preparation
from qbert4rec_hf.data.prepare.settings import PrepareSettings
from qbert4rec_hf.data.readers.options import ReadOptions

COLUMNS = ["user_id", "item_id", "timestamp", "rating"]
# Small stamps stay what they are.
MILLISECONDS = ReadOptions(time_unit="ms")


def prepare_rows(
    rows: Sequence[tuple],
    folder: Path,
    items: Sequence[dict] | None = None,
    *,
    images: Path | None = None,
    core: int = 0,
    memory_limit: str = "1GB",
    **settings,
) -> Preparation:
    """Prepares rows of user, item and, if they have more, time stamp and rating."""
    files = folder.parent / f"{folder.name}-files"
    files.mkdir(exist_ok=True)
    width = len(rows[0])
    pd.DataFrame(list(rows), columns=COLUMNS[:width]).to_parquet(files / "log.parquet")
    metadata = []
    if items is not None:
        pd.DataFrame(list(items)).to_json(files / "items.jsonl", orient="records", lines=True)
        metadata = [files / "items.jsonl"]
    settings = {"user_core": core, "item_core": core, **settings}
    return prepare_domain(
        [files / "log.parquet"],
        folder,
        metadata=metadata,
        images=images,
        settings=PrepareSettings(**settings),
        reading=MILLISECONDS,
        memory_limit=memory_limit,
        threads=1,
    )


@pytest.fixture
def prepare(tmp_path) -> Callable[..., Preparation]:
    """`prepare_rows` into a folder of the test."""

    def prepare(rows: Sequence[tuple], items: Sequence[dict] | None = None, **options):
        name = options.pop("folder", "shop")
        return prepare_rows(rows, tmp_path / name, items, **options)

    return prepare


def file_order(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """User -> (item, time stamp) in the order of the interactions file; users must not recur."""
    table = pq.ParquetFile(folder / "interactions.parquet").read().to_pandas()
    users = table["user_id"].ne(table["user_id"].shift()).sum()
    assert users == table["user_id"].nunique()
    return {
        user: list(zip(part["item_id"], part["timestamp"], strict=True))
        for user, part in table.groupby("user_id", sort=False)
    }


@pytest.fixture(name="file_order", scope="session")
def file_order_fixture():
    return file_order


@pytest.fixture(name="prepare_rows", scope="session")
def prepare_rows_fixture():
    return prepare_rows


def histories(folder: Path) -> dict[str, list[str]]:
    """User -> items, as `Domain.load` orders them."""
    domain = Domain.load(folder)
    users, sequences = domain.sequences()
    return {
        user: [domain.item_ids[row] for row in history]
        for user, history in zip(users, sequences, strict=True)
    }


@pytest.fixture(name="loaded_histories")
def histories_fixture():
    return histories


@pytest.fixture
def tied_rows() -> list[tuple]:
    """Twenty users with ten of thirty items each, on five days."""
    return [
        (f"user {u}", f"item {(7 * u + 3 * n) % 30}", 86_400_000 * ((u + n) % 5), float(n % 5 + 1))
        for u in range(20)
        for n in range(10)
    ]

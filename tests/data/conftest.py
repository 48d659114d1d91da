"""A tiny shop, as tables and as a folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from qbert4rec_hf.data.domain import Domain


@pytest.fixture
def items() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item_id": ["007", "b", "c", "d"],
            "title": ["Tent", None, "Stove", "Mat"],
            "text": [["roomy", "green"], [], ["hot"], []],
            "images": [["images/007.png", "https://shop.example/007.jpg"], [], [], []],
            "price": [190.0, 20.0, 35.5, 40.0],
        }
    )


@pytest.fixture
def interactions() -> pd.DataFrame:
    rows = [
        ("u2", "d", 30),
        ("u1", "c", 20),
        ("u1", "007", 10),
        ("u2", "b", 40),
        ("u1", "b", 20),
        ("u3", "c", 5),
        ("u1", "d", 30),
        ("u2", "c", 50),
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


@pytest.fixture
def domain(items, interactions) -> Domain:
    return Domain.from_tables(items, interactions, name="camp", source="test")


@pytest.fixture
def folder(domain, tmp_path) -> Path:
    return domain.save(tmp_path / "camp")


def histories(domain: Domain) -> dict[str, list[str]]:
    users, sequences = domain.sequences()
    return {
        user: [domain.item_ids[row] for row in history]
        for user, history in zip(users, sequences, strict=True)
    }


@pytest.fixture(name="histories")
def histories_fixture():
    return histories

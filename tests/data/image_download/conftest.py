"""A server of pictures and a domain folder that lists them."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from picture_server import Server

from qbert4rec_hf.data.domain import Domain

# Makes `downloads` importable.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def server():
    with Server() as running:
        yield running


@pytest.fixture
def make_folder(tmp_path):
    """Makes a domain folder from the images of its items."""

    def make(images: list[list[str]], name: str = "shop") -> Path:
        ids = [f"item {number}" for number in range(len(images))]
        items = pd.DataFrame({"item_id": ids, "title": ids, "text": [[] for _ in ids]})
        items["images"] = images
        items["price"] = [1.5] * len(ids)
        interactions = pd.DataFrame({"user_id": ["u"] * len(ids), "item_id": ids})
        return Domain.from_tables(items, interactions, name=name).save(tmp_path / name)

    return make

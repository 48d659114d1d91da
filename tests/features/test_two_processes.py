"""Several processes encode one domain; all scenarios run in one script, `two_processes.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def results(bert_folder, tmp_path_factory):
    script = Path(__file__).with_name("two_processes.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path_factory.mktemp("work")), str(bert_folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def assert_same_vectors(results, outcomes):
    for outcome in outcomes:
        assert outcome["fingerprint"] == outcomes[0]["fingerprint"]
        assert list(outcome["vectors"]) == ["text", "image"]
        for name, vectors in outcome["vectors"].items():
            np.testing.assert_allclose(vectors, results["one"][name], atol=1e-6)


def test_processes_hear_of_each_other(results):
    assert results["talk"] == [[[0, 10, 20], "from 0"]] * 3


def test_a_process_lets_go_of_the_group_it_leaves(results):
    # Kept until the interpreter goes, it aborts a program now and then that is done.
    assert results["left behind"] == [True, True]


def test_any_number_of_processes_gives_the_same_vectors(results):
    assert_same_vectors(results, results["two"])
    assert_same_vectors(results, results["three"])
    assert_same_vectors(results, results["no cache"])


def test_each_shard_is_encoded_once(results):
    assert [outcome["calls"] for outcome in results["two"]] == [[3, 3, 1], [3, 3]]
    assert [outcome["calls"] for outcome in results["three"]] == [[3, 3], [3, 1], [3]]
    assert results["left"] == ["two"]
    # The second time there is nothing left to do.
    assert [outcome["calls"] for outcome in results["again"]] == [[], []]
    assert_same_vectors(results, results["again"])


def test_another_number_of_processes_goes_on(results):
    assert [outcome["calls"] for outcome in results["resumed by two"]] == [[3, 1], [3]]
    assert_same_vectors(results, results["resumed by two"])
    # Of the round in which the second process failed the first kept its shard.
    assert results["kept"] == 3
    assert results["resumed by one"]["calls"] == [3, 1]
    assert_same_vectors(results, [results["resumed by one"]])


def test_a_failing_process_stops_the_other(results):
    first, second = results["failed"]
    assert second == "ValueError: broken picture"
    assert first.endswith("process 2 of 2 failed: ValueError: broken picture")


def test_a_process_that_dies_does_not_leave_the_other_waiting(results):
    survivor, dead = results["died"]
    assert dead is None
    assert survivor.startswith("error: another of the 2 processes ended too early")
    assert results["seconds to notice"] < 30


def test_different_encoders_are_refused(results):
    for outcome in results["different"]:
        assert "the processes have different encoders" in outcome


def test_fitting_is_done_once(results):
    assert results["fit"][0] == results["fit"][1] is not None
    first, second = results["nothing"]
    assert "no item of bare has words" in first
    assert "process 1 of 2 failed: no item of bare has words" in second

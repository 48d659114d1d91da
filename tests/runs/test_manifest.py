from __future__ import annotations

import json
import logging
import os

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.runs import manifest as manifests
from qbert4rec_hf.runs.manifest import (
    StageManifest,
    finished,
    folder_fingerprint,
    partial_folder,
    require_finished,
    run_stage,
    this_machine,
)


class Work:
    """Writes the next number, and can be told to fail half-way."""

    def __init__(self, fail: bool = False) -> None:
        self.calls = 0
        self.fail = fail
        self.found: list[str] = []

    def __call__(self, folder):
        self.calls += 1
        self.found = sorted(path.name for path in folder.iterdir() if path.name != "stage.json")
        (folder / f"half{self.calls}").write_text("x")
        if self.fail:
            raise KeyboardInterrupt
        (folder / "result").write_text(str(self.calls))
        return {"calls": self.calls}


def run(folder, work, settings=None, inputs=None):
    return run_stage(
        folder,
        work,
        stage="fusion",
        inputs=inputs or {"domain": "a"},
        settings=settings or {"epochs": 1},
    )


def test_a_finished_stage_is_skipped(tmp_path):
    work = Work()
    first = run(tmp_path / "fusion", work)
    second = run(tmp_path / "fusion", work)
    assert work.calls == 1
    assert first == second == StageManifest.load(tmp_path / "fusion")
    assert first.summary == {"calls": 1} and first.seconds > 0
    assert first.versions["torch"]
    assert first.machine == this_machine() and f"{os.cpu_count()} CPU cores" in first.machine


def test_the_machine_names_its_gpu_where_pytorch_sees_one(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert this_machine().endswith(" CPU cores, Some GPU")


@pytest.mark.parametrize(
    ("settings", "inputs", "named"),
    [({"epochs": 2}, None, "epochs"), (None, {"domain": "b"}, "domain")],
)
def test_an_outdated_stage_is_done_again_and_says_why(tmp_path, caplog, settings, inputs, named):
    logging.getLogger("qbert4rec_hf").addHandler(caplog.handler)
    work = Work()
    run(tmp_path / "fusion", work)
    run(tmp_path / "fusion", work, settings, inputs)
    logging.getLogger("qbert4rec_hf").removeHandler(caplog.handler)
    assert work.calls == 2 and work.found == []
    assert (tmp_path / "fusion" / "result").read_text() == "2"
    assert f"{named} changed" in caplog.text


def test_an_interrupted_stage_goes_on_from_what_it_left(tmp_path):
    work = Work(fail=True)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "fusion", work)
    assert not (tmp_path / "fusion").exists() and not finished(tmp_path / "fusion")
    work.fail = False
    manifest = run(tmp_path / "fusion", work)
    assert work.found == ["half1"] and manifest.attempts == 2
    assert finished(tmp_path / "fusion") and not partial_folder(tmp_path / "fusion").exists()


def test_what_an_interrupted_stage_left_is_dropped_under_other_settings(tmp_path):
    work = Work(fail=True)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "fusion", work)
    work.fail = False
    run(tmp_path / "fusion", work, {"epochs": 5})
    assert work.found == []


def test_a_finished_stage_outlives_a_failed_successor(tmp_path):
    run(tmp_path / "fusion", Work())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "fusion", Work(fail=True), {"epochs": 2})
    assert (tmp_path / "fusion" / "result").read_text() == "1"
    assert finished(tmp_path / "fusion")


def test_a_stage_that_died_just_before_its_last_rename_is_not_repeated(tmp_path, monkeypatch):
    work = Work()

    def die(folder, partial):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(manifests, "_replace", die)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "fusion", work)
    run(tmp_path / "fusion", work)
    assert work.calls == 1 and (tmp_path / "fusion" / "result").read_text() == "1"


def test_files_of_others_are_not_overwritten(tmp_path):
    (tmp_path / "fusion").mkdir()
    (tmp_path / "fusion" / "thesis.txt").write_text("x")
    with pytest.raises(QBert4RecError, match="not of this run"):
        run(tmp_path / "fusion", Work())
    assert (tmp_path / "fusion" / "thesis.txt").read_text() == "x"


def test_a_file_in_the_place_of_a_stage_is_named(tmp_path):
    (tmp_path / "fusion").write_text("x")
    with pytest.raises(QBert4RecError, match="fusion is a file"):
        run(tmp_path / "fusion", Work())


def test_a_needed_stage_names_the_command(tmp_path):
    with pytest.raises(QBert4RecError, match="qbert4rec fuse --output-dir"):
        require_finished(tmp_path / "fusion", "fusion", "fuse")
    run(tmp_path / "fusion", Work())
    assert require_finished(tmp_path / "fusion", "fusion", "fuse").stage == "fusion"


@pytest.mark.parametrize("text", ["{", '{"stage": "fusion"}'])
def test_a_broken_manifest_is_named(tmp_path, text):
    (tmp_path / "fusion").mkdir()
    (tmp_path / "fusion" / "stage.json").write_text(text)
    with pytest.raises(QBert4RecError, match="stage.json"):
        finished(tmp_path / "fusion")


def test_the_manifest_is_plain_json(tmp_path):
    run(tmp_path / "fusion", Work())
    value = json.loads((tmp_path / "fusion" / "stage.json").read_text())
    assert value["status"] == "finished" and value["settings"] == {"epochs": 1}


def test_a_folder_fingerprint_follows_the_content(tmp_path):
    (tmp_path / "domain.json").write_text("1")
    before = folder_fingerprint(tmp_path)
    (tmp_path / ".hidden").write_text("x")
    assert folder_fingerprint(tmp_path) == before
    (tmp_path / "domain.json").write_text("2")
    assert folder_fingerprint(tmp_path) != before
    with pytest.raises(QBert4RecError, match="not a folder"):
        folder_fingerprint(tmp_path / "absent")

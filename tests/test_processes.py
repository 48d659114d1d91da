"""A single process; several are tried in features/test_two_processes.py."""

from __future__ import annotations

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.processes import Processes, processes


def test_an_ordinary_program_is_alone(monkeypatch):
    team = processes()
    assert team == Processes() and team.first
    assert team.together(lambda: 3) == [3] and team.first_does(lambda: 4) == 4
    # A job scheduler that speaks of several processes has not launched them together.
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert processes().count == 1


def test_errors_stay_what_they_are():
    def fail():
        raise KeyError("x")

    for method in (Processes().together, Processes().first_does):
        with pytest.raises(KeyError):
            method(fail)


def test_the_failure_of_another_process_is_named(monkeypatch):
    team = Processes(index=0, count=2)
    outcomes = [(None, 1), ("the disk is full", None)]
    monkeypatch.setattr(Processes, "_exchange", lambda self, value: outcomes)
    with pytest.raises(QBert4RecError, match="process 2 of 2 failed: the disk is full"):
        team.together(lambda: 1)

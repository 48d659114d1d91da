"""Stages under several processes, as `torch.distributed.run` starts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import QBert4RecError
from ..processes import Processes, processes
from .manifest import StageManifest, run_stage

Work = Callable[[Path], dict[str, Any] | None]


def run_shared_stage(folder: Path, work: Work, **about: Any) -> StageManifest:
    """`run_stage` for a stage whose work all processes of a launch do together.

    The first process decides whether there is anything to do, keeps the manifest and puts the
    folder into its place; the others take part in the work and wait for that.

    Args:
        folder: the stage folder; all processes must see it.
        work: as for `run_stage`. It shares its work through `processes`, and lets the first
            process write.
        **about: stage, inputs and settings, as for `run_stage`.

    Returns:
        The manifest of the finished folder.

    Raises:
        QBert4RecError: from the work, also in another process.
    """
    team = processes()
    if team.count == 1:
        return run_stage(folder, work, **about)
    if team.first:
        return _lead(team, folder, work, about)
    partial = team.first_does(lambda: None)
    if partial is not None:
        work(partial)
    team.first_does(lambda: None)
    return StageManifest.load(folder)


def require_one_process(stage: str, verb: str) -> None:
    """Refuses several processes for a stage that cannot share its work.

    Raises:
        QBert4RecError: there are several.
    """
    count = processes().count
    if count > 1:
        raise QBert4RecError(
            f"the {stage} stage works in one process, not in {count}; run `qbert4rec {verb}` "
            "without torch.distributed.run (`qbert4rec features` alone shares its work)"
        )


def _lead(team: Processes, folder: Path, work: Work, about: dict[str, Any]) -> StageManifest:
    """The part of the first process."""
    # The others wait twice: to hear where to work, and to hear that the folder is in place. In
    # between the work itself keeps the processes together.
    working = waited = False

    def together(partial: Path) -> dict[str, Any] | None:
        nonlocal working, waited
        team.first_does(lambda: partial)
        working = waited = True
        summary = work(partial)
        working = False
        return summary

    try:
        manifest = run_stage(folder, together, **about)
    except Exception as error:
        if working:
            raise
        failure = error

        def fail() -> None:
            raise failure

        team.first_does(fail)
        raise
    if not waited:
        team.first_does(lambda: None)
    team.first_does(lambda: None)
    return manifest

"""A folder of stage folders, each of which reads some of the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import QBert4RecError
from .manifest import (
    StageManifest,
    finished,
    require_finished,
    stage_fingerprint,
)
from .shared_stage import require_one_process, run_shared_stage


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Args:
        name: of the stage and of its folder.
        verb: command that does it.
        needs: stages whose folders it reads.
        settings: what it is asked to do, as plain values.
        work: does it, writing into the folder given.
        shared: whether several processes may do it together (see `run_shared_stage`).
    """

    name: str
    verb: str
    needs: tuple[str, ...]
    settings: Callable[[], dict[str, Any]]
    work: Callable[[Path], dict[str, Any] | None]
    shared: bool = False


class StagedFolder:
    """A folder with one sub-folder a stage.

    Args:
        folder: it need not exist.
        stages: in their order; `set_stages` gives them where they need the folder itself.
    """

    def __init__(self, folder: str | os.PathLike, stages: Iterable[Stage] = ()):
        self.folder = Path(folder)
        self.set_stages(stages)

    def set_stages(self, stages: Iterable[Stage]) -> None:
        """Says which stages there are, in their order."""
        self.stages = {stage.name: stage for stage in stages}

    @property
    def outside_inputs(self) -> dict[str, str]:
        """Fingerprints of what lies outside the folder and every stage depends on."""
        return {}

    def path(self, name: str) -> Path:
        """Folder of a stage."""
        return self.folder / name

    def do(self, name: str) -> StageManifest:
        """Does one stage unless it is finished.

        Raises:
            QBert4RecError: a stage that it reads is not finished, or was made with other settings;
                or several processes for a stage that works in one.
        """
        stage = self.stages[name]
        if not stage.shared:
            require_one_process(name, stage.verb)
        for needed in stage.needs:
            self._require(self.stages[needed])
        return run_shared_stage(
            self.path(name),
            stage.work,
            stage=name,
            inputs=self.inputs(name),
            settings=stage.settings(),
        )

    def inputs(self, name: str) -> dict[str, str]:
        """Fingerprints of what a stage reads."""
        needs = self.stages[name].needs
        return dict(self.outside_inputs) | {needed: self.fingerprint(needed) for needed in needs}

    def fingerprint(self, name: str) -> str:
        """The name of what a stage makes under this configuration."""
        return stage_fingerprint(name, self.inputs(name), self.stages[name].settings())

    def behind(self, name: str) -> set[str]:
        """Names of all stages that a stage rests on, directly or not, under this configuration."""
        needs = self.stages[name].needs
        return set(needs).union(*(self.behind(needed) for needed in needs))

    def seconds(self) -> dict[str, float]:
        """How long each finished stage took."""
        return {
            name: StageManifest.load(self.path(name)).seconds
            for name in self.stages
            if finished(self.path(name))
        }

    def _require(self, stage: Stage) -> None:
        folder = self.path(stage.name)
        manifest = require_finished(folder, stage.name, stage.verb)
        if manifest.fingerprint != self.fingerprint(stage.name):
            raise QBert4RecError(
                f"{folder} was made with other settings or inputs; "
                f"run `qbert4rec {stage.verb} --output-dir {self.folder}` again"
            )

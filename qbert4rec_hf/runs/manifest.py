"""Stage folders: what makes one finished, outdated or interrupted, and working in one."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from transformers.utils import logging

from ..columns import STAGE_FILE as MANIFEST_FILE
from ..errors import QBert4RecError
from ..files import fingerprint, make_folder, read_json, write_json

logger = logging.get_logger(__name__)

PARTIAL_SUFFIX = ".partial"
_VERSIONED = ("qbert4rec_hf", "torch", "transformers", "numpy", "scikit-learn")


@dataclass
class StageManifest:
    """What `stage.json` says of a stage folder.

    Args:
        stage: name of the stage.
        status: "running" or "finished".
        fingerprint: of the inputs and the settings; two folders with the same one hold the same.
        inputs: fingerprint of each input, by name.
        settings: what the stage was asked to do.
        seconds: time worked so far, all attempts together.
        attempts: how often the stage was started.
        versions: of the libraries whose change may change the numbers.
        machine: what the stage ran on, in words.
        summary: a few figures of the result, for the report and the console.
    """

    stage: str
    status: str
    fingerprint: str
    inputs: dict[str, str]
    settings: dict[str, Any]
    seconds: float = 0.0
    attempts: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: str | os.PathLike) -> None:
        write_json(Path(folder) / MANIFEST_FILE, asdict(self))

    @classmethod
    def load(cls, folder: str | os.PathLike) -> StageManifest:
        """Reads a folder's manifest.

        Raises:
            QBert4RecError: there is none, or it is not one.
        """
        path = Path(folder) / MANIFEST_FILE
        value = read_json(path)
        try:
            return cls(**value)
        except TypeError:
            raise QBert4RecError(
                f"{path} is not the manifest of a stage; remove the folder {folder} and run again"
            ) from None


def partial_folder(folder: str | os.PathLike) -> Path:
    """Where a stage works until it is finished; it stays when the work is interrupted."""
    folder = Path(folder)
    return folder.with_name(folder.name + PARTIAL_SUFFIX)


def stage_fingerprint(stage: str, inputs: dict[str, str], settings: dict[str, Any]) -> str:
    """The name of what a stage makes of these inputs with these settings."""
    return fingerprint(stage, inputs, settings)


def finished(folder: str | os.PathLike, expected: str | None = None) -> bool:
    """Whether a stage folder is complete.

    Args:
        folder: the stage folder.
        expected: fingerprint that it must have; None takes any.
    """
    if not (Path(folder) / MANIFEST_FILE).is_file():
        return False
    manifest = StageManifest.load(folder)
    return manifest.status == "finished" and expected in (None, manifest.fingerprint)


def require_finished(folder: str | os.PathLike, stage: str, verb: str) -> StageManifest:
    """The manifest of a stage that a later one needs.

    Raises:
        QBert4RecError: that stage is not finished; names the command that does it.
    """
    if not finished(folder):
        raise QBert4RecError(
            f"{folder} does not hold a finished {stage} stage; "
            f"run `qbert4rec {verb} --output-dir {Path(folder).parent}` first"
        )
    return StageManifest.load(folder)


def run_stage(
    folder: str | os.PathLike,
    work: Callable[[Path], dict[str, Any] | None],
    *,
    stage: str,
    inputs: dict[str, str],
    settings: dict[str, Any],
) -> StageManifest:
    """Does a stage unless its folder already holds the result.

    The work is done in `<folder>.partial`, which takes the place of `folder` when it is finished.
    So a folder is never half-written, and an outdated one stays until its successor is complete.

    Args:
        folder: the stage folder.
        work: called with the folder to write to. When an earlier attempt with the same inputs and
            settings was interrupted, that folder holds what it left, for the work to go on from.
            Returns the summary for the manifest.
        stage: name of the stage.
        inputs: fingerprint of each input, by name.
        settings: anything that changes the result.

    Returns:
        The manifest of the finished folder.

    Raises:
        QBert4RecError: `folder` holds files that no stage wrote.
    """
    folder = Path(folder)
    make_folder(folder.parent)
    expected = stage_fingerprint(stage, inputs, settings)
    if folder.exists() and not folder.is_dir():
        raise QBert4RecError(f"{folder} is a file; choose another output folder")
    if folder.exists() and not (folder / MANIFEST_FILE).is_file() and any(folder.iterdir()):
        raise QBert4RecError(
            f"{folder} holds files that are not of this run; choose another output folder"
        )
    if finished(folder, expected):
        logger.info("%s: finished before, kept (%s)", stage, folder)
        return StageManifest.load(folder)
    if finished(folder):
        logger.warning("%s: %s, done again", stage, _what_changed(folder, inputs, settings))

    partial = partial_folder(folder)
    manifest = _interrupted(partial, expected)
    if manifest is not None and manifest.status == "finished":
        # Ended between its last write and taking its place.
        _replace(folder, partial)
        return manifest
    if manifest is None:
        if partial.exists():
            shutil.rmtree(partial)
        make_folder(partial)
        manifest = StageManifest(stage, "running", expected, inputs, settings)
    else:
        logger.warning("%s: was interrupted, goes on from %s", stage, partial)
    manifest.attempts += 1
    manifest.versions = installed_versions()
    manifest.machine = this_machine()
    manifest.save(partial)

    logger.info("%s: started", stage)
    start = time.perf_counter()
    try:
        manifest.summary = work(partial) or {}
        manifest.status = "finished"
    finally:
        manifest.seconds += time.perf_counter() - start
        manifest.save(partial)
    _replace(folder, partial)
    logger.info("%s: done in %.0f s (%s)", stage, manifest.seconds, folder)
    return manifest


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a result depends on."""
    versions = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def this_machine() -> str:
    """Processor and GPU in words, for the card of what is trained here."""
    words = f"{platform.machine()}, {os.cpu_count()} CPU cores"
    # A stage that never imported PyTorch did not use its GPU either.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        words += f", {torch.cuda.get_device_name()}"
    return words


def folder_fingerprint(folder: str | os.PathLike) -> str:
    """The name of a folder's content.

    Tables, tensors and JSON count by their bytes, other files (pictures) by name and size: reading
    every picture would take longer than what the result decides.

    Raises:
        QBert4RecError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise QBert4RecError(f"{folder} is not a folder; check the name")
    parts: list[Any] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        parts.append([name, path.stat().st_size])
        if path.suffix in (".parquet", ".safetensors", ".json"):
            parts.append(path.read_bytes())
    return fingerprint(*parts)


def _interrupted(partial: Path, expected: str) -> StageManifest | None:
    if not (partial / MANIFEST_FILE).is_file():
        return None
    manifest = StageManifest.load(partial)
    return manifest if manifest.fingerprint == expected else None


def _what_changed(folder: Path, inputs: dict[str, str], settings: dict[str, Any]) -> str:
    old = StageManifest.load(folder)
    changed = [name for name in inputs if old.inputs.get(name) != inputs[name]]
    changed += _changed_keys(old.settings, settings)
    return f"{', '.join(changed[:5]) or 'the stage itself'} changed since {folder} was made"


def _changed_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    changed = []
    for key in {**old, **new}:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changed += _changed_keys(before, after, f"{prefix}{key}.")
        elif before != after:
            changed.append(prefix + key)
    return changed


def _replace(folder: Path, partial: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)

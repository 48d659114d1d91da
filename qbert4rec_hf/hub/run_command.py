"""The command line that does a run again, and its settings as others may see them."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..runs.config import RunConfig

# What has an option of its own.
_PLACES = ("domain", "pretrain_domains", "from_model")


def command_of(config: RunConfig, *, output_dir: str = "run") -> str:
    """The command line that does a run with this configuration.

    Every value that is neither a default nor its preset's is written out, so the command needs no
    file beside it. Of paths outside the working folder only the last part is shown.

    Args:
        config: of the run.
        output_dir: the run folder.
    """
    lines = [f"qbert4rec run --domain {shlex.quote(shown(config.domain or 'DOMAIN'))}"]
    lines += [f"--pretrain-domain {shlex.quote(shown(path))}" for path in config.pretrain_domains]
    if config.from_model is not None:
        lines.append(f"--from {shlex.quote(str(public(config.from_model)))}")
    lines += [f"--output-dir {shlex.quote(output_dir)}", f"--seed {config.seed}"]
    plain = RunConfig.from_dict({"seed": config.seed})
    presets = {name: {"preset": getattr(config, name).preset} for name in ("pretrain", "finetune")}
    ordinary = flat_settings(RunConfig.from_dict({"seed": config.seed, **presets}))
    ordinary |= {k: v for k, v in flat_settings(plain).items() if k.endswith(".preset")}
    for key, value in flat_settings(config).items():
        if value != ordinary[key]:
            lines.append("--set " + shlex.quote(f"{key}={json.dumps(public(value))}"))
    return " \\\n    ".join(lines)


def flat_settings(config: RunConfig) -> dict[str, Any]:
    """All settings by dotted name, but for domains and model that the run starts from."""
    found: dict[str, Any] = {}

    def visit(section: Any, prefix: str) -> None:
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            if dataclasses.is_dataclass(value):
                visit(value, f"{prefix}{field.name}.")
            elif prefix + field.name not in _PLACES:
                found[prefix + field.name] = value

    visit(config, "")
    return found


def public(value: Any) -> Any:
    """A setting without the folders of the machine that it was used on."""
    if isinstance(value, str) and os.path.isabs(value):
        return shown(value)
    if isinstance(value, Mapping):
        return {key: public(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [public(item) for item in value]
    return value


def shown(path: str | os.PathLike) -> str:
    """A path below the working folder relative to it; of any other the last part."""
    absolute, here = Path(os.path.abspath(path)), Path.cwd()
    if absolute.is_relative_to(here) and absolute != here:
        return absolute.relative_to(here).as_posix()
    return absolute.name

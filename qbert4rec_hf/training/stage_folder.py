"""The folder that a Trainer of stage 1 or 2 works in: checkpoints while it runs, model after."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from transformers import Trainer
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from ..errors import QBert4RecError
from ..files import make_folder, read_json, write_json

logger = logging.get_logger(__name__)

CHECKPOINTS_FOLDER = "checkpoints"
HISTORY_FILE = "history.json"
SUMMARY_FILE = "summary.json"
_INPUTS_FILE = "inputs.json"


def open_checkpoints(
    output_dir: str | os.PathLike, inputs: dict[str, Any]
) -> tuple[Path, str | None]:
    """Finds out where an interrupted training goes on.

    Args:
        output_dir: folder of the stage.
        inputs: what the result depends on, as plain values. Checkpoints of other inputs are
            thrown away, with a warning: going on from them would mix two trainings.

    Returns:
        The folder of checkpoints, and the last one in it or None.

    Raises:
        QBert4RecError: the folder cannot be written.
    """
    folder = make_folder(output_dir) / CHECKPOINTS_FOLDER
    if folder.exists() and not _same_inputs(folder / _INPUTS_FILE, inputs):
        logger.warning("%s is of other settings or data; training starts anew", folder)
        shutil.rmtree(folder)
    make_folder(folder)
    write_json(folder / _INPUTS_FILE, inputs)
    last = get_last_checkpoint(str(folder))
    if last is not None:
        logger.warning("resuming from %s", last)
    return folder, last


def _same_inputs(path: Path, inputs: dict[str, Any]) -> bool:
    try:
        return read_json(path) == inputs
    except QBert4RecError:
        # Stopped before the file was written, or cut off while it was: not worth keeping.
        return False


def close_stage(trainer: Trainer, output_dir: str | os.PathLike, summary: dict[str, Any]) -> None:
    """Writes model, curves and summary, and removes the checkpoints.

    Args:
        trainer: after training.
        output_dir: folder of the stage.
        summary: figures of the model that is kept.
    """
    if trainer.is_world_process_zero():
        write_json(Path(output_dir) / HISTORY_FILE, trainer.state.log_history)
        write_json(Path(output_dir) / SUMMARY_FILE, summary)
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(output_dir)
        # The model is in its place: a Trainer's checkpoints hold a pickle, which nobody shares.
        shutil.rmtree(Path(output_dir) / CHECKPOINTS_FOLDER)
    trainer.accelerator.wait_for_everyone()

"""What the Trainers of stages 1 and 2 are told alike."""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainingArguments
from transformers.utils import logging

from .stage_settings import FusionSettings, QuantizerSettings

logger = logging.get_logger(__name__)


def stage_arguments(
    settings: FusionSettings | QuantizerSettings, folder: str, **further: Any
) -> TrainingArguments:
    """Arguments of a Trainer that works on row numbers and measures by itself.

    Args:
        settings: schedule and seed.
        folder: of the checkpoints.
        further: what the stage wants beside that: when to evaluate, which checkpoints to keep.
    """
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        lr_scheduler_type="cosine",
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        remove_unused_columns=False,
        # Pinned memory speeds up the way to a GPU; without one PyTorch warns of it.
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to="none",
        disable_tqdm=not logger.isEnabledFor(logging.WARNING),
        **further,
    )

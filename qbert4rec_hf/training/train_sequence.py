"""Stage 3: pre-training over several domains and fine-tuning on one, by the same function."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    EarlyStoppingCallback,
    PreTrainedTokenizerBase,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

from ..errors import QBert4RecError
from ..files import fingerprint, make_folder, write_json
from ..sequence.configuration_qbert4rec import QBert4RecConfig
from ..sequence.data_collator import DataCollatorForMultiMask
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from .sequence_rows import DomainHistories, HistoryRows, RankingCollator, RankingRows
from .sequence_settings import SequenceSettings
from .sequence_trainer import METRIC_OF_PROTOCOL, EvaluateAtEnd, SequenceTrainer
from .stage_folder import CHECKPOINTS_FOLDER, HISTORY_FILE, open_checkpoints

logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class SequenceTraining:
    """What a training run of the sequence model gives.

    Attributes:
        model: the model of the best validation NDCG@10, in evaluation mode, on the device it was
            trained on.
        history: the Trainer's log, one entry a logged step or evaluation.
        best: validation NDCG@10 of that model, under `settings.select_by`.
        seconds: training time, evaluations included.
        num_processes: how many processes shared the work.
    """

    model: QBert4RecForMaskedLM
    history: list[dict]
    best: float | None
    seconds: float
    num_processes: int


def train_sequence(
    model: QBert4RecForMaskedLM,
    domains: Sequence[DomainHistories],
    settings: SequenceSettings,
    output_dir: str | os.PathLike,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> SequenceTraining:
    """Trains the sequence model and saves the best checkpoint into `output_dir`.

    An interrupted training goes on from its last checkpoint when it is called again with the same
    model, histories and settings, and ends where it would have ended. Under
    `python -m torch.distributed.run` all processes share the work.

    Args:
        model: with its catalogue set (`set_catalog`); trained in place.
        domains: histories of every domain, numbered as in the model's catalogue.
        settings: masks, schedule, seed and stopping.
        output_dir: gets the model, the tokenizer and `history.json`; while training,
            `checkpoints/` holds what a resumed run starts from.
        tokenizer: saved beside the weights of every checkpoint, so that each loads by itself.

    Returns:
        Model, log and best validation figure.

    Raises:
        QBert4RecError: no history to learn from, a catalogue that does not fit, or a folder that
            cannot be written.

    Source: sections 3.5, 3.6 and 4.1; the checkpoint rule is ours.
    """
    output_dir = make_folder(output_dir)
    checkpoints = output_dir / CHECKPOINTS_FOLDER
    num_items = len(model.catalog_codes)
    if not num_items:
        raise QBert4RecError(
            "the model has no catalogue; call model.set_catalog with the items of these histories"
        )
    arrays = [part for d in domains for part in (d.train.items, d.validation.items, d.targets)]
    highest = max((int(np.max(array, initial=-1)) for array in arrays), default=-1)
    if highest >= num_items:
        raise QBert4RecError(
            f"the histories hold item row {highest}, but the model's catalogue has {num_items} "
            "items; call model.set_catalog with the catalogue of these histories"
        )
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    if settings.dropout is not None:
        model.set_dropout(settings.dropout)
    if settings.item_embeddings and model.config.objective == "catalog":
        model.add_item_embeddings()
    # What was chosen for the weights as they were says nothing of those to come.
    model.config.ranking_temperature = 1.0
    inputs = _inputs(model, domains, settings)
    set_seed(settings.seed)
    train = HistoryRows(domains, prefixes=settings.rows == "prefixes")
    validation = RankingRows(domains)
    tokens = model.catalog_codes.cpu() + torch.tensor(model.config.level_offsets)
    arguments = _arguments(settings, checkpoints, len(train), bool(len(validation)))
    # One process looks for checkpoints of other inputs and clears them away, then the others look.
    with arguments.main_process_first(local=False):
        _, last = open_checkpoints(output_dir, inputs)
    callbacks = [EarlyStoppingCallback(settings.patience), EvaluateAtEnd()]
    trainer = SequenceTrainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validation if len(validation) else None,
        data_collator=DataCollatorForMultiMask(
            tokens,
            ratios=settings.masks,
            weights=settings.mask_weights,
            combination=settings.combination,
            crop_probability=settings.crop_probability,
            max_items=model.config.max_items,
        ),
        ranking_collator=RankingCollator(tokens, model.config.max_items),
        processing_class=tokenizer,
        callbacks=callbacks if len(validation) else None,
    )
    result = trainer.train(resume_from_checkpoint=last)
    model.eval()
    # All processes read the best checkpoint; only then may it go.
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        model.save_pretrained(output_dir)
        if tokenizer is not None:
            tokenizer.save_pretrained(output_dir)
        write_json(output_dir / HISTORY_FILE, trainer.state.log_history)
        # The model is in its place: a Trainer's checkpoints hold a pickle, which nobody shares.
        shutil.rmtree(checkpoints, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    return SequenceTraining(
        model=model,
        history=trainer.state.log_history,
        best=trainer.state.best_metric,
        seconds=result.metrics["train_runtime"],
        num_processes=trainer.accelerator.num_processes,
    )


def _inputs(
    model: QBert4RecForMaskedLM, domains: Sequence[DomainHistories], settings: SequenceSettings
) -> dict[str, Any]:
    """What the result depends on, as plain values, to tell whose checkpoints a folder holds."""
    arrays = [
        array
        for d in domains
        for rows in (d.train, d.validation)
        for array in (rows.items, rows.offsets)
    ]
    arrays += [np.asarray(d.targets) for d in domains]
    weights = [value.detach().float().cpu().numpy() for value in model.parameters()]
    config = {name: getattr(model.config, name) for name in QBert4RecConfig.__annotations__}
    return {
        "settings": asdict(settings),
        "config": config,
        "histories": fingerprint([d.domain for d in domains], *arrays),
        "weights": fingerprint(*weights),
        "processes": _num_processes(),
    }


def _num_processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _arguments(
    settings: SequenceSettings, checkpoints: Path, num_rows: int, evaluates: bool
) -> TrainingArguments:
    batch = settings.batch_size * _num_processes() * settings.gradient_accumulation
    steps_per_epoch = -(-num_rows // batch)
    interval = steps_per_epoch * settings.evaluate_every
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(64, settings.batch_size),
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        lr_scheduler_type=settings.schedule,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=interval,
        eval_delay=int(settings.evaluate_from * settings.epochs * steps_per_epoch),
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=2,
        load_best_model_at_end=evaluates,
        metric_for_best_model=METRIC_OF_PROTOCOL[settings.select_by],
        greater_is_better=True,
        logging_steps=steps_per_epoch,
        # An interrupted run has waited for a better figure as long as a straight one.
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        # Without it and without an accelerator, several processes would each train by themselves.
        use_cpu=not torch.accelerator.is_available(),
        # The catalogue is the same everywhere; sending it at each step would also make the model
        # take it for a new one.
        ddp_broadcast_buffers=False,
        bf16=settings.bf16,
        seed=settings.seed,
        report_to="none",
        dataloader_drop_last=False,
        disable_tqdm=not logger.isEnabledFor(logging.WARNING),
    )

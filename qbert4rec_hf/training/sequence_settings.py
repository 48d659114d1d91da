"""How stage 3 is trained: one dataclass and the presets that recipes start from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from transformers import SchedulerType

from ..errors import QBert4RecError
from ..ranking.ranks import PROTOCOLS
from ..sequence.data_collator import FINETUNING_MASKS, PRETRAINING_MASKS, check_masks


@dataclass
class SequenceSettings:
    """Settings of one training run of the sequence model, pre-training and fine-tuning alike.

    Args:
        epochs: passes over the training rows.
        rows: what a row is: a user's training history, or every prefix of it, so that each item of
            it is once the next one to come (with mask "last").
        batch_size: histories a step and device.
        gradient_accumulation: steps whose gradients are added before an update.
        learning_rate: highest learning rate, reached after the warm-up.
        warmup: share of the updates during which the learning rate rises.
        schedule: what the learning rate does afterwards, a name that transformers knows.
        weight_decay: of AdamW.
        max_grad_norm: gradients are scaled down to this norm.
        masks: share of items that each mask hides, by name.
        mask_weights: how often a history draws each mask; equally often without it.
        combination: how several masks share a history, see `DataCollatorForMultiMask`.
        crop_probability: share of rows cut to a random prefix.
        dropout: on hidden states and attention in this training, instead of the model's own.
        patience: evaluations without a better validation NDCG@10 after which training stops.
        evaluate_every: epochs between two evaluations.
        evaluate_from: share of the epochs before the first evaluation; the best checkpoint never
            lies there, and ranking every user for it is wasted time.
        select_by: protocol of the validation NDCG@10 that picks the checkpoint: the whole
            catalogue, or without the items of the user's own history.
        item_embeddings: give every item a learned vector of its own beside its codes before this
            training (see `QBert4RecConfig`); no effect under the objective "codes".
        seed: of weights, order, masks and dropout.
        bf16: mixed precision in bfloat16.
        num_threads: CPU threads; PyTorch's choice without it.

    Raises:
        QBert4RecError: a value that no training can run with.
    """

    epochs: int = 30
    rows: Literal["histories", "prefixes"] = "histories"
    batch_size: int = 256
    gradient_accumulation: int = 1
    learning_rate: float = 1.5e-3
    warmup: float = 0.05
    schedule: str = "cosine"
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    masks: dict[str, float] = field(default_factory=lambda: {"last": 0.0, "random": 0.3})
    mask_weights: dict[str, float] | None = None
    combination: Literal["one", "union"] = "one"
    crop_probability: float = 0.5
    dropout: float | None = None
    patience: int = 5
    evaluate_every: int = 1
    evaluate_from: float = 0.4
    select_by: Literal["all_items", "unseen_items"] = "all_items"
    item_embeddings: bool = False
    seed: int = 0
    bf16: bool = False
    num_threads: int | None = None

    def __post_init__(self):
        for name in ("epochs", "batch_size", "gradient_accumulation", "patience", "evaluate_every"):
            if getattr(self, name) < 1:
                raise QBert4RecError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise QBert4RecError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("warmup", "crop_probability", "evaluate_from"):
            if not 0 <= getattr(self, name) <= 1:
                raise QBert4RecError(f"{name} is {getattr(self, name)}; it is a share from 0 to 1")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise QBert4RecError(f"dropout is {self.dropout}; it is a share from 0 to below 1")
        if self.rows not in ("histories", "prefixes"):
            raise QBert4RecError(f"rows is {self.rows!r}; it must be 'histories' or 'prefixes'")
        if self.weight_decay < 0:
            raise QBert4RecError(f"weight_decay is {self.weight_decay}; it must not be negative")
        if self.select_by not in PROTOCOLS:
            raise QBert4RecError(f"select_by is {self.select_by!r}; it must be one of {PROTOCOLS}")
        schedules = [schedule.value for schedule in SchedulerType]
        if self.schedule not in schedules:
            raise QBert4RecError(f"schedule is {self.schedule!r}; it must be one of {schedules}")
        check_masks(self.masks, self.mask_weights, self.combination)


# Presets by name. "recipe" is what validation chose (examples/benchmarks/recipe.py); "histories" is
# as good as it gets with one row a user; "paper" follows section 4.1 where it speaks (masks, batch
# size, learning rate) and BERT's habits where it does not.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "small": {
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_items": 20,
    },
    "paper": {},
}
FINETUNING: dict[str, dict[str, Any]] = {
    "recipe": {
        "epochs": 8,
        "rows": "prefixes",
        "masks": {"last": 0.0},
        "crop_probability": 0.0,
        "learning_rate": 1e-3,
        "dropout": 0.3,
        "item_embeddings": True,
    },
    "histories": {},
    "paper": {
        "learning_rate": 1e-4,
        "masks": dict(FINETUNING_MASKS),
        "crop_probability": 0.0,
        "schedule": "linear",
    },
}
PRETRAINING: dict[str, dict[str, Any]] = {
    "recipe": {"masks": dict(PRETRAINING_MASKS)},
    "paper": {
        "masks": dict(PRETRAINING_MASKS),
        "batch_size": 512,
        "learning_rate": 5e-4,
        "crop_probability": 0.0,
        "schedule": "linear",
    },
}

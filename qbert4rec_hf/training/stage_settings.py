"""How stages 1 and 2 are trained; defaults fit a small machine without an accelerator."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass, field, fields
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig

from ..errors import QBert4RecError
from ..value_types import convert


@dataclass
class FusionSettings:
    """Training of the fusion model.

    Args:
        epochs: passes over the items.
        batch_size: items a step; the others in it are the negatives of InfoNCE.
        learning_rate: highest learning rate of AdamW, reached after the warm-up.
        warmup: share of the steps during which it rises; it falls along a cosine afterwards.
        weight_decay: of AdamW.
        seed: of weights, order and dropout.
        num_threads: CPU threads; PyTorch's choice without it.
        model: fields of `QBert4RecFusionConfig` that are to differ from its defaults. Modalities
            and number of items come from the features.
    """

    epochs: int = 15
    batch_size: int = 256
    learning_rate: float = 5e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    seed: int = 0
    num_threads: int | None = None
    model: dict[str, Any] = field(default_factory=dict)


@dataclass
class QuantizerSettings:
    """Training of the quantizer; residual k-means uses `seed`, `collapse_threshold` and `model`.

    Args:
        epochs: passes over the items, each pass with all views.
        batch_size: embeddings a step. The paper's 1024 is for longer trainings: at equal time,
            four times the steps reconstruct more.
        learning_rate: highest learning rate of AdamW (the paper: 1e-3).
        warmup: share of the steps during which it rises; it falls along a cosine afterwards.
        weight_decay: of AdamW.
        evaluate_every: epochs between two evaluations, each of which is a checkpoint to choose
            from.
        collapse_threshold: a level that uses less than this share of its codewords is warned of.
        seed: of weights, codebooks and order; the same seed, data and number of threads give the
            same codes.
        num_threads: CPU threads; PyTorch's choice without it.
        model: fields of `QBert4RecQuantizerConfig` that are to differ from its defaults. The
            input size comes from the embeddings.
    """

    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    evaluate_every: int = 5
    collapse_threshold: float = 0.25
    seed: int = 0
    num_threads: int | None = None
    model: dict[str, Any] = field(default_factory=dict)


def check_schedule(settings: FusionSettings | QuantizerSettings) -> None:
    """Refuses a schedule that cannot run.

    Raises:
        QBert4RecError: names the setting and what it must be.
    """
    for name in ("epochs", "batch_size", "learning_rate", "evaluate_every"):
        value = getattr(settings, name, 1)
        if value <= 0:
            raise QBert4RecError(f"{name} is {value}; it must be above 0")


def make_config(
    config_class: type[PreTrainedConfig], given: dict[str, Any], **found: Any
) -> PreTrainedConfig:
    """Makes a configuration from what the data say and what the user wants otherwise.

    transformers keeps keywords that it does not know, so a typo would pass unseen; here it does
    not.

    Args:
        config_class: the configuration's class.
        given: the user's fields.
        found: fields that follow from the data, which the user cannot set.

    Raises:
        QBert4RecError: an unknown field (names the nearest), one that comes from the data, a value
            of the wrong type, or one that the configuration refuses.
    """
    own = {item.name for item in fields(config_class)} - {
        item.name for item in fields(PreTrainedConfig)
    }
    hints = inspect.get_annotations(config_class, eval_str=True)
    values = {}
    for name, value in given.items():
        if name in found:
            raise QBert4RecError(f"model.{name} comes from the data; leave it out of the settings")
        if name not in own:
            near = difflib.get_close_matches(name, own, 1)
            raise QBert4RecError(
                f"model.{name} is not a field of {config_class.__name__}; "
                + (f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(own))}")
            )
        # The configuration checks types too, in sentences that need a reader of type hints.
        values[name] = convert(hints[name], value, f"model.{name}")
    try:
        return config_class(**values, **found)
    except (StrictDataclassError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[-1].strip().removeprefix("ValueError: ")
        raise QBert4RecError(f"model: {reason}") from None

"""Ready-made sets of settings for a whole run: `qbert4rec run --preset NAME`."""

from __future__ import annotations

from typing import Any

from ..errors import QBert4RecError

# All presets name the same settings, so that one takes the place of another.
PRESETS: dict[str, dict[str, Any]] = {
    # What a run does by itself, measured by examples/benchmarks/recipe.py.
    "recipe": {
        "fusion.epochs": 15,
        "quantizer.epochs": 30,
        "model.hidden_size": None,
        "model.num_hidden_layers": None,
        "pretrain.enabled": True,
        "pretrain.bf16": False,
        "finetune.epochs": 8,
        "finetune.bf16": False,
    },
    # A first look: no pre-training, and training ends early.
    "quick": {
        "fusion.epochs": 5,
        "quantizer.epochs": 15,
        "model.hidden_size": None,
        "model.num_hidden_layers": None,
        "pretrain.enabled": False,
        "pretrain.bf16": False,
        "finetune.epochs": 3,
        "finetune.bf16": False,
    },
    # For a GPU: eight times the parameters of the encoder, and mixed precision.
    "large": {
        "fusion.epochs": 15,
        "quantizer.epochs": 30,
        "model.hidden_size": 256,
        "model.num_hidden_layers": 4,
        "pretrain.enabled": True,
        "pretrain.bf16": True,
        "finetune.epochs": 8,
        "finetune.bf16": True,
    },
}


def preset_assignments(name: str, *, from_model: bool = False) -> list[str]:
    """The settings of a preset as `section.key=value` texts.

    Args:
        name: of the preset.
        from_model: leave out what a run takes over from a model that it starts from.

    Raises:
        QBert4RecError: no such preset.
    """
    if name not in PRESETS:
        raise QBert4RecError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return [
        f"{key}={'null' if value is None else str(value).lower()}"
        for key, value in PRESETS[name].items()
        if not from_model or key.startswith("finetune.")
    ]

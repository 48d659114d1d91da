"""A fresh sequence model for a catalogue, and a trained one moved to another catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import set_seed

from ..errors import QBert4RecError
from ..sequence.configuration_qbert4rec import QBert4RecConfig
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from .sequence_settings import ARCHITECTURES
from .stage_settings import make_config


def build_sequence_model(
    codes: np.ndarray,
    codebook_sizes: Sequence[int],
    num_items: Sequence[int],
    *,
    preset: str = "small",
    architecture: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> QBert4RecForMaskedLM:
    """A model with seeded random weights and its catalogue set.

    Args:
        codes: `[items, levels]`, the semantic ID of every item, domains contiguous.
        codebook_sizes: codes of each level.
        num_items: items of each domain.
        preset: name in `ARCHITECTURES`.
        architecture: fields of `QBert4RecConfig` that differ from the preset.
        seed: of the initial weights.

    Raises:
        QBert4RecError: an unknown preset or config field, or a value that the config refuses.
    """
    if preset not in ARCHITECTURES:
        raise QBert4RecError(f"preset must be one of {sorted(ARCHITECTURES)}, got {preset!r}")
    fields = {**ARCHITECTURES[preset], **(architecture or {})}
    config = make_config(QBert4RecConfig, fields, codebook_sizes=[int(s) for s in codebook_sizes])
    set_seed(seed)
    model = QBert4RecForMaskedLM(config)
    model.set_catalog(torch.from_numpy(np.asarray(codes)), num_items=list(num_items))
    return model

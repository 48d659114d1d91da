"""Stage 3 as folders: pre-training and fine-tuning of the sequence model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.split import Split
from ..semantic_ids.catalogue import ItemCatalog
from ..semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from ..sequence.configuration_qbert4rec import QBert4RecConfig
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from ..training.build_sequence_model import build_sequence_model
from ..training.sequence_rows import DomainHistories
from ..training.sequence_settings import SequenceSettings
from ..training.train_sequence import SequenceTraining, train_sequence

if TYPE_CHECKING:
    from .config import ModelSettings

# What a configuration says of the model and not of its catalogue.
ARCHITECTURE_FIELDS = tuple(
    name
    for name in QBert4RecConfig.__annotations__
    if name not in ("codebook_sizes", "num_items", "catalog_fingerprint", "vocab_size")
)


def domain_histories(splits: Sequence[Split], sizes: Sequence[int]) -> list[DomainHistories]:
    """Histories of several domains, items numbered as in their common catalogue.

    Args:
        splits: one a domain, items numbered within it.
        sizes: items of each domain.
    """
    starts = np.cumsum([0, *sizes])
    return [
        DomainHistories(
            train=split.train.shift(int(start)),
            validation=split.histories("validation").shift(int(start)),
            targets=split.targets("validation") + int(start),
            domain=number,
        )
        for number, (split, start) in enumerate(zip(splits, starts, strict=False))
    ]


def pretrain(
    folder: Path,
    catalog: ItemCatalog,
    splits: Sequence[Split],
    model_settings: ModelSettings,
    settings: SequenceSettings,
) -> dict[str, Any]:
    """Trains a fresh model on the training parts of one or several domains.

    Args:
        folder: gets model, tokenizer and `history.json`.
        catalog: of all these domains.
        splits: one a domain, in the catalogue's order.
        model_settings: architecture.
        settings: masks and schedule.

    Returns:
        Figures for the stage's manifest.
    """
    model = fresh_model(catalog, model_settings, settings.seed)
    return _train(folder, model, catalog, splits, settings)


def finetune(
    folder: Path,
    catalog: ItemCatalog,
    split: Split,
    model_settings: ModelSettings,
    settings: SequenceSettings,
    *,
    pretrained: Path | None,
    pretrained_rows: np.ndarray | None = None,
    like: Path | None = None,
) -> dict[str, Any]:
    """Trains on one domain, from a pre-trained model or from random weights.

    Args:
        folder: gets model, tokenizer and `history.json`.
        catalog: of the domain.
        split: of the domain.
        model_settings: architecture; only used from random weights.
        settings: masks and schedule.
        pretrained: folder of the pre-trained model.
        pretrained_rows: `[items]`, as in `open_pretrained`.
        like: from random weights: folder of a model whose architecture goes before
            `model_settings`.

    Returns:
        Figures for the stage's manifest.
    """
    if pretrained is None:
        model = fresh_model(catalog, model_settings, settings.seed, like=like)
    else:
        model = open_pretrained(pretrained, catalog, pretrained_rows)
    return _train(folder, model, catalog, [split], settings)


def open_pretrained(
    folder: Path, catalog: ItemCatalog, rows: np.ndarray | None
) -> QBert4RecForMaskedLM:
    """A pre-trained model with the catalogue of another domain.

    Args:
        folder: of the pre-trained model.
        catalog: of the domain.
        rows: `[items]`, row of each item in the pre-trained model's catalogue, or -1; what was
            learnt about single items is carried over along it.
    """
    model = QBert4RecForMaskedLM.from_pretrained(folder)
    model.set_catalog(catalog.codes, item_map=rows, num_items=catalog.domain_sizes)
    return model


def fresh_model(
    catalog: ItemCatalog, settings: ModelSettings, seed: int, *, like: Path | None = None
) -> QBert4RecForMaskedLM:
    """A model with random weights for a catalogue, built as the settings or another model say."""
    architecture = settings.architecture()
    if like is not None:
        config = QBert4RecConfig.from_pretrained(like)
        architecture = {name: getattr(config, name) for name in ARCHITECTURE_FIELDS}
    return build_sequence_model(
        catalog.codes,
        catalog.codebook_sizes,
        catalog.domain_sizes,
        preset=settings.preset,
        architecture=architecture,
        seed=seed,
    )


def _train(
    folder: Path,
    model: QBert4RecForMaskedLM,
    catalog: ItemCatalog,
    splits: Sequence[Split],
    settings: SequenceSettings,
) -> dict[str, Any]:
    tokenizer = QBert4RecTokenizer.from_codebook_sizes(catalog.codebook_sizes)
    training = train_sequence(
        model,
        domain_histories(splits, catalog.domain_sizes),
        settings,
        folder,
        tokenizer=tokenizer,
    )
    return _summary(training)


def _summary(training: SequenceTraining) -> dict[str, Any]:
    return {
        "validation NDCG@10": training.best,
        "parameters": training.model.num_parameters(),
        "epochs": max((entry.get("epoch", 0.0) for entry in training.history), default=0.0),
    }

"""The stages of a run that starts from a model: what is taken over, and items on its codebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from transformers.utils import logging

from ..columns import FEATURES_FOLDER
from ..data.domain import Domain
from ..data.split import Split
from ..fusion.modeling_fusion import QBert4RecFusionModel
from ..processes import processes
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from ..semantic_ids.collisions import reallocate
from ..semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from ..training.embed_items import embed_features
from . import content_stages
from .base_encoders import base_encoders, domain_features
from .base_model import BaseModel
from .feature_settings import FeatureSettings

logger = logging.get_logger(__name__)

NOTES = "notes"
TAKEN_OVER = "taken over from"
# Above this share of items that share their codes, the codebooks hardly tell this domain's items
# apart.
_MANY_COLLISIONS = 0.3


def make_features(
    folder: Path,
    base: BaseModel,
    domain: Domain,
    split: Split,
    settings: FeatureSettings,
    *,
    cache: Path,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Encodes a domain with the model's own encoders.

    Args:
        folder: gets `features/` (the encoders, unchanged) and `domains/<name>/` (the vectors).
        base: the model to start from.
        domain: to encode.
        split: of the domain; structure comes from its training part.
        settings: may leave modalities out.
        cache: keeps vectors by shard.
        trust_remote_code: whether encoders whose model brings code of its own may run it.

    Returns:
        How many items have each modality, by domain, and what was left out.
    """
    encoders = base_encoders(base, settings, trust_remote_code=trust_remote_code)
    features, notes = domain_features(
        base, encoders, domain, split, settings, cache=cache / domain.name
    )

    def write() -> None:
        encoders.save(folder / FEATURES_FOLDER)
        content_stages.save_structure(folder, base.structure)
        features.save(folder / content_stages.DOMAINS_FOLDER / domain.name)

    # Several processes share the encoding; the first writes.
    processes().first_does(write)
    return {
        TAKEN_OVER: base.describe(),
        domain.name: {"items": len(features), **features.coverage()},
        NOTES: notes,
    }


def take_fusion(folder: Path, base: BaseModel) -> dict[str, Any]:
    """Stage 1 as it is, without the own queries of other items."""
    base.fusion().save_pretrained(folder)
    return {TAKEN_OVER: base.describe()}


def take_quantizer(folder: Path, base: BaseModel) -> dict[str, Any]:
    """Stage 2 as it is."""
    base.quantizer().save_pretrained(folder)
    return {TAKEN_OVER: base.describe()}


def take_sequence_model(folder: Path, base: BaseModel) -> dict[str, Any]:
    """Stage 3 as it is, in place of pre-training."""
    model = base.sequence_model()
    model.save_pretrained(folder)
    QBert4RecTokenizer.from_codebook_sizes(model.config.codebook_sizes).save_pretrained(folder)
    return {TAKEN_OVER: base.describe()}


def name_items(
    folder: Path, features: Path, fusion: Path, quantizer: Path, base: BaseModel, domain: Domain
) -> dict[str, Any]:
    """Gives a domain's items semantic IDs from the model's fusion and quantizer.

    Items of a domain that the model knows keep their IDs, and only new ones are coded, by the
    shared query and beside the IDs that are taken.

    Args:
        folder: gets the catalogue, and a list of items that may be one product listed twice.
        features: folder of the features stage.
        fusion: folder of stage 1.
        quantizer: folder of stage 2.
        base: the model to start from.
        domain: the domain to recommend in.

    Returns:
        Of the domain: items that kept their ID, items that were coded, and of these how many
        shared their codes before reallocation and were moved.
    """
    quantizer_model = QBert4RecQuantizerModel.from_pretrained(quantizer).eval()
    sizes = list(quantizer_model.codebook_sizes)
    codes = np.zeros((len(domain), len(sizes)), dtype=np.int64)
    rows = base.rows_of(domain)
    known = np.zeros(len(domain), dtype=bool) if rows is None else rows >= 0
    if rows is not None:
        codes[known] = base.catalog.codes[rows[known]]
    new = np.flatnonzero(~known)
    summary = {"kept their ID": int(known.sum()), "newly coded": len(new)}
    if len(new):
        of_domain = content_stages.load_features(features, [domain.name])
        model = QBert4RecFusionModel.from_pretrained(fusion)
        fused, _ = embed_features(model, of_domain.align([domain.item_ids[row] for row in new]))
        found, distances = quantizer_model.encode(fused)
        result = reallocate(found.numpy(), distances.numpy(), sizes, fixed=codes[known])
        codes[new] = result.codes
        summary["colliding items before reallocation"] = int(result.num_collisions_before)
        summary["moved items"] = int(np.sum(result.moved))
        if result.num_collisions_before > _MANY_COLLISIONS * len(new):
            logger.warning(
                f"{result.num_collisions_before} of {len(new)} items share their codes with "
                f"another one before they are told apart: the codebooks of {base.name} hardly fit "
                f"{domain.name}; --set semantic_ids.quantizer=retrain makes new ones"
            )
    figures = {domain.name: summary}
    content_stages.save_catalog(
        folder / content_stages.TARGET_CATALOG, [domain], {domain.name: codes}, sizes
    )
    content_stages.list_duplicates(folder, features, figures)
    return figures

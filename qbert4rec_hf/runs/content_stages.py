"""From items to semantic IDs as folders: features, fusion, quantizer, catalogues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..columns import FEATURES_FOLDER, STRUCTURAL_MODALITY, TITLE
from ..data.codes import join_codes, load_codes
from ..data.domain import Domain
from ..data.split import Split
from ..errors import QBert4RecError
from ..features.store import ItemFeatures
from ..features.structural import propagate, spectral
from ..files import read_json, write_json
from ..fusion.modeling_fusion import QBert4RecFusionModel
from ..processes import processes
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from ..semantic_ids.catalogue import ItemCatalog
from ..semantic_ids.code_distances import CodeDistances, content_vectors
from ..semantic_ids.collisions import ReallocationResult, reallocate
from ..semantic_ids.duplicates import identical_items
from ..training.embed_items import embed_features, fused_views
from ..training.stage_settings import FusionSettings, QuantizerSettings
from ..training.train_fusion import train_fusion
from ..training.train_quantizer import train_quantizer
from .base_model import PROPAGATED, SPECTRAL, STRUCTURE
from .feature_settings import FeatureSettings, make_encoders

DOMAINS_FOLDER = "domains"
PRETRAIN_CATALOG = "pretrain"
TARGET_CATALOG = "target"
DUPLICATES_FILE = "possible_duplicates.json"
STRUCTURE_FILE = "structure.json"


def make_features(
    folder: Path,
    domains: Sequence[Domain],
    fitted_on: Sequence[str],
    splits: Mapping[str, Split],
    settings: FeatureSettings,
    *,
    cache: Path,
    seed: int = 0,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Encodes the items of all domains.

    Args:
        folder: gets `features/` (the encoders, fitted) and `domains/<name>/` (the vectors).
        domains: to encode.
        fitted_on: names of the domains that encoders are fitted to; the others are encoded on the
            same axes.
        splits: by name of the domain; structure comes from training histories only.
        settings: encoders of each modality.
        cache: keeps vectors by shard, so that interrupted encoding goes on where it stopped.
        seed: of encoders that draw numbers.
        trust_remote_code: whether encoders whose model brings code of its own may run it.

    Returns:
        How many items have each modality, by domain.

    Raises:
        QBert4RecError: spectral features of several domains, or no modality at all.
    """
    fitting = [domain for domain in domains if domain.name in fitted_on]
    encoders = make_encoders(settings, fitting, seed=seed)
    for encoder in encoders.values():
        encoder.trust_remote_code |= trust_remote_code
    kind = structure_kind(settings, has_content=bool(len(encoders)))
    if len(domains) > 1 and kind == SPECTRAL:
        raise QBert4RecError(
            "spectral features mean nothing in another domain; train on one domain alone, or on "
            "domains with texts, images or codes"
        )
    # Several processes share the encoding; the first does and writes all else.
    team = processes()
    encoders.fit(fitting)
    team.first_does(partial(encoders.save, folder / FEATURES_FOLDER))
    team.first_does(partial(save_structure, folder, kind))
    coverage = {}
    for domain in domains:
        content = encoders.encode_domain(domain, cache_folder=cache / domain.name)

        def finish(content: ItemFeatures = content, domain: Domain = domain) -> dict[str, int]:
            features = _with_structure(
                content, domain, splits[domain.name], kind, settings.spectral_dim, seed
            )
            features.save(folder / DOMAINS_FOLDER / domain.name)
            return {"items": len(features), **features.coverage()}

        coverage[domain.name] = team.first_does(finish)
    return coverage


def load_features(folder: Path, names: Sequence[str]) -> ItemFeatures:
    """Features of several domains, one after the other."""
    return ItemFeatures.stack([ItemFeatures.load(folder / DOMAINS_FOLDER / name) for name in names])


def fuse(
    folder: Path, features: Path, names: Sequence[str], settings: FusionSettings
) -> dict[str, Any]:
    """Stage 1 on the items of some domains.

    Args:
        folder: gets the fusion model.
        features: folder of the features stage.
        names: the domains.
        settings: of the training.
    """
    stacked = load_features(features, names)
    train_fusion(stacked, settings, folder, catalog_fingerprint=stacked.fingerprint)
    return {"items": len(stacked), "modalities": stacked.dims}


def quantize(
    folder: Path,
    features: Path,
    fusion: Path,
    names: Sequence[str],
    settings: QuantizerSettings,
) -> dict[str, Any]:
    """Stage 2 on both views of the items that fusion was trained on.

    Args:
        folder: gets the quantizer.
        features: folder of the features stage.
        fusion: folder of stage 1.
        names: the domains.
        settings: of the training.
    """
    parts = [ItemFeatures.load(features / DOMAINS_FOLDER / name) for name in names]
    views = fused_views(QBert4RecFusionModel.from_pretrained(fusion), ItemFeatures.stack(parts))
    groups = torch.repeat_interleave(
        torch.arange(len(parts)), torch.tensor([len(part) for part in parts])
    )
    # A fusion model without own queries has one view of the items.
    different = [views.own] if views.own is views.shared else [views.own, views.shared]
    quantizer = train_quantizer(different, settings, folder, groups=groups)
    return {"codebook sizes": list(quantizer.codebook_sizes)}


def name_items(
    folder: Path,
    features: Path,
    fusion: Path,
    quantizer: Path,
    pretrain_domains: Sequence[Domain],
    target: Domain,
) -> dict[str, Any]:
    """Gives the items of all domains their semantic IDs, unique within each domain.

    Items that fusion was trained on are named by their own queries; those of another domain by
    the shared query, as items are that come later.

    Args:
        folder: gets `pretrain/` and `target/`, one catalogue each, and a list of items that may be
            one product listed twice.
        features: folder of the features stage.
        fusion: folder of stage 1.
        quantizer: folder of stage 2.
        pretrain_domains: the domains that stages 1 and 2 were trained on.
        target: the domain to recommend in, which may be one of them.

    Returns:
        By domain: items that shared their codes before reallocation, that were moved, and that
        may be listed twice.
    """
    fusion_model = QBert4RecFusionModel.from_pretrained(fusion)
    quantizer_model = QBert4RecQuantizerModel.from_pretrained(quantizer).eval()
    names = [domain.name for domain in pretrain_domains]
    own = fused_views(fusion_model, load_features(features, names)).own
    parts = dict(zip(names, own.split([len(domain) for domain in pretrain_domains]), strict=True))
    if target.name not in parts:
        parts[target.name], _ = embed_features(fusion_model, load_features(features, [target.name]))
    codes, summary = {}, {}
    for domain in dict.fromkeys([*pretrain_domains, target]):
        found, distances = quantizer_model.encode(parts[domain.name])
        result = reallocate(found.numpy(), distances.numpy(), list(quantizer_model.codebook_sizes))
        codes[domain.name] = result.codes
        summary[domain.name] = {
            "colliding items before reallocation": int(result.num_collisions_before),
            "moved items": int(np.sum(result.moved)),
        }
    _save_catalogs(folder, pretrain_domains, target, codes, list(quantizer_model.codebook_sizes))
    list_duplicates(folder, features, summary)
    return summary


def adopt_codes(
    folder: Path,
    pretrain_domains: Sequence[Domain],
    target: Domain,
    keys: Sequence[str],
    *,
    features: Path | None = None,
) -> dict[str, Any]:
    """Takes codes that were published with the domains as semantic IDs.

    Items that share an ID keep it and the catalogue flags them; with features they are told apart:
    all but one of them move to the nearest free ID (`CodeDistances`, from the items of all domains
    together). Items with an ID of their own never move.

    Args:
        folder: gets `pretrain/` and `target/`, one catalogue each, and with features a list of
            items that may be one product listed twice.
        pretrain_domains: to pre-train on.
        target: to recommend in.
        keys: code files whose levels are put one after the other; all by default.
        features: folder of the features stage, to make IDs unique; they stay as they are without.

    Returns:
        By domain: items that share their ID as it was published, and with features also those
        that were moved and that may be listed twice.

    Raises:
        QBert4RecError: a domain without these codes, or domains whose codebooks differ.
    """
    codes, sizes, summary = {}, None, {}
    for domain in dict.fromkeys([*pretrain_domains, target]):
        available = load_codes(domain.path)
        wanted = list(keys) or list(available)
        missing = [key for key in wanted if key not in available]
        if missing or not wanted:
            raise QBert4RecError(
                f"{domain.path} has no codes {missing[0]!r}; it has {', '.join(available)}"
                if missing and available
                else f"{domain.path} has no codes folder; --set semantic_ids.source=quantizer"
            )
        joined = join_codes([available[key] for key in wanted])
        if sizes not in (None, list(joined.codebook_sizes)):
            raise QBert4RecError(
                f"{domain.path} has codebooks of {joined.codebook_sizes}, another domain of "
                f"{sizes}; codes must mean the same in all domains of a run"
            )
        sizes = list(joined.codebook_sizes)
        codes[domain.name] = joined.codes
        summary[domain.name] = {"items that share their ID": int(joined.collides.sum())}
    if features is not None:
        for name, result in _told_apart(codes, features, sizes).items():
            codes[name] = result.codes
            summary[name]["moved items"] = int(np.sum(result.moved))
    allow_shared = features is None
    _save_catalogs(folder, pretrain_domains, target, codes, sizes, allow_shared=allow_shared)
    if features is not None:
        list_duplicates(folder, features, summary)
    return summary


def _told_apart(
    codes: Mapping[str, np.ndarray], features: Path, sizes: list[int]
) -> dict[str, ReallocationResult]:
    """Makes imported codes unique within each domain."""
    starts = np.cumsum([0, *(len(part) for part in codes.values())])
    vectors = content_vectors(load_features(features, list(codes)))
    distances = CodeDistances(np.concatenate(list(codes.values())), vectors, sizes)
    return {
        name: reallocate(part, lambda rows, start=start: distances(rows + start), sizes)
        for (name, part), start in zip(codes.items(), starts, strict=False)
    }


def list_duplicates(folder: Path, features: Path, summary: dict[str, dict[str, int]]) -> None:
    """Lists items whose content is the same: very likely one product under several ids."""
    duplicates = {}
    for name, figures in summary.items():
        of_domain = ItemFeatures.load(features / DOMAINS_FOLDER / name)
        groups = identical_items(of_domain)
        duplicates[name] = [[of_domain.item_ids[row] for row in group] for group in groups]
        figures["possible duplicates"] = sum(map(len, groups))
    write_json(folder / DUPLICATES_FILE, duplicates)


def load_catalog(folder: Path, *, pretraining: bool = False) -> ItemCatalog:
    """A catalogue of the semantic_ids stage: of the target, or of the pre-training domains."""
    return ItemCatalog.load(folder / (PRETRAIN_CATALOG if pretraining else TARGET_CATALOG))


def _save_catalogs(
    folder: Path,
    pretrain_domains: Sequence[Domain],
    target: Domain,
    codes: Mapping[str, np.ndarray],
    sizes: list[int],
    *,
    allow_shared: bool = False,
) -> None:
    for name, domains in ((PRETRAIN_CATALOG, pretrain_domains), (TARGET_CATALOG, [target])):
        save_catalog(folder / name, domains, codes, sizes, allow_shared=allow_shared)


def save_catalog(
    folder: Path,
    domains: Sequence[Domain],
    codes: Mapping[str, np.ndarray],
    sizes: list[int],
    *,
    allow_shared: bool = False,
) -> None:
    """Writes the catalogue of some domains from their codes `[items, levels]` by name."""
    catalog = ItemCatalog(
        item_ids=[item_id for domain in domains for item_id in domain.item_ids],
        titles=[title for domain in domains for title in domain.items[TITLE]],
        codes=np.concatenate([codes[domain.name] for domain in domains]),
        codebook_sizes=sizes,
        domains=[domain.name for domain in domains],
        domain_sizes=[len(domain) for domain in domains],
        allow_shared=allow_shared,
    )
    catalog.save(folder)


def structure_kind(settings: FeatureSettings, *, has_content: bool) -> str | None:
    """How structural features are made: "propagated", "spectral", or None for none."""
    if settings.structural == "auto":
        return PROPAGATED if has_content else SPECTRAL
    return None if settings.structural == "none" else settings.structural


def save_structure(folder: Path, kind: str | None) -> None:
    """Writes down in the folder of the features stage how structural features were made."""
    write_json(folder / STRUCTURE_FILE, {STRUCTURE: kind})


def load_structure(folder: Path) -> str | None:
    """What `save_structure` wrote; None also for a folder that does not say."""
    path = folder / STRUCTURE_FILE
    return read_json(path)[STRUCTURE] if path.exists() else None


def _with_structure(
    features: ItemFeatures,
    domain: Domain,
    split: Split,
    kind: str | None,
    spectral_dim: int,
    seed: int,
) -> ItemFeatures:
    if kind is None:
        return features
    if kind == SPECTRAL:
        structure = spectral(split.train, len(domain), spectral_dim, seed=seed)
    elif features.modalities:
        structure = propagate(features, split.train)
    else:
        raise QBert4RecError(
            f"{domain.path} has neither texts nor images to propagate; "
            "--set features.structural=spectral"
        )
    return features.with_modality(STRUCTURAL_MODALITY, structure)

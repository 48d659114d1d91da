"""The encoders of the model that a run starts from, applied to another domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.utils import logging

from ..columns import STRUCTURAL_MODALITY
from ..errors import QBert4RecError
from ..features.encoder_set import EncoderSet
from ..features.store import ItemFeatures, ModalityFeatures
from ..features.structural import propagate
from .base_model import PROPAGATED, SPECTRAL, BaseModel
from .feature_settings import AUTO, NONE, FeatureSettings, has_content

if TYPE_CHECKING:
    from ..data.domain import Domain
    from ..data.split import Split
    from ..features.base import FeatureEncoder

logger = logging.get_logger(__name__)

# Where ready embeddings lie; each domain has its own.
_PLACES = {"parquet": ("path",)}


def check_features(base: BaseModel, settings: FeatureSettings) -> None:
    """Refuses settings that ask for other encoders than the model has.

    Raises:
        QBert4RecError: names the encoder asked for and the model's.
    """
    encoders = base.encoders()
    for modality, chosen in settings.encoders.items():
        if chosen.kind in (AUTO, NONE) and not chosen.options:
            continue
        own = encoders.get(modality)
        if own is None:
            raise QBert4RecError(
                f"features.{modality}.kind asks for the encoder {chosen.kind!r}, but {base.name} "
                f"has no {modality} encoder ({_listed(encoders)}); leave features.{modality} out"
            )
        if chosen.kind not in (AUTO, NONE, own.kind):
            raise QBert4RecError(
                f"features.{modality}.kind asks for the encoder {chosen.kind!r}, but {base.name} "
                f"was trained with {own.kind!r}, whose axes are other ones; leave "
                f"features.{modality} out, or train this domain without --from"
            )
        _check_options(base, modality, own, chosen.options)
    structural, own = settings.structural, base.structure
    if structural not in (AUTO, NONE, own):
        raise QBert4RecError(
            f"features.structural asks for {structural!r}, but {base.name} was trained with "
            f"{own or 'no'} structural features; leave features.structural out"
        )
    if structural == SPECTRAL:
        raise QBert4RecError(
            f"spectral features are axes of one domain's graph, so those of {base.name} mean "
            "nothing here; leave features.structural out"
        )


def base_encoders(
    base: BaseModel, settings: FeatureSettings, *, trust_remote_code: bool = False
) -> EncoderSet:
    """The model's encoders with what the settings may change: batch size, place of files.

    Vectors are what they were. Which modalities are left out is up to `domain_features`.
    """
    found = dict(base.encoders(trust_remote_code=trust_remote_code))
    for modality, chosen in settings.encoders.items():
        if modality in found and chosen.options:
            found[modality] = _with_options(found[modality], chosen.options)
    return EncoderSet(found)


def domain_features(
    base: BaseModel,
    encoders: EncoderSet,
    domain: Domain,
    split: Split,
    settings: FeatureSettings,
    *,
    cache: Path,
) -> tuple[ItemFeatures, list[str]]:
    """Encodes a domain on the axes of the model.

    A modality that the domain lacks, or that the settings leave out, is masked for all items; one
    that the model does not know is left out.

    Args:
        base: the model.
        encoders: as `base_encoders` gives them.
        domain: to encode.
        split: of the domain; structure comes from its training part.
        settings: "none" leaves a modality out.
        cache: folder that keeps vectors by shard.

    Returns:
        Features of the model's modalities, and what was left out or masked, in sentences.

    Raises:
        QBert4RecError: no item has anything that the model codes items from.
    """
    chosen, notes = settings.encoders, []
    used = {
        name: encoder
        for name, encoder in encoders.items()
        if (name not in chosen or chosen[name].kind != NONE) and encoder.available(domain.path)
    }
    features = EncoderSet(used).encode_domain(domain, cache_folder=cache)
    for name, encoder in encoders.items():
        if name not in used:
            empty = ModalityFeatures.empty(len(domain), encoder.dim)
            features = features.with_modality(name, empty)
        if not features.modalities[name].mask.any():
            notes.append(f"No item of {domain.name} has {name} features, which the model knows.")
    if not any(part.mask.any() for part in features.modalities.values()):
        raise QBert4RecError(
            f"no item of {domain.path} has any of {', '.join(encoders)}, which {base.name} codes "
            "items from; train this domain without --from"
        )
    for name in chosen:
        if name not in encoders and has_content(domain, name):
            notes.append(
                f"{domain.name} has {name} content, which the model was not trained on: left out."
            )
    if base.structure is not None:
        features, note = _with_structure(base, features, domain, split, settings)
        notes += note
    for note in notes:
        logger.warning(note)
    return features.select(name for name in features.modalities if name in base.modalities), notes


def _with_structure(
    base: BaseModel,
    features: ItemFeatures,
    domain: Domain,
    split: Split,
    settings: FeatureSettings,
) -> tuple[ItemFeatures, list[str]]:
    if base.structure == PROPAGATED and settings.structural != NONE:
        return features.with_modality(STRUCTURAL_MODALITY, propagate(features, split.train)), []
    empty = ModalityFeatures.empty(len(domain), base.modalities[STRUCTURAL_MODALITY])
    why = (
        "they are left out by the settings"
        if settings.structural == NONE
        else "those of the model are axes of its own domain's graph"
    )
    return (
        features.with_modality(STRUCTURAL_MODALITY, empty),
        [f"The items have no structural features: {why}."],
    )


def _check_options(
    base: BaseModel, modality: str, own: FeatureEncoder, options: Mapping[str, Any]
) -> None:
    free = (*own.runtime(), *_PLACES.get(own.kind, ()))
    if not set(options) - set(free):
        return
    try:
        asked = type(own).from_config({**own.config(), **own.runtime(), **options})
    except TypeError as error:
        raise QBert4RecError(
            f"features.{modality}.options: encoder {own.kind!r}: {error}; leave it out"
        ) from None
    for name in options:
        wanted, found = asked.config().get(name), own.config().get(name)
        if name not in free and wanted != found:
            raise QBert4RecError(
                f"features.{modality}.options.{name} asks for the encoder {own.kind!r} with "
                f"{wanted!r}, but that of {base.name} has {found!r}; leave it out, or train this "
                "domain without --from"
            )


def _with_options(own: FeatureEncoder, options: Mapping[str, Any]) -> FeatureEncoder:
    free = (*own.runtime(), *_PLACES.get(own.kind, ()))
    changed = {name: value for name, value in options.items() if name in free}
    if not changed:
        return own
    encoder = type(own).from_config({**own.config(), **own.runtime(), **changed})
    encoder.trust_remote_code = own.trust_remote_code
    encoder.set_state(own.state())
    words = own.vocabulary()
    if words is not None:
        encoder.set_vocabulary(words)
    return encoder


def _listed(encoders: EncoderSet) -> str:
    return ", ".join(f"{name}: {encoder.kind}" for name, encoder in encoders.items())

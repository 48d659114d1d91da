"""Which encoders a run uses."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from transformers.utils import logging

from ..columns import IMAGE_MODALITY, IMAGES, TEXT, TEXT_MODALITY, TITLE
from ..data.tables import is_url
from ..errors import QBert4RecError
from ..files import fingerprint

if TYPE_CHECKING:
    from ..data.domain import Domain
    from ..features.base import FeatureEncoder
    from ..features.encoder_set import EncoderSet

logger = logging.get_logger(__name__)

AUTO = "auto"
NONE = "none"
_COLUMNS = {TEXT_MODALITY: (TITLE, TEXT), IMAGE_MODALITY: (IMAGES,)}
DEFAULT_ENCODERS = {TEXT_MODALITY: "tfidf", IMAGE_MODALITY: "pca_image"}


@dataclass
class EncoderSettings:
    """The encoder of one modality.

    Args:
        kind: "none"; "auto" for the built-in encoder where the domains have something to encode;
            or an encoder's name: "tfidf", "minilm" (sentence embeddings whose weights come with
            the extra of that name), "hf_text" (any text model of the Hub), "pca_image",
            "hf_image" (any vision model of the Hub), "open_clip", "codes" (vectors from codes
            published with the domain), "parquet" (ready embeddings keyed by item id), and those of
            your own.
        options: arguments of that encoder, such as `dim`, the name of a `model`, or the `template`
            that says which columns make up the text.
    """

    kind: str = AUTO
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class FeatureSettings:
    """Encoders of all modalities.

    Args:
        text: encoder of titles and texts.
        image: encoder of pictures.
        structural: "propagated" (the content of an item's neighbours in the graph of the training
            histories, which transfers between domains), "spectral" (axes of the graph itself, for
            a single domain without content), "none", or "auto": the first where there is content,
            else the second.
        spectral_dim: number of spectral axes.
    """

    text: EncoderSettings = field(default_factory=EncoderSettings)
    image: EncoderSettings = field(default_factory=EncoderSettings)
    structural: Literal["auto", "propagated", "spectral", "none"] = "auto"
    spectral_dim: int = 64

    @property
    def encoders(self) -> dict[str, EncoderSettings]:
        """The settings of each modality that has an encoder."""
        return {TEXT_MODALITY: self.text, IMAGE_MODALITY: self.image}


def make_encoders(
    settings: FeatureSettings, domains: Sequence[Domain], *, seed: int = 0
) -> EncoderSet:
    """The encoders that the settings ask for, not yet fitted.

    Args:
        settings: kinds and options.
        domains: that they will be fitted to; "auto" looks at what these have.
        seed: for encoders that draw numbers, unless their options say otherwise.

    Raises:
        QBert4RecError: an unknown encoder, or an option that it does not have.
    """
    from ..features.encoder_set import EncoderSet

    encoders = {}
    for modality, chosen in settings.encoders.items():
        kind = _default(modality, domains) if chosen.kind == AUTO else chosen.kind
        if kind != NONE:
            encoders[modality] = _make(kind, modality, chosen.options, seed)
    return EncoderSet(encoders)


def outside_files(settings: FeatureSettings) -> dict[str, str]:
    """Fingerprints of what encoder options name outside the domain folders.

    Ready embeddings count by their bytes, models in local folders as their encoders name them.
    Files inside a domain folder, where relative paths of embeddings lead, count with their domain.
    """
    from ..features.pretrained import folder_fingerprint

    found = {}
    for modality, chosen in settings.encoders.items():
        path, model = chosen.options.get("path"), chosen.options.get("model")
        if isinstance(path, str) and Path(path).is_absolute() and Path(path).exists():
            folder = Path(path).is_dir()
            files = sorted(Path(path).glob("*.parquet")) if folder else [Path(path)]
            found[modality] = fingerprint(*(file.read_bytes() for file in files))
        elif isinstance(model, str) and Path(model).is_dir():
            found[modality] = folder_fingerprint(Path(model))
    return found


def has_content(domain: Domain, modality: str) -> bool:
    """Whether any item of a domain has something of a modality; addresses of pictures count."""
    return any(
        value is not None and len(value)
        for column in _COLUMNS[modality]
        for value in domain.items[column]
    )


def _default(modality: str, domains: Sequence[Domain]) -> str:
    if modality == IMAGE_MODALITY:
        return _default_of_images(domains)
    found = any(has_content(domain, modality) for domain in domains)
    return DEFAULT_ENCODERS[modality] if found else NONE


def _default_of_images(domains: Sequence[Domain]) -> str:
    """The built-in encoder where a picture is at hand; addresses alone are not fetched."""
    for domain in domains:
        if any(not is_url(image) for images in domain.items[IMAGES] for image in images):
            return DEFAULT_ENCODERS[IMAGE_MODALITY]
    for domain in domains:
        if has_content(domain, IMAGE_MODALITY):
            logger.warning(
                f"{domain.name} lists pictures by their addresses only, so it runs without; "
                f"`qbert4rec images {domain.path or 'DOMAIN'}` downloads them"
            )
    return NONE


def _make(kind: str, modality: str, options: dict[str, Any], seed: int) -> FeatureEncoder:
    from ..features.base import encoder_class

    try:
        encoder = encoder_class(kind)
    except QBert4RecError as error:
        raise QBert4RecError(f"features.{modality}.kind: {error}") from None
    accepted = list(inspect.signature(encoder.__init__).parameters)[1:]
    for name in options:
        if name not in accepted:
            near = difflib.get_close_matches(name, accepted, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(accepted)}"
            raise QBert4RecError(
                f"features.{modality}.options.{name} is not an option of encoder {kind!r}; {hint}"
            )
    given = {"modality": modality, "seed": seed}
    given = {name: value for name, value in given.items() if name in accepted}
    try:
        return encoder(**{**given, **options})
    except TypeError as error:
        raise QBert4RecError(f"features.{modality}: encoder {kind!r}: {error}") from None

"""The model that a run starts from: a model folder, or a repository of the Hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns import (
    CATALOG_FILE,
    CATALOG_INFO_FILE,
    FEATURES_FOLDER,
    FUSION_FOLDER,
    QUANTIZER_FOLDER,
    STRUCTURAL_MODALITY,
)
from ..errors import QBert4RecError
from ..features.encoder_set import EncoderSet
from ..files import fingerprint
from ..fusion.configuration_fusion import QBert4RecFusionConfig
from ..fusion.modeling_fusion import QBert4RecFusionModel
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from ..ranking.model_folder import find_model_folder, load_part
from ..ranking.model_folder_checks import check_parts, coder_folders, read_recommender
from ..semantic_ids.catalogue import ItemCatalog
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM

if TYPE_CHECKING:
    from ..data.domain import Domain

STRUCTURE = "structural"
"""Key of `recommender.json`: how the structural features of a model were made."""
PROPAGATED, SPECTRAL = "propagated", "spectral"
TRAINED_ON = "trained_on"
"""Key of `recommender.json`: names of all domains whose histories went into a model."""


@dataclass(frozen=True)
class BaseModel:
    """A trained model whose encoders, fusion and quantizer another domain is to use.

    Make one with `open`.

    Args:
        name: as the user gave it: a path, or the id of a repository.
        folder: where it lies here.
        commit: of the repository; None for a folder.
    """

    name: str
    folder: Path
    commit: str | None = None

    @classmethod
    def open(cls, name: str | os.PathLike, *, revision: str | None = None) -> BaseModel:
        """Finds a model and checks that its parts are there and fit.

        Args:
            name: model folder, or id of a repository.
            revision: of the repository.

        Raises:
            QBert4RecError: no such model, one of another family, a part that is missing, or a
                model that cannot code the items of another domain.
        """
        name = str(name)
        inside = Path(name) / "model"
        if not (Path(name) / "config.json").exists() and (inside / "config.json").is_file():
            raise QBert4RecError(f"{name} is a run folder; start from its model, {inside}")
        folder = find_model_folder(name, revision=revision)
        check_parts(folder)
        if coder_folders(folder) is None:
            raise QBert4RecError(
                f"{name} has no encoders, fusion and quantizer (its semantic IDs were imported), "
                "so it cannot code the items of another domain; start from a model that was "
                "trained through all stages"
            )
        model = cls(name, folder, None if folder == Path(name) else folder.name)
        if not len(model.encoders()):
            raise QBert4RecError(
                f"{name} was trained on interactions alone and has no text or image encoder, so "
                "it cannot code the items of another domain; train that domain by itself"
            )
        return model

    @cached_property
    def fingerprint(self) -> str:
        """Names what a run takes from the model: weights, catalogue, encoders."""
        files = [self.folder / name for name in ("config.json", CATALOG_FILE, CATALOG_INFO_FILE)]
        files += sorted(self.folder.glob("model*.safetensors"))
        for part in (FEATURES_FOLDER, FUSION_FOLDER, QUANTIZER_FOLDER):
            files += sorted(p for p in (self.folder / part).rglob("*") if p.suffix != ".py")
        files = [path for path in files if path.is_file()]
        names = [path.relative_to(self.folder).as_posix() for path in files]
        return fingerprint(names, [fingerprint(path.read_bytes()) for path in files])

    def describe(self) -> dict[str, Any]:
        """What a manifest and a card keep of it; of a local folder the end of its path."""
        name = self.name if self.commit else "/".join(Path(os.path.abspath(self.name)).parts[-2:])
        return {
            "name": name,
            "commit": self.commit,
            "fingerprint": self.fingerprint,
            TRAINED_ON: self.trained_on,
        }

    # -- parts -----------------------------------------------------------------------------------

    def encoders(self, *, trust_remote_code: bool = False) -> EncoderSet:
        """The encoders, fitted."""
        return EncoderSet.load(self.folder / FEATURES_FOLDER, trust_remote_code=trust_remote_code)

    def fusion(self) -> QBert4RecFusionModel:
        """Stage 1 without its table of own queries, which mean nothing in another catalogue."""
        return load_part(QBert4RecFusionModel, self.folder / FUSION_FOLDER).drop_item_table()

    def quantizer(self) -> QBert4RecQuantizerModel:
        """Stage 2."""
        return load_part(QBert4RecQuantizerModel, self.folder / QUANTIZER_FOLDER)

    def sequence_model(self) -> QBert4RecForMaskedLM:
        """Stage 3, with its own catalogue."""
        return load_part(QBert4RecForMaskedLM, self.folder)

    @cached_property
    def catalog(self) -> ItemCatalog:
        """The items that it knows."""
        return ItemCatalog.load(self.folder)

    @cached_property
    def trained_on(self) -> list[str]:
        """Names of the domains whose histories it learnt from, as far as its folder says."""
        return read_recommender(self.folder).get(TRAINED_ON) or list(self.catalog.domains)

    @cached_property
    def modalities(self) -> Mapping[str, int]:
        """What fusion takes: modality -> length of its vectors."""
        # The configuration alone: this is asked whenever a run is opened.
        return dict(load_part(QBert4RecFusionConfig, self.folder / FUSION_FOLDER).modalities)

    @cached_property
    def structure(self) -> str | None:
        """How its structural features were made, "propagated" or "spectral"; None without any."""
        if STRUCTURAL_MODALITY not in self.modalities:
            return None
        known = read_recommender(self.folder).get(STRUCTURE)
        if known in (PROPAGATED, SPECTRAL):
            return known
        # A folder that does not say: propagated content has the axes of all content.
        content = sum(self.encoders().dims.values())
        return PROPAGATED if self.modalities[STRUCTURAL_MODALITY] == content else SPECTRAL

    # -- a domain --------------------------------------------------------------------------------

    def rows_of(self, domain: Domain) -> np.ndarray | None:
        """Row of each item of a domain in the model's catalogue `[items]`, -1 where it has none.

        None where the model does not know the domain: it has none of this name, or one with other
        items.
        """
        if domain.name not in self.catalog.domains:
            return None
        start = self.catalog.domain_slice(domain.name).start
        known = self.catalog.subset(domain.name).item_ids
        row = {item_id: start + number for number, item_id in enumerate(known)}
        rows = np.array([row.get(item_id, -1) for item_id in domain.item_ids], dtype=np.int64)
        return rows if (rows >= 0).any() else None

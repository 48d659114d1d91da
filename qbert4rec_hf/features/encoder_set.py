"""The encoders of a model, one a modality, and what they make of a domain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from safetensors.numpy import save_file
from tqdm.auto import tqdm
from transformers.utils import logging

from ..columns import STRUCTURAL_MODALITY
from ..errors import QBert4RecError
from ..files import atomic_file, atomic_folder, fingerprint, make_folder, read_json, write_json
from .base import FeatureEncoder
from .images import item_names
from .store import INDEX_FILE, ItemFeatures, ModalityFeatures, read_modality

if TYPE_CHECKING:
    from ..data.domain import Domain

logger = logging.get_logger(__name__)

ENCODERS_FILE = "encoders.json"
FORMAT_VERSION = 1


class EncoderSet(Mapping[str, FeatureEncoder]):
    """One encoder a modality: fitted once, saved with the model, used unchanged from then on.

    Args:
        encoders: encoders by modality; may be empty, for a domain without content.
        shard_size: items that are encoded between two writes to a cache.

    Raises:
        QBert4RecError: an encoder under another modality's name, or for the structural modality,
            which has no encoder (see `features.structural`).
    """

    def __init__(self, encoders: Mapping[str, FeatureEncoder], *, shard_size: int = 1024) -> None:
        for modality, encoder in encoders.items():
            if modality != encoder.modality:
                raise QBert4RecError(
                    f"the {encoder.kind} encoder of {encoder.modality} stands under {modality}; "
                    "give it modality="
                    f"{modality!r}"
                )
            if modality == STRUCTURAL_MODALITY:
                raise QBert4RecError(
                    "structure is not encoded from items; use propagate or spectral of "
                    "qbert4rec_hf.features.structural"
                )
        if shard_size < 1:
            raise QBert4RecError(f"shard_size must be 1 or more, got {shard_size}")
        self._encoders = dict(encoders)
        self.shard_size = shard_size

    def __getitem__(self, modality: str) -> FeatureEncoder:
        return self._encoders[modality]

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoders)

    def __len__(self) -> int:
        return len(self._encoders)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}: {encoder.kind}" for name, encoder in self.items())
        return f"EncoderSet({inside})"

    @property
    def dims(self) -> dict[str, int]:
        """Length of the vectors of each modality."""
        return {name: encoder.dim for name, encoder in self.items()}

    def fingerprint(self) -> str:
        """Names everything that decides the vectors."""
        return fingerprint({name: encoder.fingerprint() for name, encoder in self.items()})

    def fit(self, domains: Sequence[Domain]) -> EncoderSet:
        """Fits all encoders to the items of the pre-training domains.

        Returns:
            The set itself.

        Raises:
            QBert4RecError: no domain, or one of an encoder's own (no text to count, ...).
        """
        if not domains and len(self):
            raise QBert4RecError("encoders are fitted to domains; give one at least")
        for encoder in self.values():
            encoder.fit(list(domains))
        return self

    def encode_items(
        self, items: pd.DataFrame, root: str | os.PathLike | None = None, *, progress: bool = False
    ) -> ItemFeatures:
        """Encodes items that belong to no domain folder yet, such as new ones.

        Args:
            items: item_id, title, text, images; further columns as the encoders use them.
            root: folder that image paths are relative to.
            progress: whether to show progress bars.

        Returns:
            Features; what an encoder cannot know of new items (codes, ready embeddings) is masked.
        """
        root = None if root is None else Path(root)
        modalities = {}
        for name, encoder in self.items():
            if encoder.available(root):
                modalities[name] = encoder.encode(items, root, progress=progress)
            else:
                modalities[name] = ModalityFeatures.empty(len(items), encoder.dim)
        return ItemFeatures(item_names(items), modalities)

    def encode_domain(
        self,
        domain: Domain,
        cache_folder: str | os.PathLike | None = None,
        *,
        progress: bool = True,
    ) -> ItemFeatures:
        """Encodes all items of a domain.

        With a cache folder, a modality that is there already, made by the same encoder from the
        same inputs, is not encoded again; one that was interrupted goes on after its last shard,
        which lies in `<cache_folder>.partial` until all is done.

        Args:
            domain: what to encode.
            cache_folder: becomes a feature folder (`ItemFeatures.load` reads it).
            progress: whether to show progress bars.

        Raises:
            QBert4RecError: from an encoder, or the cache cannot be written.
        """
        prints = {
            name: fingerprint(
                encoder.fingerprint(),
                domain.item_ids,
                encoder.input_fingerprint(domain.items, domain.path),
            )
            for name, encoder in self.items()
        }
        cache = None if cache_folder is None else Path(cache_folder)
        finished = {} if cache is None else _finished(cache, prints, domain.item_ids)
        if cache is not None and len(finished) == len(self) and (cache / INDEX_FILE).exists():
            return ItemFeatures(domain.item_ids, finished, prints)
        partial = None if cache is None else cache.with_name(f"{cache.name}.partial")
        modalities = {}
        for name, encoder in self.items():
            shards = None if partial is None else _shard_folder(partial, name, prints[name])
            modalities[name] = finished.get(name) or self._encode(
                encoder, domain, shards, progress=progress
            )
            if len(domain) and not modalities[name].mask.any():
                logger.warning(f"no item of {domain.name} has any {name} features")
        features = ItemFeatures(domain.item_ids, modalities, prints)
        if cache is not None:
            features.save(cache)
            shutil.rmtree(partial, ignore_errors=True)
        return features

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes `encoders.json` and a sub-folder a modality; complete or not at all."""
        folder = Path(folder)
        with atomic_folder(folder) as temporary:
            about = {}
            for name, encoder in self.items():
                encoder.save(temporary / name)
                about[name] = {"kind": encoder.kind, "dim": encoder.dim}
                about[name]["fingerprint"] = encoder.fingerprint()
            content = {"format_version": FORMAT_VERSION, "encoders": about}
            write_json(temporary / ENCODERS_FILE, content)
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike, *, trust_remote_code: bool = False) -> EncoderSet:
        """Reads the `features/` folder of a model.

        Args:
            folder: what `save` wrote.
            trust_remote_code: whether encoders whose model brings its own code may run it.

        Raises:
            QBert4RecError: a file is missing, malformed, or belongs to another encoder.
        """
        folder = Path(folder)
        about = read_json(folder / ENCODERS_FILE)
        listed = about.get("encoders") if isinstance(about, dict) else None
        if not isinstance(listed, dict) or not all(isinstance(e, dict) for e in listed.values()):
            raise QBert4RecError(
                f"{folder / ENCODERS_FILE} does not list encoders; fetch the folder again"
            )
        encoders = {}
        for name, entry in listed.items():
            encoder = FeatureEncoder.load(folder / name, trust_remote_code=trust_remote_code)
            if encoder.requires_fit and encoder.fingerprint() != entry.get("fingerprint"):
                raise QBert4RecError(
                    f"{folder / name} is not the encoder that {ENCODERS_FILE} names; fetch the "
                    "folder again"
                )
            encoders[name] = encoder
        return cls(encoders)

    def _encode(
        self, encoder: FeatureEncoder, domain: Domain, folder: Path | None, *, progress: bool
    ) -> ModalityFeatures:
        """Encodes a domain shard by shard; shards found in the folder are taken over."""
        starts = range(0, len(domain), self.shard_size)
        if not starts:
            return encoder.encode(domain.items, domain.path, progress=False)
        parts = []
        shown = progress and logging.is_progress_bar_enabled()
        description = f"{domain.name}: {encoder.modality} ({encoder.kind})"
        with tqdm(total=len(domain), desc=description, unit="item", disable=not shown) as bar:
            for start in starts:
                stop = min(start + self.shard_size, len(domain))
                file = None if folder is None else folder / f"{start:09d}-{stop:09d}.safetensors"
                part = None if file is None else _read_shard(file, stop - start)
                if part is None:
                    items = domain.items.iloc[start:stop]
                    part = encoder.encode(items, domain.path, progress=bar)
                    if file is not None:
                        _write_shard(file, part)
                else:
                    bar.update(stop - start)
                parts.append(part)
        return ModalityFeatures.concat(parts)


def _finished(
    cache: Path, prints: dict[str, str], item_ids: list[str]
) -> dict[str, ModalityFeatures]:
    """Modalities of a cache that are what would be made now; an unreadable cache has none."""
    try:
        features = ItemFeatures.load(cache)
    except QBert4RecError:
        return {}
    if features.item_ids != item_ids:
        return {}
    return {
        name: features.modalities[name]
        for name in prints
        if name in features.modalities and features.fingerprints.get(name) == prints[name]
    }


def _shard_folder(partial: Path, name: str, print_: str) -> Path:
    """The folder of a modality's shards, without what another encoder or input left there."""
    folder = make_folder(partial / f"{name}-{print_}")
    for other in partial.iterdir():
        # Not by a pattern: "image-*" would also find the shards of a modality "image-back".
        if other != folder and other.name.rpartition("-")[0] == name:
            shutil.rmtree(other)
    return folder


def _read_shard(file: Path, num_items: int) -> ModalityFeatures | None:
    try:
        part = read_modality(file)
    except QBert4RecError:
        return None
    return part if len(part) == num_items else None


def _write_shard(file: Path, part: ModalityFeatures) -> None:
    with atomic_file(file) as temporary:
        save_file({"vectors": part.vectors, "mask": part.mask}, temporary)

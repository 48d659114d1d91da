"""The encoders of a model, one a modality, and what they make of a domain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from transformers.utils import logging

from ..columns import STRUCTURAL_MODALITY
from ..errors import QBert4RecError
from ..files import atomic_folder, fingerprint, inside, read_json, write_json
from ..processes import Processes, processes
from .base import FeatureEncoder
from .images import item_names
from .progress import no_bars
from .reading import check_format_version
from .shards import encode_in_shards, shard_folder
from .store import INDEX_FILE, ItemFeatures, ModalityFeatures

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

    Example:
        >>> from qbert4rec_hf import Domain, EncoderSet, make_demo_domains
        >>> from qbert4rec_hf.features.tfidf import TfidfTextEncoder
        >>> domain = Domain.load(make_demo_domains("shops", scale=0.05)[-1])
        >>> encoders = EncoderSet({"text": TfidfTextEncoder(dim=8)}).fit([domain])
        >>> encoders
        EncoderSet(text: tfidf)
        >>> encoders.encode_domain(domain, progress=False)
        ItemFeatures(24 items; text: 8 numbers for 24)
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

        Of several processes the first fits those that have something to learn, and the others take
        over what it learnt, so that their vectors are the same to the last bit.

        Returns:
            The set itself.

        Raises:
            QBert4RecError: no domain, or one of an encoder's own (no text to count, ...).
        """
        if not domains and len(self):
            raise QBert4RecError("encoders are fitted to domains; give one at least")
        team = processes()
        for encoder in self.values():
            if not encoder.requires_fit:
                team.together(partial(encoder.fit, list(domains)))
                continue
            state, words = team.first_does(partial(_fitted, encoder, domains))
            if not team.first:
                encoder.set_state(state)
                if words is not None:
                    encoder.set_vocabulary(words)
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

        Several processes (`torch.distributed.run`) share the shards; all of them must call this,
        with the same arguments and a cache folder that they all see, and each gets all vectors.
        They may take up what another number of processes left.

        Args:
            domain: what to encode.
            cache_folder: becomes a feature folder (`ItemFeatures.load` reads it).
            progress: whether to show progress bars.

        Raises:
            QBert4RecError: from an encoder, also of another process, or the cache cannot be
                written.
        """
        team = processes()
        with no_bars(hidden=not progress):
            prints = team.first_does(lambda: self._prints(domain))
        if len(set(team.together(self.fingerprint))) > 1:
            raise QBert4RecError(
                "the processes have different encoders; fit or load them in all alike"
            )
        cache = None if cache_folder is None else Path(cache_folder)
        modalities: dict[str, ModalityFeatures] = {}

        def look() -> list[str] | None:
            """What is left to encode; None for a cache that needs no writing."""
            if cache is not None:
                modalities.update(_finished(cache, prints, domain.item_ids))
                if len(modalities) == len(self) and (cache / INDEX_FILE).exists():
                    return None
            return [name for name in self if name not in modalities]

        missing = team.first_does(look)
        if missing is not None:
            self._encode_missing(domain, missing, modalities, prints, cache, team, progress)
        if cache is not None and not team.first:
            return ItemFeatures.load(cache).select(prints)
        return ItemFeatures(domain.item_ids, modalities, prints)

    def _prints(self, domain: Domain) -> dict[str, str]:
        """For each modality, what its vectors would be made of."""
        return {
            name: fingerprint(
                encoder.fingerprint(),
                domain.item_ids,
                encoder.input_fingerprint(domain.items, domain.path),
            )
            for name, encoder in self.items()
        }

    def _encode_missing(
        self,
        domain: Domain,
        missing: Sequence[str],
        modalities: dict[str, ModalityFeatures],
        prints: dict[str, str],
        cache: Path | None,
        team: Processes,
        progress: bool,
    ) -> None:
        """Encodes the modalities that a cache lacks, and adds them to the others.

        The first process writes all to the cache; with one, the other processes keep none.
        """
        unfinished = None if cache is None else cache.with_name(f"{cache.name}.partial")
        for name in missing:
            folder = None
            if unfinished is not None:
                folder = team.first_does(partial(shard_folder, unfinished, name, prints[name]))
            part = encode_in_shards(
                self[name],
                domain,
                team,
                shard_size=self.shard_size,
                folder=folder,
                progress=progress,
            )
            if part is None:
                continue
            modalities[name] = part
            if team.first and len(domain) and not part.mask.any():
                logger.warning(f"no item of {domain.name} has any {name} features")

        def write() -> None:
            ItemFeatures(domain.item_ids, modalities, prints).save(cache)
            shutil.rmtree(unfinished, ignore_errors=True)

        if cache is not None:
            team.first_does(write)

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
        check_format_version(folder / ENCODERS_FILE, about, FORMAT_VERSION)
        encoders = {}
        for name, entry in listed.items():
            place = inside(folder, name, folder / ENCODERS_FILE)
            encoder = FeatureEncoder.load(place, trust_remote_code=trust_remote_code)
            if encoder.requires_fit and encoder.fingerprint() != entry.get("fingerprint"):
                raise QBert4RecError(
                    f"{folder / name} is not the encoder that {ENCODERS_FILE} names; fetch the "
                    "folder again"
                )
            encoders[name] = encoder
        return cls(encoders)


def _fitted(
    encoder: FeatureEncoder, domains: Sequence[Domain]
) -> tuple[dict[str, np.ndarray], list[str] | None]:
    """What an encoder learnt of some domains: its arrays and words."""
    encoder.fit(list(domains))
    return encoder.state(), encoder.vocabulary()


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

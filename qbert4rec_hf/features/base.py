"""What every encoder of item features has in common, and the table of the encoders there are."""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from ..errors import QBert4RecError
from ..files import fingerprint, make_folder, read_json, write_json
from .progress import Bar
from .reading import check_format_version, read_tensors
from .store import ModalityFeatures

if TYPE_CHECKING:
    from ..data.domain import Domain

CONFIG_FILE = "encoder.json"
STATE_FILE = "state.safetensors"
FORMAT_VERSION = 1

# Kind -> module and class; imported when asked for, so that one encoder never loads another's
# libraries.
_BUILT_IN = {
    "tfidf": ("tfidf", "TfidfTextEncoder"),
    "pca_image": ("image_thumbnail", "ThumbnailImageEncoder"),
    "hf_text": ("hf_text", "HFTextEncoder"),
    "minilm": ("minilm", "MiniLMTextEncoder"),
    "hf_image": ("hf_image", "HFImageEncoder"),
    "open_clip": ("open_clip_image", "OpenClipImageEncoder"),
    "codes": ("codes", "CodesEncoder"),
    "parquet": ("parquet", "ParquetEncoder"),
}
_REGISTERED: dict[str, type[FeatureEncoder]] = {}
Encoder = TypeVar("Encoder", bound="type[FeatureEncoder]")


class FeatureEncoder(ABC):
    """Turns items into vectors of one modality.

    A subclass sets `kind`, keeps its settings in `config`, fitted arrays in `state`, and is
    registered with `register_encoder`. Encoding an item gives the same vector whatever other items
    are encoded with it.

    Attributes:
        kind: name of the encoder in files.
        modality: "text", "image", or another name for a modality of the user's own.
        requires_fit: whether `fit` must have run before `encode`.
        trust_remote_code: whether a model that brings code of its own may run it; never saved.
    """

    kind: ClassVar[str]
    requires_fit: ClassVar[bool] = False
    trust_remote_code: bool = False
    modality: str

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a vector.

        Raises:
            QBert4RecError: it is not known before `fit`.
        """

    @abstractmethod
    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | Bar = True
    ) -> ModalityFeatures:
        """Encodes items.

        Args:
            items: item_id, title, text, images and further columns.
            root: folder that paths are relative to: the domain folder. None if there is none.
            progress: whether to show a progress bar, or the bar to move on by one an item.

        Returns:
            A row an item; what is missing of an item is masked.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Settings that make up the encoder, for JSON; keywords of `from_config`."""

    def runtime(self) -> dict[str, Any]:
        """Settings that change speed and not vectors, such as the batch size."""
        return {}

    def state(self) -> dict[str, np.ndarray]:
        """Fitted arrays; empty for an encoder that is not fitted."""
        return {}

    def set_state(self, state: dict[str, np.ndarray]) -> None:  # noqa: B027
        """Takes over fitted arrays as `state` gave them."""

    def vocabulary(self) -> list[str] | None:
        """Fitted words, kept as JSON beside the arrays."""
        return None

    def set_vocabulary(self, words: list[str]) -> None:  # noqa: B027
        """Takes over fitted words as `vocabulary` gave them."""

    def fit(self, domains: list[Domain]) -> None:  # noqa: B027
        """Fits the encoder to the items of some domains; nothing to do for most."""

    def available(self, root: Path | None) -> bool:
        """Whether items that come with this folder can have vectors at all."""
        return True

    def effort(self, items: pd.DataFrame) -> np.ndarray:
        """About how much work each item is, `[items]`, in any unit; for the progress bar."""
        return np.ones(len(items))

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        """Names what the encoder would read of these items; a change makes a cache outdated.

        All columns by default; an encoder that reads files adds what is in them.
        """
        return fingerprint(items.to_json(orient="split", index=False, default_handler=str))

    def fingerprint(self) -> str:
        """Names everything that decides the vectors: settings and fitted state."""
        state = self.state()
        arrays = [value for name in sorted(state) for value in (name, state[name])]
        return fingerprint(self.kind, self.modality, self.config(), self.vocabulary(), *arrays)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureEncoder:
        """Builds an encoder from what `config` and `runtime` gave."""
        return cls(**config)

    def save(self, folder: str | os.PathLike) -> None:
        """Writes `encoder.json` and, where there is fitted state, `state.safetensors`."""
        folder = make_folder(folder)
        about = {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "modality": self.modality,
            "dim": self.dim,
            "config": self.config(),
            "runtime": self.runtime(),
        }
        words = self.vocabulary()
        if words is not None:
            write_json(folder / "vocabulary.json", words)
        write_json(folder / CONFIG_FILE, about)
        state = self.state()
        if state:
            arrays = {name: np.ascontiguousarray(value) for name, value in state.items()}
            save_file(arrays, folder / STATE_FILE)

    @classmethod
    def load(cls, folder: str | os.PathLike, *, trust_remote_code: bool = False) -> FeatureEncoder:
        """Reads the encoder of a folder, whatever its kind.

        Args:
            folder: what `save` wrote.
            trust_remote_code: whether an encoder whose model brings its own code may run it. A
                folder cannot grant this to itself.

        Raises:
            QBert4RecError: names the file that is missing or malformed.
        """
        folder = Path(folder)
        path = folder / CONFIG_FILE
        about = read_json(path)
        if (
            not isinstance(about, dict)
            or not isinstance(about.get("kind"), str)
            or not isinstance(about.get("config"), dict)
            or not isinstance(about.get("runtime", {}), dict)
        ):
            raise QBert4RecError(f"{path} does not describe an encoder; fetch the folder again")
        check_format_version(path, about, FORMAT_VERSION)
        encoder_type = encoder_class(about["kind"])
        values = {**about["config"], **about.get("runtime", {})}
        try:
            encoder = encoder_type.from_config(values)
        except TypeError as error:
            raise QBert4RecError(
                f"{path} does not fit encoder {about['kind']!r} ({error}); it may come from a "
                "newer version of this package"
            ) from None
        encoder.trust_remote_code = trust_remote_code
        if (folder / "vocabulary.json").exists():
            encoder.set_vocabulary(read_json(folder / "vocabulary.json"))
        if (folder / STATE_FILE).exists():
            try:
                encoder.set_state(read_tensors(folder / STATE_FILE))
            except KeyError as error:
                raise QBert4RecError(
                    f"{folder / STATE_FILE} lacks {error}; fetch the folder again"
                ) from None
        elif encoder.requires_fit:
            raise QBert4RecError(f"{folder / STATE_FILE} does not exist; the folder is incomplete")
        return encoder


def register_encoder(cls: Encoder) -> Encoder:
    """Makes an encoder known by its `kind`; use as a decorator."""
    _REGISTERED[cls.kind] = cls
    return cls


def encoder_kinds() -> list[str]:
    """Names of all encoders there are."""
    return sorted({*_BUILT_IN, *_REGISTERED})


def encoder_class(kind: str) -> type[FeatureEncoder]:
    """The encoder of a name.

    Raises:
        QBert4RecError: there is none; names those there are.
    """
    if kind not in _REGISTERED and kind in _BUILT_IN:
        module, name = _BUILT_IN[kind]
        getattr(importlib.import_module(f".{module}", __package__), name)
    if kind not in _REGISTERED:
        raise QBert4RecError(
            f"there is no encoder {kind!r}; there are {', '.join(encoder_kinds())}, and your own "
            "after register_encoder"
        )
    return _REGISTERED[kind]


def not_fitted(encoder: FeatureEncoder) -> QBert4RecError:
    """The error of an encoder that is used before `fit`."""
    return QBert4RecError(f"the {encoder.kind} encoder is not fitted; call fit(domains) first")

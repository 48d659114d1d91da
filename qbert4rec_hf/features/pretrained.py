"""What encoders around a trained network have in common: knowing which network it was."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import QBert4RecError
from ..files import fingerprint
from .base import FeatureEncoder
from .structural import unit

if TYPE_CHECKING:
    import torch

# How much of the beginning and the end of a large local file goes into its fingerprint.
_HASHED_BYTES = 1 << 20


class PretrainedEncoder(FeatureEncoder):
    """An encoder around a network that is not saved with it but read when first needed.

    What is saved tells the network from any other, and another one under the same name is refused.
    A subclass reads the network in `_load`, which calls `_record`.

    Args:
        model: name or folder of the network.
        normalize: scale vectors to unit length.
        device: "cpu", "cuda", ...; None takes a GPU where there is one.
        dim: length of a vector; None until it is read from the network.
        source: what names the weights; None until they are found.
        modality: name of the modality.
    """

    # What the network is, and what to do without it; for messages.
    noun: ClassVar[str]
    instead: ClassVar[str]

    def __init__(
        self,
        *,
        model: str,
        normalize: bool,
        device: str | None,
        dim: int | None,
        source: str | None,
        modality: str,
    ) -> None:
        self.model = str(model)
        self.normalize = normalize
        self.device = device
        self.modality = modality
        self.source = source
        self._dim = dim
        self._loaded: Any = None

    @property
    def dim(self) -> int:
        self._identify()
        return self._dim  # type: ignore[return-value]  # identifying sets it

    @property
    def named(self) -> str:
        """The network in messages."""
        return f"{self.noun} {self.model}"

    def save(self, folder: str | os.PathLike) -> None:
        self._identify()
        super().save(folder)

    def _identify(self) -> None:
        """Finds out dimension and source, by reading the network where there is no other way."""
        if self._dim is None:
            self._network()

    def _network(self) -> Any:
        """What `_load` gives, read once."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    @abstractmethod
    def _load(self) -> Any:
        """Reads the network and all it needs, and calls `_record`."""

    def _record(self, dim: int, source: str | None) -> None:
        """Keeps what tells this network from another, or checks it against what was kept.

        Raises:
            QBert4RecError: it is another one.
        """
        if self._dim is not None and (dim, source) != (self._dim, self.source):
            raise self._another_network()
        self._dim, self.source = dim, source

    def _another_network(self) -> QBert4RecError:
        return QBert4RecError(
            f"{self.named} is not the one that the features were made with; bring "
            "back the old one, or encode all domains again"
        )

    def _vectors(self, output: torch.Tensor) -> np.ndarray:
        """Vectors `[entries, dim]` on the CPU, of unit length if so asked."""
        vectors = output.float().cpu().numpy()
        return unit(vectors) if self.normalize else vectors

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns the errors of loading into one line that says what to do."""
        try:
            yield
        except QBert4RecError:
            raise
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            if "trust_remote_code" in reason:
                raise QBert4RecError(
                    f"{self.named} brings code of its own; set trust_remote_code to "
                    "run it, if you trust its source"
                ) from None
            raise QBert4RecError(
                f"{self.named} cannot be loaded ({reason[:300]}); check its name, its "
                f"folder or the network, or {self.instead}"
            ) from None


def chosen_device(device: str | None) -> str:
    """The device asked for, or a GPU where there is one.

    Of several processes each has a GPU of its own as "cuda" (see `processes`).
    """
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def folder_fingerprint(folder: Path, names: Iterable[str] | None = None) -> str:
    """Names a local model: names and sizes of its files, small files whole, large ones in part.

    Args:
        folder: of the model.
        names: files that count, as far as they are there; all but hidden ones by default.
    """
    wanted = None if names is None else set(names)
    parts: list[Any] = []
    for path in sorted(folder.iterdir()):
        counts = not path.name.startswith(".") if wanted is None else path.name in wanted
        if path.is_file() and counts:
            parts += [path.name, file_fingerprint(path)]
    return fingerprint(*parts)


def file_fingerprint(path: Path) -> str:
    """Names a file: its size, its beginning and its end."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_HASHED_BYTES))
        file.seek(max(0, size - _HASHED_BYTES))
        digest.update(file.read())
    return digest.hexdigest()

"""What encoders of pictures by a trained network have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import QBert4RecError
from .batches import Batcher
from .images import READERS, ImageReader, OnCorrupt, item_names
from .pretrained import PretrainedEncoder
from .progress import Bar, progress_bar
from .store import ModalityFeatures

if TYPE_CHECKING:
    from PIL.Image import Image

# Pictures decoded before the network sees them, in batches.
_READ_AHEAD = 4


class PretrainedImageEncoder(PretrainedEncoder):
    """An encoder of pictures; each picture of an item has a vector of its own.

    A subclass says how a picture is prepared and what the network makes of prepared pictures.

    Args:
        max_images: pictures an item that are used.
        batch_size: pictures a batch at most; batches that do not fit into memory are halved.
        on_corrupt: what to do about a picture that cannot be opened: "skip" treats it as missing
            and warns with its name, "error" stops.
        **common: of the other base.

    Raises:
        QBert4RecError: an option out of range.
    """

    def __init__(
        self, *, max_images: int, batch_size: int, on_corrupt: OnCorrupt, **common: Any
    ) -> None:
        super().__init__(**common)
        if min(max_images, batch_size) < 1:
            raise QBert4RecError(
                f"max_images and batch_size must be 1 or more, got {max_images} and {batch_size}"
            )
        if on_corrupt not in ("skip", "error"):
            raise QBert4RecError(f"on_corrupt must be skip or error, got {on_corrupt!r}")
        self.max_images = max_images
        self.batch_size = batch_size
        self.on_corrupt: OnCorrupt = on_corrupt
        self._batcher = Batcher(
            max_size=batch_size, noun="picture", hint="choose another dtype or a smaller model"
        )

    def runtime(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size, "on_corrupt": self.on_corrupt}

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        return ImageReader(root, self.max_images).input_fingerprint(items)

    def effort(self, items: pd.DataFrame) -> np.ndarray:
        paths = ImageReader(None, self.max_images).paths(items)
        return np.array([len(images) for images in paths], float)

    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | Bar = True
    ) -> ModalityFeatures:
        self._network()
        reader = ImageReader(root, self.max_images, self.on_corrupt)
        paths = reader.paths(items)
        num_vectors = max(map(len, paths), default=1) or 1
        features = ModalityFeatures.empty(len(items), self.dim, num_vectors)
        pictures = [
            (row, place, name, image)
            for row, (name, images) in enumerate(zip(item_names(items), paths, strict=True))
            for place, image in enumerate(images)
        ]
        advanced = 0
        with progress_bar(progress, len(items), f"{self.modality}s by {self.model}") as advance:
            for chunk, prepared in self._prepared(pictures, reader):
                places = [i for i, picture in enumerate(prepared) if picture is not None]
                ready = [prepared[i] for i in places]
                batches = self._batcher.run(
                    [1] * len(ready),
                    lambda batch, ready=ready: self._forward([ready[i] for i in batch]),
                )
                for batch, vectors in batches:
                    for i, vector in zip(batch, vectors, strict=True):
                        row, place = chunk[places[i]][:2]
                        features.vectors[row, place] = vector
                        features.mask[row, place] = True
                advance(chunk[-1][0] - advanced)
                advanced = chunk[-1][0]
            advance(len(items) - advanced)
        reader.report()
        return ModalityFeatures(features.vectors, features.mask)

    @abstractmethod
    def _prepare(self, image: Image) -> Any:
        """A picture as the network takes it; called from several threads."""

    @abstractmethod
    def _forward(self, prepared: Sequence[Any]) -> np.ndarray:
        """Vectors `[pictures, dim]` of prepared pictures."""

    def _prepared(
        self, pictures: list[tuple[int, int, str, str]], reader: ImageReader
    ) -> Iterator[tuple[list[tuple[int, int, str, str]], list[Any]]]:
        """Pictures a batch at a time, each with what `_prepare` made of it.

        Those that come next are read while the network works.

        Args:
            pictures: row, place, item id and path of each.
            reader: opens them.
        """

        def prepare(picture: tuple[int, int, str, str]) -> Any:
            image = reader.open(picture[2], picture[3])
            return None if image is None else self._prepare(image)

        size = self.batch_size
        chunks = [pictures[i : i + size] for i in range(0, len(pictures), size)]
        with ThreadPoolExecutor(READERS) as pool:
            waiting: list[list[Any]] = []
            try:
                for number, chunk in enumerate(chunks):
                    ahead = chunks[number + len(waiting) : number + 1 + _READ_AHEAD]
                    waiting += [[pool.submit(prepare, p) for p in later] for later in ahead]
                    yield chunk, [future.result() for future in waiting.pop(0)]
            finally:
                pool.shutdown(cancel_futures=True)

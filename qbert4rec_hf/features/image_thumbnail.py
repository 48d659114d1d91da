"""Image features that need no download: PCA over thumbnails with colour statistics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from transformers.utils import logging

from ..columns import IMAGE_MODALITY
from ..errors import QBert4RecError
from .base import FeatureEncoder, not_fitted, register_encoder
from .images import ImageReader, OnCorrupt, item_names
from .progress import Bar, progress_bar
from .store import ModalityFeatures
from .structural import unit

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..data.domain import Domain

logger = logging.get_logger(__name__)

# Levels a colour channel in the histogram: 4 x 4 x 4 colours.
_HISTOGRAM_LEVELS = 4
_NUM_COLOR_STATISTICS = 6 + _HISTOGRAM_LEVELS**3


@register_encoder
class ThumbnailImageEncoder(FeatureEncoder):
    """PCA over small thumbnails, mean and spread of the colours, and a colour histogram.

    Fitted on the pictures of the pre-training domains. Thumbnail and colours have equal shares of
    the variance that the axes are to explain. Each picture of an item has a vector of its own, of
    unit length.

    Args:
        dim: number of axes; fewer pictures than that give fewer axes, with a warning.
        thumbnail_size: side of the thumbnail in pixels.
        max_images: pictures an item that are used.
        max_fit_images: pictures that the axes are fitted to, drawn with `seed` where there are
            more.
        on_corrupt: what to do about a picture that cannot be opened: "skip" treats it as missing
            and warns with its name, "error" stops.
        seed: of the draw and the randomised decomposition.
        modality: name of the modality.
    """

    kind = "pca_image"
    requires_fit = True

    def __init__(
        self,
        *,
        dim: int = 64,
        thumbnail_size: int = 24,
        max_images: int = 4,
        max_fit_images: int = 20_000,
        on_corrupt: OnCorrupt = "skip",
        seed: int = 0,
        modality: str = IMAGE_MODALITY,
    ) -> None:
        if min(dim, thumbnail_size, max_images, max_fit_images) < 1:
            raise QBert4RecError("dim, thumbnail_size and numbers of images must be 1 or more")
        if on_corrupt not in ("skip", "error"):
            raise QBert4RecError(f"on_corrupt must be skip or error, got {on_corrupt!r}")
        self.modality = modality
        self.requested_dim = dim
        self.thumbnail_size = thumbnail_size
        self.max_images = max_images
        self.max_fit_images = max_fit_images
        self.on_corrupt: OnCorrupt = on_corrupt
        self.seed = seed
        self._mean: np.ndarray | None = None
        self._axes: np.ndarray | None = None
        self._scale: np.ndarray | None = None

    @property
    def dim(self) -> int:
        if self._axes is None:
            raise not_fitted(self)
        return self._axes.shape[0]

    def config(self) -> dict[str, Any]:
        return {
            "dim": self.requested_dim,
            "thumbnail_size": self.thumbnail_size,
            "max_images": self.max_images,
            "max_fit_images": self.max_fit_images,
            "seed": self.seed,
            "modality": self.modality,
        }

    def runtime(self) -> dict[str, Any]:
        return {"on_corrupt": self.on_corrupt}

    def fit(self, domains: list[Domain]) -> None:
        """Fits the axes.

        Raises:
            QBert4RecError: no picture of the domains can be opened.
        """
        from sklearn.decomposition import PCA

        pictures = []
        for domain in domains:
            reader = ImageReader(domain.path, self.max_images, self.on_corrupt)
            names = item_names(domain.items)
            pictures += [
                (reader, name, image)
                for name, images in zip(names, reader.paths(domain.items), strict=True)
                for image in images
            ]
        if len(pictures) > self.max_fit_images:
            drawn = np.random.default_rng(self.seed).choice(
                len(pictures), self.max_fit_images, replace=False
            )
            pictures = [pictures[i] for i in np.sort(drawn)]
        rows = []
        with progress_bar(True, len(pictures), "fitting image axes") as advance:
            for reader, name, image in pictures:
                opened = reader.open(name, image)
                if opened is not None:
                    rows.append(self._describe(opened))
                advance(1)
        # Encoding these domains warns of what could not be opened; no need to say it twice.
        if not rows:
            raise QBert4RecError(
                f"no image of {', '.join(d.name for d in domains) or 'no domain'} can be opened; "
                f"leave the {self.modality} modality out"
            )
        data = np.stack(rows).astype(np.float64)
        self._mean = data.mean(axis=0)
        self._scale = self._balance(data - self._mean)
        rank = min(self.requested_dim, *data.shape)
        if rank < self.requested_dim:
            logger.warning(
                f"image features have {rank} axes instead of {self.requested_dim}: only "
                f"{len(data)} images can be opened"
            )
        centred = (data - self._mean) * self._scale
        solver = "full" if min(centred.shape) <= 2 * rank else "randomized"
        if len(data) == 1:
            # A single picture has no spread; any axis will do.
            self._axes = np.eye(1, data.shape[1])
            return
        pca = PCA(rank, svd_solver=solver, random_state=self.seed).fit(centred)
        self._axes = np.ascontiguousarray(pca.components_, np.float64)

    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | Bar = True
    ) -> ModalityFeatures:
        if self._axes is None:
            raise not_fitted(self)
        reader = ImageReader(root, self.max_images, self.on_corrupt)
        paths = reader.paths(items)
        num_vectors = max(map(len, paths), default=1) or 1
        features = ModalityFeatures.empty(len(items), self.dim, num_vectors)
        with progress_bar(progress, len(items), "thumbnails") as advance:
            for row, (name, images) in enumerate(zip(item_names(items), paths, strict=True)):
                for place, image in enumerate(images):
                    opened = reader.open(name, image)
                    if opened is not None:
                        features.vectors[row, place] = self._encode_one(opened)
                        features.mask[row, place] = True
                advance(1)
        reader.report()
        return features

    def state(self) -> dict[str, np.ndarray]:
        if self._axes is None or self._mean is None or self._scale is None:
            return {}
        return {"axes": self._axes, "mean": self._mean, "scale": self._scale}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self._axes, self._mean, self._scale = state["axes"], state["mean"], state["scale"]

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        return ImageReader(root, self.max_images).input_fingerprint(items)

    def _encode_one(self, image: Image) -> np.ndarray:
        # One at a time, so that a vector never depends on its batch; opening takes far longer.
        return unit(self._axes @ ((self._describe(image) - self._mean) * self._scale))

    def _describe(self, image: Image) -> np.ndarray:
        """Pixels of the thumbnail, mean and spread of the channels, share of each colour."""
        from PIL import Image, ImageOps

        side = self.thumbnail_size
        square = ImageOps.pad(image, (side, side), Image.Resampling.BOX, color=(255, 255, 255))
        pixels = np.asarray(square, np.float64) / 255
        flat = pixels.reshape(-1, 3)
        level = np.minimum((flat * _HISTOGRAM_LEVELS).astype(int), _HISTOGRAM_LEVELS - 1)
        color = (level[:, 0] * _HISTOGRAM_LEVELS + level[:, 1]) * _HISTOGRAM_LEVELS + level[:, 2]
        histogram = np.bincount(color, minlength=_HISTOGRAM_LEVELS**3) / len(flat)
        # Square roots keep the rare colours of a product on white from drowning.
        parts = [pixels.reshape(-1), flat.mean(axis=0), flat.std(axis=0), np.sqrt(histogram)]
        return np.concatenate(parts)

    def _balance(self, centred: np.ndarray) -> np.ndarray:
        """Factors that give thumbnail and colour statistics the same total variance."""
        scale = np.ones(centred.shape[1])
        for block in (slice(None, -_NUM_COLOR_STATISTICS), slice(-_NUM_COLOR_STATISTICS, None)):
            variance = float((centred[:, block] ** 2).sum(axis=1).mean())
            scale[block] = 1 / np.sqrt(variance) if variance > 1e-12 else 1.0
        return scale

"""Image features from the image branch of an `open_clip` model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..columns import IMAGE_MODALITY
from ..errors import QBert4RecError
from ..files import fingerprint
from .base import FeatureEncoder, progress_bar, register_encoder
from .hf_text import file_fingerprint, folder_fingerprint
from .images import ImageReader, OnCorrupt, item_names
from .store import ModalityFeatures
from .structural import unit

if TYPE_CHECKING:
    import torch

_LOCAL = "local-dir:"
_HUB = "hf-hub:"
# Pictures decoded before a batch runs; decoding takes the time.
_READ_AHEAD = 4


@register_encoder
class OpenClipImageEncoder(FeatureEncoder):
    """Image embeddings of a CLIP model; each picture of an item has a vector of its own.

    Args:
        model: name of an architecture ("ViT-B-32"), "hf-hub:owner/name", or "local-dir:/folder"
            with `open_clip_config.json` and weights.
        pretrained: tag of its weights ("laion2b_s34b_b79k"), or a local checkpoint; not for the
            two forms of `model` that bring their weights.
        max_images: pictures an item that are used.
        normalize: scale vectors to unit length.
        precision: "fp32", "fp16" or "bf16".
        batch_size: pictures a batch.
        device: "cpu", "cuda", ...; None takes a GPU where there is one.
        on_corrupt: what to do about a picture that cannot be opened: "skip" treats it as missing
            and warns with its name, "error" stops.
        dim: length of a vector; read from the model.
        source: where the weights came from: commit, address or fingerprint; read from the model.
            The encoder refuses other local weights by then.
        modality: name of the modality.

    Source:
        Ilharco et al., OpenCLIP, 2021. https://github.com/mlfoundations/open_clip
    """

    kind = "open_clip"

    def __init__(
        self,
        *,
        model: str = "ViT-B-32",
        pretrained: str | None = None,
        max_images: int = 4,
        normalize: bool = True,
        precision: str = "fp32",
        batch_size: int = 32,
        device: str | None = None,
        on_corrupt: OnCorrupt = "skip",
        dim: int | None = None,
        source: str | None = None,
        modality: str = IMAGE_MODALITY,
    ) -> None:
        complete = model.startswith((_LOCAL, _HUB))
        if complete == (pretrained is not None):
            raise QBert4RecError(
                f"open_clip model {model!r} brings its weights; leave pretrained out"
                if complete
                else f"open_clip model {model!r} needs weights; set pretrained to a tag or a local "
                "checkpoint"
            )
        if min(max_images, batch_size) < 1:
            raise QBert4RecError(
                f"max_images and batch_size must be 1 or more, got {max_images} and {batch_size}"
            )
        if precision not in ("fp32", "fp16", "bf16"):
            raise QBert4RecError(f"precision must be fp32, fp16 or bf16, got {precision!r}")
        if on_corrupt not in ("skip", "error"):
            raise QBert4RecError(f"on_corrupt must be skip or error, got {on_corrupt!r}")
        self.model = model
        self.pretrained = pretrained
        self.max_images = max_images
        self.normalize = normalize
        self.precision = precision
        self.batch_size = batch_size
        self.device = device
        self.on_corrupt: OnCorrupt = on_corrupt
        self.modality = modality
        self._dim = dim
        self.source = source
        self._loaded: tuple[Any, Any] | None = None

    @property
    def dim(self) -> int:
        if self._dim is None:
            self._load()
        return self._dim  # type: ignore[return-value]  # loading sets it

    def config(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "pretrained": self.pretrained,
            "max_images": self.max_images,
            "normalize": self.normalize,
            "precision": self.precision,
            "dim": self._dim,
            "source": self.source,
            "modality": self.modality,
        }

    def runtime(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size, "on_corrupt": self.on_corrupt}

    def fingerprint(self) -> str:
        """Names settings and weights, local weights by what is in them."""
        if self.source is None:
            self._load()
        settings = {k: v for k, v in self.config().items() if k != "dim"}
        local = local_weights(self.model, self.pretrained)
        for name in ("model", "pretrained") if local is not None and local.is_dir() else ():
            del settings[name]
        if local is not None and local.is_file():
            del settings["pretrained"]
        return fingerprint(self.kind, settings)

    def save(self, folder: str | os.PathLike) -> None:
        if self.source is None:
            self._load()
        super().save(folder)

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        return ImageReader(root, self.max_images).input_fingerprint(items)

    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | tqdm = True
    ) -> ModalityFeatures:
        self._load()
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
            for start in range(0, len(pictures), self.batch_size):
                batch = pictures[start : start + self.batch_size]
                self._encode_batch(batch, reader, features)
                advance(batch[-1][0] - advanced)
                advanced = batch[-1][0]
            advance(len(items) - advanced)
        reader.report()
        return ModalityFeatures(features.vectors, features.mask)

    def _encode_batch(
        self,
        batch: list[tuple[int, int, str, str]],
        reader: ImageReader,
        features: ModalityFeatures,
    ) -> None:
        """Encodes pictures given as row, place, item id and path, and puts them in their rows."""
        from concurrent.futures import ThreadPoolExecutor

        _, preprocess = self._load()

        def prepare(picture: tuple[int, int, str, str]) -> torch.Tensor | None:
            image = reader.open(picture[2], picture[3])
            return None if image is None else preprocess(image)

        with ThreadPoolExecutor(_READ_AHEAD) as pool:
            prepared = list(pool.map(prepare, batch))
        places = [i for i, pixels in enumerate(prepared) if pixels is not None]
        if not places:
            return
        vectors = self._forward([prepared[i] for i in places])
        for i, vector in zip(places, vectors, strict=True):
            row, place = batch[i][:2]
            features.vectors[row, place] = vector
            features.mask[row, place] = True

    def _forward(self, pixels: list[torch.Tensor]) -> np.ndarray:
        """Vectors `[pictures, dim]` of prepared pictures."""
        import torch

        model, _ = self._load()
        weight = next(model.parameters())
        with torch.inference_mode():
            stacked = torch.stack(pixels).to(weight.device, self._dtype())
            vectors = model.encode_image(stacked).float().cpu().numpy()
        return unit(vectors) if self.normalize else vectors

    def _dtype(self) -> torch.dtype:
        import torch

        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[
            self.precision
        ]

    def _load(self) -> tuple[Any, Any]:
        """Model and its preprocessing, loaded when first needed."""
        if self._loaded is not None:
            return self._loaded
        import open_clip
        import torch

        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        local = local_weights(self.model, self.pretrained)
        source = self._source(local)
        if self.source is not None and local is not None and source != self.source:
            raise QBert4RecError(
                f"{local} does not hold the weights that the features were made with; bring back "
                "the old ones, or encode all domains again"
            )
        with self._explained():
            model, _, preprocess = open_clip.create_model_and_transforms(
                self.model, pretrained=self.pretrained, precision=self.precision, device=device
            )
        # The image branch is all that is used; the text branch may be the larger one.
        for name in ("transformer", "text", "token_embedding"):
            if hasattr(model, name):
                delattr(model, name)
        model.eval()
        size = model.visual.image_size
        height, width = size if isinstance(size, tuple | list) else (size, size)
        with torch.inference_mode():
            blank = torch.zeros(1, 3, height, width, device=device, dtype=self._dtype())
            found = model.encode_image(blank).shape[1]
        self._dim = int(found)
        # Asked again: for weights from the Hub the commit is known once they are here.
        self.source = self._source(local)
        self._loaded = (model, preprocess)
        return self._loaded

    def _source(self, local: Path | None) -> str:
        """Fingerprint of local weights; commit or address of others, as far as it is known."""
        import open_clip
        from huggingface_hub import try_to_load_from_cache

        if local is not None:
            if not local.exists():
                raise QBert4RecError(f"open_clip weights {local} do not exist; check the path")
            return folder_fingerprint(local) if local.is_dir() else file_fingerprint(local)
        if self.model.startswith(_HUB):
            repository, file = self.model.removeprefix(_HUB), "open_clip_config.json"
        else:
            about = open_clip.get_pretrained_cfg(self.model, self.pretrained) or {}
            repository = about.get("hf_hub", "").rstrip("/")
            file = "open_clip_model.safetensors"
            if not repository:
                return json.dumps(about.get("url") or f"{self.model}/{self.pretrained}")
        for name in (file, "open_clip_pytorch_model.bin", "open_clip_config.json"):
            cached = try_to_load_from_cache(repository, name)
            if isinstance(cached, str):
                return f"{repository}@{Path(cached).parent.name}"
        return repository

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns the errors of loading into one line that says what to do."""
        try:
            yield
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:300]
            raise QBert4RecError(
                f"open_clip model {self.model!r} with weights {self.pretrained!r} cannot be loaded "
                f"({reason}); check both names, the checkpoint or the network, or choose the "
                "pca_image encoder"
            ) from None


def local_weights(model: str, pretrained: str | None) -> Path | None:
    """The local folder or checkpoint that a model's weights come from; None for a download."""
    if model.startswith(_LOCAL):
        return Path(model.removeprefix(_LOCAL))
    if pretrained is not None and (os.sep in pretrained or Path(pretrained).is_file()):
        return Path(pretrained)
    return None

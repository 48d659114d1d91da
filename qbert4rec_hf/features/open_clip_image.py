"""Image features from the image branch of an `open_clip` model."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns import IMAGE_MODALITY
from ..errors import QBert4RecError
from ..files import fingerprint
from .base import register_encoder
from .images import OnCorrupt
from .pretrained import chosen_device, file_fingerprint, folder_fingerprint
from .pretrained_image import PretrainedImageEncoder

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

_LOCAL = "local-dir:"
_HUB = "hf-hub:"


@register_encoder
class OpenClipImageEncoder(PretrainedImageEncoder):
    """Image embeddings of a CLIP model; each picture of an item has a vector of its own.

    Args:
        model: name of an architecture ("ViT-B-32"), "hf-hub:owner/name", or "local-dir:/folder"
            with `open_clip_config.json` and weights.
        pretrained: tag of its weights ("laion2b_s34b_b79k"), or a local checkpoint; not for the
            two forms of `model` that bring their weights.
        max_images: pictures an item that are used.
        normalize: scale vectors to unit length.
        precision: "fp32", "fp16" or "bf16".
        batch_size: pictures a batch at most; batches that do not fit into memory are halved.
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
    noun = "open_clip model"
    instead = "choose the pca_image encoder"

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
        if precision not in ("fp32", "fp16", "bf16"):
            raise QBert4RecError(f"precision must be fp32, fp16 or bf16, got {precision!r}")
        super().__init__(
            max_images=max_images,
            batch_size=batch_size,
            on_corrupt=on_corrupt,
            model=model,
            normalize=normalize,
            device=device,
            dim=dim,
            source=source,
            modality=modality,
        )
        self.pretrained = pretrained
        self.precision = precision

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

    def fingerprint(self) -> str:
        """Names settings and weights, local weights by what is in them."""
        self._identify()
        settings = {k: v for k, v in self.config().items() if k != "dim"}
        local = local_weights(self.model, self.pretrained)
        for name in ("model", "pretrained") if local is not None and local.is_dir() else ():
            del settings[name]
        if local is not None and local.is_file():
            del settings["pretrained"]
        return fingerprint(self.kind, settings)

    @property
    def named(self) -> str:
        weights = "" if self.pretrained is None else f" with weights {self.pretrained!r}"
        return f"{self.noun} {self.model!r}{weights}"

    def _identify(self) -> None:
        if self._dim is None or self.source is None:
            self._network()

    def _prepare(self, image: Image) -> torch.Tensor:
        _, preprocess = self._network()
        return preprocess(image)

    def _forward(self, prepared: Sequence[torch.Tensor]) -> np.ndarray:
        import torch

        model, _ = self._network()
        device = next(model.parameters()).device
        with torch.inference_mode():
            stacked = torch.stack(list(prepared)).to(device, self._dtype())
            return self._vectors(model.encode_image(stacked))

    def _dtype(self) -> torch.dtype:
        import torch

        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[
            self.precision
        ]

    def _load(self) -> tuple[Any, Any]:
        """Model and its preprocessing."""
        import open_clip
        import torch

        device = chosen_device(self.device)
        local = local_weights(self.model, self.pretrained)
        if local is not None:
            # Before the weights are read: it says so when they are not there.
            present = self._source(local)
            if self.source not in (None, present):
                raise self._another_network()
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
            found = int(model.encode_image(blank).shape[1])
        # For weights from the Hub the commit is known only now that they are here.
        self._dim, self.source = found, self._source(local)
        return model, preprocess

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


def local_weights(model: str, pretrained: str | None) -> Path | None:
    """The local folder or checkpoint that a model's weights come from; None for a download."""
    if model.startswith(_LOCAL):
        return Path(model.removeprefix(_LOCAL))
    if pretrained is not None and (os.sep in pretrained or Path(pretrained).is_file()):
        return Path(pretrained)
    return None

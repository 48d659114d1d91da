"""Text features from any text model of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ..columns import TEXT_MODALITY
from ..errors import QBert4RecError
from ..files import fingerprint
from .base import register_encoder
from .batches import Batcher
from .hf_model import HFEncoder, Quantization, input_device
from .progress import Bar, progress_bar
from .store import ModalityFeatures
from .text_template import TextTemplate, template_of

if TYPE_CHECKING:
    import torch

# These count positions from the padding index up, so that many are not for tokens.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer")
# Tokens a batch, padding included, where nothing else is asked for: enough to keep the device busy.
_CPU_TOKENS, _GPU_TOKENS = 1024, 65536
_TOKEN_LETTERS = 4  # about how many letters a token has, for the progress bar
POOLINGS = ("mean", "last", "cls")


@register_encoder
class HFTextEncoder(HFEncoder):
    """Last hidden states of a text model, pooled over the tokens of a text.

    Any model that `AutoModel` opens: encoders such as MiniLM (mean pooling), decoders such as
    LLaMA (last-token pooling), the encoder half of models such as T5. Texts run in batches of like
    lengths and are padded on the right, whatever the tokenizer would do; but for rounding, the
    vector of a text does not depend on what runs with it.

    Args:
        model: repository or folder of the model.
        revision: branch, tag or commit; the commit that was loaded is recorded in its place.
        pooling: "mean" over the tokens, the "last" token, or the first one ("cls").
        max_length: tokens that a text is cut to, those that the tokenizer adds included; the
            model's own limit where that is lower.
        normalize: scale vectors to unit length.
        template: which columns make up the text; a `TextTemplate` or its settings.
        prefix: put before every text, for models that were trained with one ("passage: ").
        dtype, quantization, model_kwargs, attn_implementation, device_map, device,
            trust_remote_code: how the model is opened, as for `HFEncoder`.
        batch_size: texts a batch at most; None for as many as `batch_tokens` holds.
        batch_tokens: tokens a batch at most, padding included; None chooses for the device, or
            sets no limit where `batch_size` is given. Batches that do not fit into memory are
            halved in any case.
        dim: length of a vector; read from the model.
        source: fingerprint of a model in a local folder; read from the folder. The encoder refuses
            a folder that holds something else by then.
        modality: name of the modality.
    """

    kind = "hf_text"
    noun = "text model"
    instead = "choose the tfidf encoder"

    def __init__(
        self,
        *,
        model: str,
        revision: str | None = None,
        pooling: Literal["mean", "last", "cls"] = "mean",
        max_length: int = 512,
        normalize: bool = True,
        template: TextTemplate | dict[str, Any] | None = None,
        prefix: str = "",
        dtype: str = "float32",
        quantization: Quantization | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        attn_implementation: str | None = None,
        device_map: str | dict[str, Any] | None = None,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        device: str | None = None,
        trust_remote_code: bool = False,
        dim: int | None = None,
        source: str | None = None,
        modality: str = TEXT_MODALITY,
    ) -> None:
        super().__init__(
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
        if pooling not in POOLINGS:
            raise QBert4RecError(f"pooling must be {', '.join(POOLINGS)}, got {pooling!r}")
        sizes = {"max_length": max_length, "batch_size": batch_size, "batch_tokens": batch_tokens}
        for name, size in sizes.items():
            if size is not None and size < 1:
                raise QBert4RecError(f"{name} must be 1 or more, got {size}")
        self.pooling = pooling
        self.max_length = max_length
        self.template = template_of(template)
        self.prefix = prefix
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self._batcher: Batcher | None = None

    def config(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "revision": self.revision,
            "pooling": self.pooling,
            "max_length": self.max_length,
            "normalize": self.normalize,
            "template": self.template.to_dict(),
            "prefix": self.prefix,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "model_kwargs": self.model_kwargs,
            "dim": self._dim,
            "source": self.source,
            "modality": self.modality,
        }

    def runtime(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size, "batch_tokens": self.batch_tokens}

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        return fingerprint(self.template.render(items))

    def effort(self, items: pd.DataFrame) -> np.ndarray:
        tokens = [
            sum(min(len(text) / _TOKEN_LETTERS + 1, self.max_length) for text in texts if text)
            for texts in self.template.render(items)
        ]
        return np.array(tokens, float)

    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | Bar = True
    ) -> ModalityFeatures:
        rows = self.template.render(items)
        places = [(row, j) for row, texts in enumerate(rows) for j, t in enumerate(texts) if t]
        tokens = self._tokens([rows[row][j] for row, j in places])
        kept = [i for i, ids in enumerate(tokens) if len(ids)]
        lengths = [len(tokens[i]) for i in kept]
        features = ModalityFeatures.empty(len(items), self.dim, self.template.num_texts)
        total, work, advanced = sum(lengths), 0, 0
        with progress_bar(progress, len(items), f"{self.modality} of {self.model}") as advance:
            batches = self._batches().run(
                lengths, lambda batch: self._forward([tokens[kept[i]] for i in batch])
            )
            for batch, vectors in batches:
                for i, vector in zip(batch, vectors, strict=True):
                    row, j = places[kept[i]]
                    features.vectors[row, j] = vector
                    features.mask[row, j] = True
                # Items go by the tokens done: the long texts come first, the last ones are quick.
                work += sum(lengths[i] for i in batch)
                done = len(items) * work // total
                advance(done - advanced)
                advanced = done
            advance(len(items) - advanced)
        return ModalityFeatures(features.vectors, features.mask)

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, with those that the tokenizer adds."""
        if not texts:
            return []
        tokenizer, _ = self._network()
        limit = self._limit()
        if self.prefix:
            length = len(tokenizer(self.prefix)["input_ids"])
            if length >= limit:
                raise QBert4RecError(
                    f"prefix has {length} tokens, and texts are cut to {limit}; shorten it, or "
                    "raise max_length"
                )
        encoded = tokenizer(
            [self.prefix + text for text in texts],
            truncation=True,
            max_length=limit,
            return_attention_mask=False,
        )
        return encoded["input_ids"]

    def _batches(self) -> Batcher:
        """How texts are put together; what it learns of the memory lasts."""
        if self._batcher is None:
            tokens = self.batch_tokens
            if tokens is None and self.batch_size is None:
                _, model = self._network()
                tokens = _CPU_TOKENS if input_device(model).type == "cpu" else _GPU_TOKENS
            self._batcher = Batcher(
                tokens,
                self.batch_size,
                noun="text",
                hint="lower max_length, or choose another dtype or a smaller model",
            )
        return self._batcher

    def _forward(self, tokens: list[list[int]]) -> np.ndarray:
        """Vectors `[texts, dim]` of texts given as token ids."""
        import torch

        tokenizer, model = self._network()
        lengths = torch.tensor([len(ids) for ids in tokens])
        mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
        padded = torch.full(mask.shape, tokenizer.pad_token_id)
        padded[mask.bool()] = torch.tensor([token for ids in tokens for token in ids])
        device = input_device(model)
        padded, mask = padded.to(device), mask.to(device)
        with torch.inference_mode():
            output = model(input_ids=padded, attention_mask=mask)
            states = output.last_hidden_state
            return self._vectors(pool(states, mask.to(states.device), self.pooling))

    def _limit(self) -> int:
        """Tokens that a text may have: the least of what was asked for and what the model takes."""
        tokenizer, model = self._network()
        limits = [self.max_length, tokenizer.model_max_length]
        config = model.config.get_text_config()
        positions = getattr(config, "max_position_embeddings", None)
        if isinstance(positions, int) and positions > 0:
            offset = (config.pad_token_id or 0) + 1 if config.model_type in _OFFSET_POSITIONS else 0
            limits.append(positions - offset)
        return min(limits)

    def _identify(self) -> None:
        # The configuration is enough; the weights may be large.
        if self._dim is not None:
            return
        from transformers import AutoConfig

        with self._explained():
            config = AutoConfig.from_pretrained(self._place, **self._origin())
        self._record_config(config)

    def _record_config(self, config: Any) -> None:
        self._record(config.get_text_config().hidden_size, self._local_source())
        self._record_commit(config)

    def _load(self) -> tuple[Any, Any]:
        """Tokenizer and model."""
        from transformers import AutoTokenizer

        with self._explained():
            tokenizer = AutoTokenizer.from_pretrained(self._place, **self._origin())
        model, _ = self._open_model()
        self._record_config(model.config)
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        # A decoder would keep keys and values of every token for a next one that never comes.
        model.config.use_cache = False
        if tokenizer.pad_token is None:
            # What stands there is masked, so any token will do.
            tokenizer.pad_token = (
                tokenizer.eos_token
                or tokenizer.unk_token
                or tokenizer.bos_token
                or tokenizer.convert_ids_to_tokens(0)
            )
        return tokenizer, model


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """One vector a text from the hidden states of its tokens.

    Args:
        states: `[texts, tokens, dim]`, padded on either side.
        mask: `[texts, tokens]`, 1 for tokens and 0 for padding; no text is empty.
        pooling: "mean", "last" or "cls".

    Returns:
        `[texts, dim]`, float32.
    """
    states = states.float()
    if pooling != "mean":
        kept = mask.long()
        first = kept.argmax(dim=1)
        place = first if pooling == "cls" else first + kept.sum(dim=1) - 1
        return states[range(len(states)), place]
    # Where rather than a product: hidden states of padding may be anything, even infinite.
    kept = states.where(mask[:, :, None].bool(), 0.0)
    return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True)

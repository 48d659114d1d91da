"""Text features from any text model of the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from tqdm.auto import tqdm
from transformers.utils import logging

from ..columns import TEXT_MODALITY
from ..errors import QBert4RecError
from ..files import fingerprint
from .base import FeatureEncoder, progress_bar, register_encoder
from .store import ModalityFeatures
from .structural import unit
from .text_template import TextTemplate, template_of

if TYPE_CHECKING:
    import torch

logger = logging.get_logger(__name__)

# These count positions from the padding index up, so that many are not for tokens.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer")
# How much of the beginning and the end of a large local file goes into its fingerprint.
_HASHED_BYTES = 1 << 20


@register_encoder
class HFTextEncoder(FeatureEncoder):
    """Last hidden states of a text model, pooled over the tokens of a text.

    Any model that `AutoModel` opens: encoders such as MiniLM (mean pooling), decoders such as
    LLaMA (last-token pooling), the encoder half of models such as T5. Texts are padded on the
    right, which changes neither kind of pooling, and run in batches of like lengths.

    Args:
        model: repository or folder of the model.
        revision: branch, tag or commit; the commit that was loaded is recorded in its place.
        pooling: "mean" over the tokens, or the "last" token.
        max_length: tokens that a text is cut to; the model's own limit where that is lower.
        normalize: scale vectors to unit length.
        template: which columns make up the text; a `TextTemplate` or its settings.
        prefix: put before every text, for models that were trained with one ("passage: ").
        dtype: "float32", "bfloat16", "float16", or "auto" for that of the checkpoint.
        batch_size: texts a batch.
        device: "cpu", "cuda", ...; None takes a GPU where there is one.
        trust_remote_code: run code that comes with the model.
        dim: length of a vector; read from the model.
        source: fingerprint of a model in a local folder; read from the folder. The encoder refuses
            a folder that holds something else by then.
        modality: name of the modality.
    """

    kind = "hf_text"

    def __init__(
        self,
        *,
        model: str,
        revision: str | None = None,
        pooling: Literal["mean", "last"] = "mean",
        max_length: int = 512,
        normalize: bool = True,
        template: TextTemplate | dict[str, Any] | None = None,
        prefix: str = "",
        dtype: str = "float32",
        batch_size: int = 32,
        device: str | None = None,
        trust_remote_code: bool = False,
        dim: int | None = None,
        source: str | None = None,
        modality: str = TEXT_MODALITY,
    ) -> None:
        if pooling not in ("mean", "last"):
            raise QBert4RecError(f"pooling must be mean or last, got {pooling!r}")
        if dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise QBert4RecError(f"dtype must be auto, float32, bfloat16 or float16, got {dtype!r}")
        if min(max_length, batch_size) < 1:
            raise QBert4RecError(
                f"max_length and batch_size must be 1 or more, got {max_length} and {batch_size}"
            )
        self.model = str(model)
        self.revision = revision
        self.pooling = pooling
        self.max_length = max_length
        self.normalize = normalize
        self.template = template_of(template)
        self.prefix = prefix
        self.dtype = dtype
        self.batch_size = batch_size
        self.device = device
        self.trust_remote_code = trust_remote_code
        self.modality = modality
        self._dim = dim
        self.source = source
        self._loaded: tuple[Any, Any] | None = None

    @property
    def dim(self) -> int:
        self._identify()
        return self._dim  # type: ignore[return-value]  # identifying sets it

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
            "dim": self._dim,
            "source": self.source,
            "modality": self.modality,
        }

    def runtime(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size}

    def fingerprint(self) -> str:
        """Names settings and model: its commit, or what lies in its local folder."""
        self._identify()
        unimportant = ("dim", "model" if self.source else "source")
        settings = {k: v for k, v in self.config().items() if k not in unimportant}
        return fingerprint(self.kind, settings)

    def save(self, folder: str | os.PathLike) -> None:
        self._identify()
        super().save(folder)

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        return fingerprint(self.template.render(items))

    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | tqdm = True
    ) -> ModalityFeatures:
        tokenizer, _ = self._load()
        rows = self.template.render(items)
        places = [(row, j) for row, texts in enumerate(rows) for j, t in enumerate(texts) if t]
        texts = [self.prefix + rows[row][j] for row, j in places]
        features = ModalityFeatures.empty(len(items), self.dim, self.template.num_texts)
        with progress_bar(progress, len(items), f"{self.modality} of {self.model}") as advance:
            tokens = (
                tokenizer(
                    texts,
                    truncation=True,
                    max_length=self._limit(),
                    return_attention_mask=False,
                )["input_ids"]
                if texts
                else []
            )
            kept = [i for i, ids in enumerate(tokens) if len(ids)]
            # Longest first: what does not fit into memory fails at once, not at the end.
            kept.sort(key=lambda i: -len(tokens[i]))
            advanced = 0
            for start in range(0, len(kept), self.batch_size):
                batch = kept[start : start + self.batch_size]
                vectors = self._forward([tokens[i] for i in batch])
                for i, vector in zip(batch, vectors, strict=True):
                    row, j = places[i]
                    features.vectors[row, j] = vector
                    features.mask[row, j] = True
                done = len(items) * (start + len(batch)) // len(kept)
                advance(done - advanced)
                advanced = done
            advance(len(items) - advanced)
        return ModalityFeatures(features.vectors, features.mask)

    def _forward(self, tokens: list[list[int]]) -> np.ndarray:
        """Vectors `[texts, dim]` of texts given as token ids."""
        import torch

        tokenizer, model = self._load()
        lengths = torch.tensor([len(ids) for ids in tokens])
        mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
        padded = torch.full(mask.shape, tokenizer.pad_token_id)
        padded[mask.bool()] = torch.tensor([token for ids in tokens for token in ids])
        padded, mask = padded.to(model.device), mask.to(model.device)
        with torch.inference_mode():
            output = model(input_ids=padded, attention_mask=mask)
        pooled = pool(output.last_hidden_state, mask, self.pooling)
        vectors = pooled.cpu().numpy()
        return unit(vectors) if self.normalize else vectors

    def _limit(self) -> int:
        """Tokens that a text may have: the least of what was asked for and what the model takes."""
        tokenizer, model = self._load()
        limits = [self.max_length, tokenizer.model_max_length]
        config = model.config.get_text_config()
        positions = getattr(config, "max_position_embeddings", None)
        if isinstance(positions, int) and positions > 0:
            offset = (config.pad_token_id or 0) + 1 if config.model_type in _OFFSET_POSITIONS else 0
            limits.append(positions - offset)
        return min(limits)

    def _identify(self) -> None:
        """Finds out dimension and commit, or fingerprint of the folder, without the weights."""
        if self._dim is not None:
            return
        from transformers import AutoConfig

        with self._explained():
            config = AutoConfig.from_pretrained(self.model, **self._origin())
        self._record(config)

    def _load(self) -> tuple[Any, Any]:
        """Tokenizer and model, loaded when first needed."""
        if self._loaded is not None:
            return self._loaded
        import torch
        from transformers import AutoModel, AutoTokenizer

        dtype = self.dtype if self.dtype == "auto" else getattr(torch, self.dtype)
        with self._explained():
            tokenizer = AutoTokenizer.from_pretrained(self.model, **self._origin())
            model = AutoModel.from_pretrained(self.model, dtype=dtype, **self._origin())
        self._record(model.config)
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
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._loaded = (tokenizer, model.eval().to(device))
        return self._loaded

    def _origin(self) -> dict[str, Any]:
        origin = {"trust_remote_code": self.trust_remote_code}
        return origin if self.revision is None else {**origin, "revision": self.revision}

    def _record(self, config: Any) -> None:
        """Keeps what tells this model from another, or checks it against what was kept."""
        dim = config.get_text_config().hidden_size
        folder = Path(self.model)
        source = folder_fingerprint(folder) if folder.is_dir() else None
        if self._dim is not None and (dim, source) != (self._dim, self.source):
            raise QBert4RecError(
                f"text model {self.model} is not the one that the features were made with; bring "
                "back the old one, or encode all domains again"
            )
        self._dim, self.source = dim, source
        if source is None:
            self.revision = getattr(config, "_commit_hash", None) or self.revision

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns the errors of loading into one line that says what to do."""
        try:
            yield
        except (OSError, ValueError, ImportError, KeyError) as error:
            reason = " ".join(str(error).split())
            if "trust_remote_code" in reason:
                raise QBert4RecError(
                    f"text model {self.model} brings code of its own; set trust_remote_code to "
                    "run it, if you trust its source"
                ) from None
            raise QBert4RecError(
                f"text model {self.model} cannot be loaded ({reason[:300]}); check its name, its "
                "folder or the network, or choose the tfidf encoder"
            ) from None


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """One vector a text from the hidden states of its tokens.

    Args:
        states: `[texts, tokens, dim]`, padded on the right.
        mask: `[texts, tokens]`, 1 for tokens and 0 for padding.
        pooling: "mean" or "last".

    Returns:
        `[texts, dim]`, float32.
    """
    states = states.float()
    if pooling == "last":
        last = mask.sum(dim=1) - 1
        return states[range(len(states)), last]
    # Where rather than a product: hidden states of padding may be anything, even infinite.
    kept = states.where(mask[:, :, None].bool(), 0.0)
    return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True)


def folder_fingerprint(folder: Path) -> str:
    """Names a local model: names and sizes of its files, small files whole, large ones in part."""
    parts: list[Any] = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
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

"""Text features from any text model of the Hugging Face Hub."""

from __future__ import annotations

import hashlib
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
        dim: length of a vector, where it is known.
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
        self._loaded: tuple[Any, Any] | None = None

    @property
    def dim(self) -> int:
        if self._dim is None:
            self._load()
        return self._dim  # type: ignore[return-value]  # loading sets it

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
            "modality": self.modality,
        }

    def runtime(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size}

    def fingerprint(self) -> str:
        """Names settings and model: its commit, or what lies in its local folder."""
        settings = {key: value for key, value in self.config().items() if key != "dim"}
        folder = Path(self.model)
        if folder.is_dir():
            settings["model"] = folder_fingerprint(folder)
        elif self._loaded is None and self._dim is None:
            # Only loading tells which commit a branch or tag stands for.
            self._load()
            settings["revision"] = self.revision
        return fingerprint(self.kind, settings)

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
        padded = tokenizer.pad(
            {"input_ids": tokens}, padding=True, padding_side="right", return_tensors="pt"
        ).to(model.device)
        with torch.inference_mode():
            output = model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"])
        pooled = pool(output.last_hidden_state, padded["attention_mask"], self.pooling)
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

    def _load(self) -> tuple[Any, Any]:
        """Tokenizer and model, loaded when first needed."""
        if self._loaded is not None:
            return self._loaded
        import torch
        from transformers import AutoModel, AutoTokenizer

        common = {"revision": self.revision, "trust_remote_code": self.trust_remote_code}
        common = {key: value for key, value in common.items() if value is not None}
        dtype = self.dtype if self.dtype == "auto" else getattr(torch, self.dtype)
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.model, **common)
            model = AutoModel.from_pretrained(self.model, dtype=dtype, **common)
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
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        if tokenizer.pad_token is None:
            # What stands there is masked, so any token will do.
            tokenizer.pad_token = (
                tokenizer.eos_token
                or tokenizer.unk_token
                or tokenizer.bos_token
                or tokenizer.convert_ids_to_tokens(0)
            )
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        model = model.eval().to(device)
        commit = getattr(model.config, "_commit_hash", None)
        if commit and not Path(self.model).is_dir():
            self.revision = commit
        found = model.config.get_text_config().hidden_size
        if self._dim is not None and self._dim != found:
            raise QBert4RecError(
                f"text model {self.model} gives vectors of {found} numbers where {self._dim} were "
                "recorded; it is another model than the one that the features were made with"
            )
        self._dim = found
        self._loaded = (tokenizer, model)
        return self._loaded


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

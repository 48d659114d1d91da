"""What encoders around a model of the Hugging Face Hub have in common: opening it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import QBert4RecError
from ..files import fingerprint
from .pretrained import PretrainedEncoder, chosen_device, folder_fingerprint

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Quantization = Literal["int8", "int4"]
DTYPES = ("auto", "float32", "bfloat16", "float16")
# What `model_kwargs` must not hold: arguments that have an option of their own, ...
_OPTIONS = ("trust_remote_code", "revision", "dtype", "torch_dtype", "device_map")
_OPTIONS += ("attn_implementation", "output_loading_info")
# ... and secrets, which would be saved with the model.
_SECRETS = ("token", "use_auth_token")
# Those of `model_kwargs` that say where files lie, so that configuration and tokenizer need them.
_PLACES = ("subfolder", "cache_dir", "local_files_only")
# Settings that came later. At their defaults they are left out of the fingerprint, so that models
# saved before keep theirs.
_LATER: dict[str, Any] = {"quantization": None, "model_kwargs": {}}


class HFEncoder(PretrainedEncoder):
    """An encoder around any model that `AutoModel` opens.

    Args:
        model: repository or folder of the model.
        revision: branch, tag or commit; the commit that was loaded is recorded in its place.
        dtype: "float32", "bfloat16", "float16", or "auto" for that of the checkpoint.
        quantization: "int8" or "int4" loads the weights so, through bitsandbytes; `dtype` is then
            that of the computation. In int8 a batch is rounded as a whole, so that a vector moves
            a little (in the third digit) with what else is in its batch.
        model_kwargs: further arguments of `from_pretrained`, plain values only. They may make a
            model run code, so from a saved folder they count only with `trust_remote_code`.
        attn_implementation: "sdpa", "eager", "flash_attention_2", ...; belongs to the machine and
            is not saved.
        device_map: "auto" or a mapping, for a model that one device cannot hold; belongs to the
            machine and is not saved.
        device: "cpu", "cuda", ...; None takes a GPU where there is one.
        trust_remote_code: run code that comes with the model.
        **common: of `PretrainedEncoder`.

    Raises:
        QBert4RecError: an option out of range.
    """

    def __init__(
        self,
        *,
        revision: str | None,
        dtype: str,
        quantization: Quantization | None,
        model_kwargs: Mapping[str, Any] | None,
        attn_implementation: str | None,
        device_map: str | dict[str, Any] | None,
        device: str | None,
        trust_remote_code: bool,
        **common: Any,
    ) -> None:
        super().__init__(device=device, **common)
        if dtype not in DTYPES:
            raise QBert4RecError(f"dtype must be {', '.join(DTYPES)}, got {dtype!r}")
        if quantization not in (None, "int8", "int4"):
            raise QBert4RecError(f"quantization must be int8, int4 or null, got {quantization!r}")
        if device is not None and device_map is not None:
            raise QBert4RecError(
                f"device is {device!r} and device_map is {device_map!r}; give one of them"
            )
        self.revision = revision
        self.dtype = dtype
        self.quantization = quantization
        self.model_kwargs = _checked(model_kwargs)
        self.attn_implementation = attn_implementation
        self.device_map = device_map
        self.trust_remote_code = trust_remote_code
        self._from_file = False

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HFEncoder:
        encoder = super().from_config(config)
        encoder._from_file = True
        return encoder

    def fingerprint(self) -> str:
        """Names settings and model: its commit, or what lies in its local folder."""
        self._identify()
        unimportant = ("dim", "model" if self.source else "source")
        settings = {
            name: value
            for name, value in self.config().items()
            if name not in unimportant and not (name in _LATER and value == _LATER[name])
        }
        return fingerprint(self.kind, settings)

    # -- the model -------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        """Where the model lies: its repository or folder."""
        return self.model

    def _origin(self) -> dict[str, Any]:
        """Arguments of `from_pretrained` for configuration, tokenizer and model alike."""
        origin = {"trust_remote_code": self.trust_remote_code}
        if self.revision is not None:
            origin["revision"] = self.revision
        return origin | {k: v for k, v in self.model_kwargs.items() if k in _PLACES}

    def _open_model(self) -> tuple[PreTrainedModel, set[str]]:
        """Reads the model, and puts it where it is to run.

        Returns:
            The model, and those of its weights that the checkpoint lacks.

        Raises:
            QBert4RecError: it cannot be read, or lacks weights that matter.
        """
        import torch
        from transformers import AutoModel

        if self.model_kwargs and self._from_file and not self.trust_remote_code:
            raise QBert4RecError(
                f"{self.named} was saved with model_kwargs "
                f"({', '.join(self.model_kwargs)}), which can make a model run code; set "
                "trust_remote_code to use them, if you trust their source"
            )
        dtype = self.dtype if self.dtype == "auto" else getattr(torch, self.dtype)
        # A checkpoint that is a pickle could run code; model_kwargs may ask for it all the same.
        arguments = {"use_safetensors": True, **self.model_kwargs, **self._origin(), "dtype": dtype}
        if self.attn_implementation is not None:
            arguments["attn_implementation"] = self.attn_implementation
        if self.device_map is not None:
            arguments["device_map"] = self.device_map
        if self.quantization is not None:
            arguments["quantization_config"] = self._quantization(dtype)
            if self.device is not None:
                arguments["device_map"] = {"": self.device}
        with self._explained():
            model, report = AutoModel.from_pretrained(
                self._place, output_loading_info=True, **arguments
            )
            # A model in pieces, or with quantized weights, has been put into its place already.
            if "device_map" not in arguments and "quantization_config" not in arguments:
                model = model.to(chosen_device(self.device))
        absent = set(report["missing_keys"])
        self._check_complete(model, absent)
        return model.eval(), absent

    def _quantization(self, dtype: torch.dtype | str) -> Any:
        if importlib.util.find_spec("bitsandbytes") is None:
            raise QBert4RecError(
                f"{self.named} in {self.quantization} needs bitsandbytes; pip install "
                "bitsandbytes, or leave quantization out"
            )
        from transformers import BitsAndBytesConfig

        if self.quantization == "int8":
            return BitsAndBytesConfig(load_in_8bit=True)
        computing = {} if dtype == "auto" else {"bnb_4bit_compute_dtype": dtype}
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", **computing)

    def _check_complete(self, model: PreTrainedModel, absent: set[str]) -> None:
        # Poolers and decoders are not used (images see to their pooler themselves).
        unused = ("decoder.",) if model.config.is_encoder_decoder else ()
        needed = sorted(n for n in absent if "pooler" not in n and not n.startswith(unused))
        if needed:
            raise QBert4RecError(
                f"{self.named} lacks weights ({needed[0]} and {len(needed) - 1} more), "
                "which would be random numbers; give a checkpoint that is complete"
            )

    def _local_source(self) -> str | None:
        """Fingerprint of a model in a local folder; None for one of the Hub."""
        folder = Path(self._place)
        return folder_fingerprint(folder) if folder.is_dir() else None

    def _record_commit(self, config: Any) -> None:
        if self.source is None:
            self.revision = getattr(config, "_commit_hash", None) or self.revision


def input_device(model: PreTrainedModel) -> torch.device:
    """Where a model takes its input, also one whose first weights lie on disk."""
    import torch

    devices = (parameter.device for parameter in model.parameters())
    return next((d for d in devices if d.type != "meta"), torch.device("cpu"))


def _checked(kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of `from_pretrained` that can be saved."""
    checked = {}
    for name, value in (kwargs or {}).items():
        if name in _OPTIONS:
            raise QBert4RecError(
                f"model_kwargs must not hold {name}; it is an option of its own, or none"
            )
        if name in _SECRETS:
            raise QBert4RecError(
                f"model_kwargs must not hold {name}, which would be saved with the model; log in "
                "with `hf auth login`, or set HF_TOKEN"
            )
        value = value.to_dict() if hasattr(value, "to_dict") else value
        try:
            checked[name] = json.loads(json.dumps(value))
        except TypeError:
            raise QBert4RecError(
                f"model_kwargs.{name} must be a plain value that JSON can hold, got "
                f"{type(value).__name__}"
            ) from None
    return checked

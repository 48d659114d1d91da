"""The settings of a run, and their file `config.yaml`."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from ..errors import QBert4RecError
from ..files import write_text
from ..fusion.configuration_fusion import QBert4RecFusionConfig
from ..quantizer.configuration_quantizer import QBert4RecQuantizerConfig
from ..ranking.fit_ranker import RankingSettings
from ..sequence.configuration_qbert4rec import QBert4RecConfig
from ..training.sequence_settings import ARCHITECTURES, FINETUNING, PRETRAINING, SequenceSettings
from ..training.stage_settings import (
    FusionSettings,
    QuantizerSettings,
    check_schedule,
    make_config,
)
from .feature_settings import FeatureSettings
from .settings import build, override

CONFIG_FILE = "config.yaml"
# What a section takes from the run, whether it has work to do or not.
_ANYWHERE = ("seed", "num_threads")


@dataclass
class SemanticIdSettings:
    """Where semantic IDs come from.

    Args:
        source: "quantizer" for the three stages; "codes" takes codes that were published with the
            domain as they are, and leaves features, fusion and quantizer out.
        codes: with "codes": names of the code files in the domain's `codes/` folder, their levels
            put one after the other; all of them by default.
        reallocate: with "codes": make the IDs of items that share one unique, by the features of
            these items (the features stage is then part of the run). Items with an ID of their own
            keep it. IDs from the quantizer are unique in any case.
        quantizer: in a run that starts from a model (`from_model`): "keep" codes the items with
            that model's quantizer, so that its sequence model can be fine-tuned; "retrain" trains
            the quantizer again on this domain's fused embeddings. New codes mean other things, so
            the sequence model then starts from random weights, and items that the model knew get
            other IDs.
    """

    source: Literal["quantizer", "codes"] = "quantizer"
    codes: list[str] = field(default_factory=list)
    reallocate: bool = False
    quantizer: Literal["keep", "retrain"] = "keep"

    @property
    def needs_features(self) -> bool:
        """Whether the IDs depend on what the items look like."""
        return self.source == "quantizer" or self.reallocate


@dataclass
class ModelSettings:
    """Architecture of the sequence model; what is null comes from the preset.

    Args:
        preset: "small" (2 layers, 128 wide, the last 20 items) or "paper" (4 layers, 256 wide).
        item_encoding, objective, item_bias, num_sampled_items, hidden_size, num_hidden_layers,
            num_attention_heads, hidden_dropout_prob, max_items: as in `QBert4RecConfig`.
    """

    preset: Literal["small", "paper"] = "small"
    item_encoding: Literal["grouped", "tokens"] | None = None
    objective: Literal["catalog", "codes"] | None = None
    item_bias: bool | None = None
    num_sampled_items: int | None = None
    hidden_size: int | None = None
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    hidden_dropout_prob: float | None = None
    max_items: int | None = None

    def architecture(self) -> dict[str, Any]:
        """The fields that differ from the preset."""
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name != "preset" and value is not None
        }


@dataclass
class PretrainSettings(SequenceSettings):
    """Pre-training: `SequenceSettings` and what chooses them.

    Args:
        enabled: without pre-training, fine-tuning starts from random weights.
        preset: "recipe" or "paper"; gives the values that the file leaves out.
    """

    enabled: bool = True
    preset: Literal["recipe", "paper"] = "recipe"


@dataclass
class FinetuneSettings(SequenceSettings):
    """Fine-tuning: `SequenceSettings` and what chooses them.

    Args:
        preset: "recipe", "histories" (a row a user instead of a row an interaction: several times
            faster, and less accurate) or "paper"; gives the values that the file leaves out.
    """

    preset: Literal["recipe", "histories", "paper"] = "recipe"


@dataclass
class EvaluationSettings:
    """What the report looks at.

    Args:
        batch_size: users scored at a time.
        example_users: users whose history and recommendations the report page shows.
        from_scratch: also fine-tune from random weights (same semantic IDs, same architecture), so
            that the report shows what pre-training added.
        pretrained_only: also rank with the pre-trained model as it is, without fine-tuning on the
            domain, so that the report shows what transfers by itself. A run that starts from a
            model always does.
    """

    batch_size: int = 256
    example_users: int = 5
    from_scratch: bool = False
    pretrained_only: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise QBert4RecError(f"batch_size is {self.batch_size}; it must be at least 1")
        if self.example_users < 0:
            raise QBert4RecError(f"example_users is {self.example_users}; it must be 0 or more")


@dataclass
class RunConfig:
    """All settings of a run; each section is one stage.

    Args:
        domain: folder of the domain to recommend in, or id of a dataset repository of the Hub. A
            repository that has changed since makes finished stages outdated, as a folder does.
        pretrain_domains: those to pre-train on; `domain` itself without any.
        from_model: model folder, or id of a repository of the Hub, whose encoders, fusion,
            quantizer and sequence model are taken over instead of training them; then the sections
            fusion, quantizer, model and pretrain have nothing to say (see
            `semantic_ids.quantizer`).
        from_revision: of that repository; the commit that was found is written in its place.
        seed: of everything random; a section's own `seed` goes before it.
        num_threads: CPU threads of all stages; PyTorch's choice (one a core) without it, which is
            slow where other work keeps the cores busy. A section's own `num_threads` goes before
            it. It names no stage: another number does not make finished stages outdated.

    Example:
        >>> from qbert4rec_hf import RunConfig
        >>> config = RunConfig.from_dict({"domain": "shops/weekend", "finetune": {"epochs": 10}})
        >>> config.finetune.epochs, config.model.preset
        (10, 'small')
        >>> config.save("config.yaml")
        >>> RunConfig.load("config.yaml") == config
        True
    """

    domain: str | None = None
    pretrain_domains: list[str] = field(default_factory=list)
    from_model: str | None = None
    from_revision: str | None = None
    seed: int = 0
    num_threads: int | None = None
    features: FeatureSettings = field(default_factory=FeatureSettings)
    fusion: FusionSettings = field(default_factory=FusionSettings)
    quantizer: QuantizerSettings = field(default_factory=QuantizerSettings)
    semantic_ids: SemanticIdSettings = field(default_factory=SemanticIdSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    pretrain: PretrainSettings = field(
        default_factory=lambda: PretrainSettings(**PRETRAINING["recipe"])
    )
    finetune: FinetuneSettings = field(
        default_factory=lambda: FinetuneSettings(**FINETUNING["recipe"])
    )
    ranking: RankingSettings = field(default_factory=RankingSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        if self.num_threads is not None and self.num_threads < 1:
            raise QBert4RecError(
                f"num_threads is {self.num_threads}; it must be at least 1, or null"
            )
        sections = ("fusion", "quantizer", "pretrain", "finetune")
        seeds = {"seed": self.seed, **{f"{s}.seed": getattr(self, s).seed for s in sections}}
        for name, seed in seeds.items():
            if not 0 <= seed < 2**32:
                raise QBert4RecError(f"{name} is {seed}; it must be from 0 to {2**32 - 1}")
        self._check_start()

    @property
    def keeps_semantic_ids(self) -> bool:
        """Whether the codes mean what they mean to the model that the run starts from."""
        return self.from_model is not None and self.semantic_ids.quantizer == "keep"

    def _check_start(self) -> None:
        """A run starts from a model or trains all stages; what has no effect is refused."""
        if self.from_model is None:
            if self.semantic_ids.quantizer != "keep":
                raise QBert4RecError(
                    "semantic_ids.quantizer is for a run that starts from a model; without --from "
                    "the quantizer is trained in any case"
                )
            return
        if self.pretrain_domains:
            raise QBert4RecError(
                "a run that starts from a model (--from) cannot also pre-train on domains "
                "(--pretrain-domain): the model is pre-trained already, and its encoders and "
                "codebooks were made for its own domains; pre-train without --from in one run, "
                "then start from the model that it writes"
            )
        if self.semantic_ids.source != "quantizer":
            raise QBert4RecError(
                "codes published with a domain (semantic_ids.source=codes) mean nothing to the "
                "model of --from; leave one of the two out"
            )
        sections = {"fusion": FusionSettings()}
        if self.keeps_semantic_ids:
            sections |= {
                "quantizer": QuantizerSettings(),
                "model": ModelSettings(),
                "pretrain": PretrainSettings(**PRETRAINING["recipe"]),
            }
        for name, plain in sections.items():
            for key, value in dataclasses.asdict(getattr(self, name)).items():
                if key not in _ANYWHERE and value != getattr(plain, key):
                    raise QBert4RecError(
                        f"{name}.{key} has no effect in a run that starts from a model (--from), "
                        "which takes that part over as it is; leave it out, or choose another "
                        "output folder if this one was made without --from"
                    )

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, source: str = "config") -> RunConfig:
        """Builds the configuration; presets and the seed fill in what the values leave out.

        Args:
            values: nested mapping, as in the YAML file.
            source: named in errors.

        Raises:
            QBert4RecError: an unknown key or a value of the wrong type.
        """
        config = build(cls, _filled(values), source=source)
        # Found out now, not when the stage's turn comes.
        for section, config_class in (
            ("fusion", QBert4RecFusionConfig),
            ("quantizer", QBert4RecQuantizerConfig),
        ):
            try:
                make_config(config_class, getattr(config, section).model)
                check_schedule(getattr(config, section))
            except QBert4RecError as error:
                raise QBert4RecError(f"{source}: {section}.{error}") from None
        architecture = {**ARCHITECTURES[config.model.preset], **config.model.architecture()}
        try:
            make_config(QBert4RecConfig, architecture)
        except QBert4RecError as error:
            raise QBert4RecError(f"{source}: {error}") from None
        return config

    @classmethod
    def load(cls, path: str | os.PathLike) -> RunConfig:
        """Reads a YAML file.

        Raises:
            QBert4RecError: the file is missing, is not YAML, or holds a key or value that does
                not belong.
        """
        return cls.from_dict(read_yaml(path), source=str(path))

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values."""
        return dataclasses.asdict(self)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the YAML file, every value written out."""
        write_text(path, yaml.safe_dump(self.to_dict(), sort_keys=False))


def read_yaml(path: str | os.PathLike) -> dict[str, Any]:
    """Reads a YAML file that holds a mapping, or nothing.

    Raises:
        QBert4RecError: the file is missing, or is not that.
    """
    path = Path(path)
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise QBert4RecError(f"{path} does not exist; check the file's name") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise QBert4RecError(f"{path} cannot be read as YAML ({reason})") from None
    if not isinstance(value, dict | None):
        raise QBert4RecError(f"{path} must hold a mapping of names to values")
    return value or {}


def change(values: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Lays `section.key=value` texts over nested values.

    A new preset starts its section afresh, so that the values of the old one do not stay, and a
    new seed reaches every section; other assignments to a section still hold, in whatever order.
    """
    if any(text.partition("=")[0] == "seed" for text in assignments):
        values = reseed(values, values.get("seed", 0))
    presets = [text for text in assignments if text.partition("=")[0].endswith(".preset")]
    for text in presets:
        section = text.partition(".")[0]
        values = {key: value for key, value in values.items() if key != section}
    return override(values, assignments, parse=_parse)


def reseed(values: dict[str, Any], seed: int) -> dict[str, Any]:
    """Gives every section the run's seed."""
    values = {
        name: {k: v for k, v in section.items() if k != "seed"}
        if isinstance(section, dict)
        else section
        for name, section in values.items()
    }
    return {**values, "seed": seed}


def _parse(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _filled(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    values = dict(values)
    for name, presets in (("pretrain", PRETRAINING), ("finetune", FINETUNING)):
        section = values.get(name) or {}
        if isinstance(section, dict):
            preset = section.get("preset", "recipe")
            base = presets.get(preset, {}) if isinstance(preset, str) else {}
            values[name] = {**base, **section}
    for name in ("fusion", "quantizer", "pretrain", "finetune"):
        section = values.get(name) or {}
        if isinstance(section, dict) and "seed" in values:
            values[name] = {"seed": values["seed"], **section}
    return values

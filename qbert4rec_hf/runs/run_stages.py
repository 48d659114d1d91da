"""The stages of a run: what each reads, which settings it follows, and its work."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import content_stages, report_stage, sequence_stages, takeover_stages
from .base_model import STRUCTURE, TRAINED_ON
from .run_folder import RunFolder
from .staged import Stage
from .trained_split import TRAINED_SPLIT, split_settings


def run_stages(run: RunFolder) -> list[Stage]:
    """All stages that a run may have, in their order; its configuration says how they connect.

    Args:
        run: its domains are not read yet.
    """
    config = run.config
    taken_over, keeps = config.from_model is not None, config.keeps_semantic_ids
    from_content = config.semantic_ids.source == "quantizer"
    coded = ("features", "fusion", "quantizer") if from_content else ()
    named = coded or (("features",) if config.semantic_ids.needs_features else ())
    # Never switched off where the model of --from takes its place: `RunConfig` refuses that.
    pretrained = ("pretrain",) if config.pretrain.enabled else ()
    compared = (
        *(pretrained if keeps or config.evaluation.pretrained_only else ()),
        *(("from_scratch",) if pretrained and config.evaluation.from_scratch else ()),
    )

    def section(*names: str) -> Callable[[], dict[str, Any]]:
        return lambda: {name: dataclasses.asdict(getattr(config, name)) for name in names}

    def features_settings() -> dict[str, Any]:
        return {
            **section("features")(),
            "files": run.encoder_files,
            "seed": config.seed,
        }

    def ids_settings() -> dict[str, Any]:
        settings = section("semantic_ids")()
        if not taken_over:
            # It has no effect there, so it does not name what the stage makes.
            del settings["semantic_ids"]["quantizer"]
        return settings

    # What is not trained is taken over; the fingerprint of its source is among the inputs.
    no_settings = section()
    table: list[tuple[str, str, tuple[str, ...], Callable[[], dict[str, Any]], Callable]] = [
        ("features", "features", (), features_settings, _features),
        ("fusion", "fuse", ("features",), section("fusion"), _fuse),
        ("quantizer", "quantize", ("features", "fusion"), section("quantizer"), _quantize),
        ("semantic_ids", "quantize", named, ids_settings, _name_items),
        ("pretrain", "pretrain", ("semantic_ids",), section("model", "pretrain"), _pretrain),
        (
            "finetune",
            "finetune",
            ("semantic_ids", *pretrained),
            section("finetune") if pretrained else section("model", "finetune"),
            _finetune,
        ),
        (
            "from_scratch",
            "finetune",
            # Built like the model that was taken over, or as the settings say.
            ("semantic_ids", *(pretrained if keeps else ())),
            section("finetune") if keeps else section("model", "finetune"),
            _from_scratch,
        ),
        ("model", "finetune", ("semantic_ids", "finetune", *coded), section("ranking"), _model),
        (
            "report",
            "run",
            ("semantic_ids", "finetune", "model", *compared),
            section("ranking", "evaluation"),
            _report,
        ),
    ]
    if taken_over:
        changed = {
            "features": ("features", "features", (), features_settings, _features_from),
            "fusion": ("fusion", "fuse", (), no_settings, _take_fusion),
        }
        if keeps:
            changed |= {
                "quantizer": ("quantizer", "quantize", (), no_settings, _take_quantizer),
                "semantic_ids": ("semantic_ids", "quantize", named, ids_settings, _name_items_from),
                "pretrain": ("pretrain", "pretrain", (), no_settings, _take_sequence_model),
            }
        table = [changed.get(row[0], row) for row in table]
    return [
        Stage(name, verb, needs, settings, partial(work, run), shared=name == "features")
        for name, verb, needs, settings, work in table
    ]


def _features(run: RunFolder, folder: Path) -> dict[str, Any]:
    return content_stages.make_features(
        folder,
        list(run.domains.values()),
        run.pretrain_names,
        {name: run.split(domain) for name, domain in run.domains.items()},
        run.config.features,
        cache=run.folder / "cache",
        seed=run.config.seed,
        trust_remote_code=run.trust_remote_code,
    )


def _features_from(run: RunFolder, folder: Path) -> dict[str, Any]:
    return takeover_stages.make_features(
        folder,
        run.base_model,
        run.target,
        run.split(run.target),
        run.config.features,
        cache=run.folder / "cache",
        trust_remote_code=run.trust_remote_code,
    )


def _fuse(run: RunFolder, folder: Path) -> dict[str, Any]:
    return content_stages.fuse(folder, run.path("features"), run.pretrain_names, run.config.fusion)


def _take_fusion(run: RunFolder, folder: Path) -> dict[str, Any]:
    return takeover_stages.take_fusion(folder, run.base_model)


def _take_quantizer(run: RunFolder, folder: Path) -> dict[str, Any]:
    return takeover_stages.take_quantizer(folder, run.base_model)


def _take_sequence_model(run: RunFolder, folder: Path) -> dict[str, Any]:
    return takeover_stages.take_sequence_model(folder, run.base_model)


def _quantize(run: RunFolder, folder: Path) -> dict[str, Any]:
    return content_stages.quantize(
        folder, run.path("features"), run.path("fusion"), run.pretrain_names, run.config.quantizer
    )


def _name_items(run: RunFolder, folder: Path) -> dict[str, Any]:
    settings = run.config.semantic_ids
    if settings.source == "codes":
        return content_stages.adopt_codes(
            folder,
            run.pretrain_domains,
            run.target,
            settings.codes,
            features=run.path("features") if settings.reallocate else None,
        )
    return content_stages.name_items(
        folder,
        run.path("features"),
        run.path("fusion"),
        run.path("quantizer"),
        run.pretrain_domains,
        run.target,
    )


def _name_items_from(run: RunFolder, folder: Path) -> dict[str, Any]:
    return takeover_stages.name_items(
        folder,
        run.path("features"),
        run.path("fusion"),
        run.path("quantizer"),
        run.base_model,
        run.target,
    )


def _pretrain(run: RunFolder, folder: Path) -> dict[str, Any]:
    return sequence_stages.pretrain(
        folder,
        content_stages.load_catalog(run.path("semantic_ids"), pretraining=True),
        [run.split(domain) for domain in run.pretrain_domains],
        run.config.model,
        run.config.pretrain,
    )


def _finetune(run: RunFolder, folder: Path) -> dict[str, Any]:
    pretrained = run.path("pretrain") if "pretrain" in run.stages["finetune"].needs else None
    return sequence_stages.finetune(
        folder,
        content_stages.load_catalog(run.path("semantic_ids")),
        run.split(run.target),
        run.config.model,
        run.config.finetune,
        pretrained=pretrained,
        pretrained_rows=run.pretrained_rows,
    )


def _from_scratch(run: RunFolder, folder: Path) -> dict[str, Any]:
    return sequence_stages.finetune(
        folder,
        content_stages.load_catalog(run.path("semantic_ids")),
        run.split(run.target),
        run.config.model,
        run.config.finetune,
        pretrained=None,
        like=run.path("pretrain") if run.config.keeps_semantic_ids else None,
    )


def _model(run: RunFolder, folder: Path) -> dict[str, Any]:
    base, coder = run.base_model, None
    domains = [*(base.trained_on if base is not None else ()), *run.domains]
    info: dict[str, Any] = {
        TRAINED_ON: list(dict.fromkeys(domains)),
        TRAINED_SPLIT: split_settings(run.target.info),
    }
    if base is not None:
        info["base_model"] = base.describe()
    if run.config.semantic_ids.source == "quantizer":
        info[STRUCTURE] = content_stages.load_structure(run.path("features"))
        coder = report_stage.load_coder(
            run.path("features"),
            run.path("fusion"),
            run.path("quantizer"),
            keep_queries=run.pretrain_names == [run.target.name],
        )
    return report_stage.assemble_model(
        folder,
        run.path("finetune"),
        content_stages.load_catalog(run.path("semantic_ids")),
        run.target,
        run.split(run.target),
        run.config.ranking,
        coder=coder,
        info=info,
    )


def _report(run: RunFolder, folder: Path) -> dict[str, Any]:
    return report_stage.make_report(folder, run)

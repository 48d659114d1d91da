"""The stages of a run: what each reads, which settings it follows, and its work."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import content_stages, report_stage, sequence_stages
from .feature_settings import outside_files
from .staged import Stage

if TYPE_CHECKING:
    from .pipeline import Run


def run_stages(run: Run) -> list[Stage]:
    """All stages that a run may have, in their order; its configuration says how they connect.

    Args:
        run: its domains are not read yet.
    """
    config = run.config
    from_content = config.semantic_ids.source == "quantizer"
    coded = ("features", "fusion", "quantizer") if from_content else ()
    named = coded or (("features",) if config.semantic_ids.needs_features else ())
    pretrained = ("pretrain",) if config.pretrain.enabled else ()
    compared = (
        *(pretrained if config.evaluation.pretrained_only else ()),
        *(("from_scratch",) if pretrained and config.evaluation.from_scratch else ()),
    )

    def section(*names: str) -> Callable[[], dict[str, Any]]:
        return lambda: {name: dataclasses.asdict(getattr(config, name)) for name in names}

    def features_settings() -> dict[str, Any]:
        return {
            **section("features")(),
            "files": outside_files(config.features),
            "seed": config.seed,
        }

    table: list[tuple[str, str, tuple[str, ...], Callable[[], dict[str, Any]], Callable]] = [
        ("features", "features", (), features_settings, _features),
        ("fusion", "fuse", ("features",), section("fusion"), _fuse),
        ("quantizer", "quantize", ("features", "fusion"), section("quantizer"), _quantize),
        ("semantic_ids", "quantize", named, section("semantic_ids"), _name_items),
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
            ("semantic_ids",),
            section("model", "finetune"),
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
    return [
        Stage(name, verb, needs, settings, partial(work, run))
        for name, verb, needs, settings, work in table
    ]


def _features(run: Run, folder: Path) -> dict[str, Any]:
    return content_stages.make_features(
        folder,
        list(run.domains.values()),
        run.pretrain_names,
        {name: run.split(domain) for name, domain in run.domains.items()},
        run.config.features,
        cache=run.folder / "cache",
        seed=run.config.seed,
    )


def _fuse(run: Run, folder: Path) -> dict[str, Any]:
    return content_stages.fuse(folder, run.path("features"), run.pretrain_names, run.config.fusion)


def _quantize(run: Run, folder: Path) -> dict[str, Any]:
    return content_stages.quantize(
        folder, run.path("features"), run.path("fusion"), run.pretrain_names, run.config.quantizer
    )


def _name_items(run: Run, folder: Path) -> dict[str, Any]:
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


def _pretrain(run: Run, folder: Path) -> dict[str, Any]:
    return sequence_stages.pretrain(
        folder,
        content_stages.load_catalog(run.path("semantic_ids"), pretraining=True),
        [run.split(domain) for domain in run.pretrain_domains],
        run.config.model,
        run.config.pretrain,
    )


def _finetune(run: Run, folder: Path) -> dict[str, Any]:
    pretrained = run.path("pretrain") if run.config.pretrain.enabled else None
    return sequence_stages.finetune(
        folder,
        content_stages.load_catalog(run.path("semantic_ids")),
        run.split(run.target),
        run.config.model,
        run.config.finetune,
        pretrained=pretrained,
        pretrained_rows=run.pretrained_rows,
    )


def _from_scratch(run: Run, folder: Path) -> dict[str, Any]:
    return sequence_stages.finetune(
        folder,
        content_stages.load_catalog(run.path("semantic_ids")),
        run.split(run.target),
        run.config.model,
        run.config.finetune,
        pretrained=None,
    )


def _model(run: Run, folder: Path) -> dict[str, Any]:
    coder = None
    if run.config.semantic_ids.source == "quantizer":
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
    )


def _report(run: Run, folder: Path) -> dict[str, Any]:
    return report_stage.make_report(folder, run)

"""The model card of a run, rendered from what the run's folders say."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import CARD_FILE, MODALITIES
from ..data.domain_download import find_domain_folder
from ..data.domain_info import BY_TIMESTAMPS, DomainInfo, read_domain_info
from ..errors import QBert4RecError
from ..evaluation.result import EvaluationResult
from ..files import write_text
from ..hub_files.plan import check_repo_id
from ..ranking.recommender import Recommender
from ..runs.base_model import TRAINED_ON
from ..runs.config import CONFIG_FILE, RunConfig
from ..runs.manifest import StageManifest, finished, folder_fingerprint, require_finished
from ..runs.report_stage import load_results
from ..runs.takeover_stages import TAKEN_OVER
from .card_facts import ExampleItem, ModelCardFacts
from .model_card import render_model_card, slug
from .run_command import command_of, flat_settings, public, shown

MODEL = "model"
REPORT = "report"
SHOWN_HISTORY = 3
SHOWN_ANSWER = 5

# What each stage makes, where it can be taken over from another model.
_PARTS = {
    "features": "encoders",
    "fusion": "fusion",
    "quantizer": "quantizer",
    "pretrain": "sequence model",
}

# The settings that decide the figures most; the card folds all others away.
_RECIPE = (
    "semantic_ids.source",
    "features.structural",
    "fusion.epochs",
    "quantizer.epochs",
    "model.preset",
    "model.objective",
    "pretrain.enabled",
    "pretrain.preset",
    "pretrain.epochs",
    "pretrain.batch_size",
    "pretrain.learning_rate",
    "pretrain.masks",
    "finetune.preset",
    "finetune.epochs",
    "finetune.batch_size",
    "finetune.learning_rate",
    "finetune.masks",
    "finetune.select_by",
)


def write_card(
    run_folder: str | os.PathLike,
    path: str | os.PathLike | None = None,
    *,
    model: str | None = None,
    name: str | None = None,
    datasets: Sequence[str] = (),
) -> Path:
    """Writes the card of a finished run.

    Args:
        run_folder: of the run.
        path: of the card; `README.md` of the run's model folder by default.
        model: what the snippets open, such as the id of the repository to be; the model folder by
            default.
        name: of the model; after the domain by default.
        datasets: ids of the Hub's datasets that hold the run's domains, for the metadata.

    Returns:
        The path of the card.

    Raises:
        QBert4RecError: as `facts_of_run`, or the folder cannot be written.
    """
    path = Path(path) if path is not None else Path(run_folder) / MODEL / CARD_FILE
    write_text(path, card_of_run(run_folder, model=model, name=name, datasets=datasets))
    return path


def card_of_run(
    run_folder: str | os.PathLike,
    *,
    model: str | None = None,
    name: str | None = None,
    datasets: Sequence[str] = (),
) -> str:
    """Renders the card of a finished run. Arguments and errors as of `write_card`."""
    facts = facts_of_run(run_folder, model=model, name=name, datasets=datasets)
    return render_model_card(facts)


def facts_of_run(
    run_folder: str | os.PathLike,
    *,
    model: str | None = None,
    name: str | None = None,
    datasets: Sequence[str] = (),
) -> ModelCardFacts:
    """Gathers what a card says from a run folder: configuration, manifests, results, model.

    Args:
        run_folder: of the run.
        model: what the snippets open; the model folder by default.
        name: of the model; after the domain by default.
        datasets: ids of the Hub's datasets that hold the run's domains, that of the domain
            recommended in first.

    Raises:
        QBert4RecError: the run is not finished, a stage was done again since its report, or
            something in `datasets` is no id.
    """
    for dataset in datasets:
        check_repo_id(dataset)
    folder = Path(run_folder)
    report = require_finished(folder / REPORT, REPORT, "run")
    require_finished(folder / MODEL, MODEL, "finetune")
    manifests = _stages(folder, report)
    config = _recorded_config(folder, manifests)
    recommender = Recommender.from_pretrained(folder / MODEL)
    domain = recommender.domain
    # A model that was taken over is no pre-training of this run.
    pretrained = "pretrain" in manifests and "pretrain" in manifests["pretrain"].settings
    info = _domain_info(config, report, domain)
    history = _popular(recommender)
    results = load_results(folder / REPORT)
    encoders, base_models = _encoders(recommender)
    base_model, taken_over = _taken_over(manifests)
    flat, reranker = flat_settings(config), recommender.ranker.reranker
    if config.from_model is None:
        del flat["from_revision"]
    return ModelCardFacts(
        name=name or f"qbert4rec-{slug(domain)}",
        model=model or f"{shown(folder)}/{MODEL}",
        domain=domain,
        num_items=len(recommender.items),
        codebook_sizes=recommender.items.codebook_sizes,
        num_shared_ids=int(recommender.items.collides.sum()),
        imported_ids=recommender.coder is None,
        max_items=recommender.model.config.max_items,
        exclude_seen=recommender.exclude_seen,
        graph_share=recommender.ranker.weights if recommender.ranker.prior is not None else None,
        reranked_items=0 if reranker is None else reranker.length,
        seen_weight=recommender.ranker.seen_weight,
        temperature=recommender.model.config.ranking_temperature,
        parameters=recommender.model.num_parameters(),
        history=history,
        answer=[
            ExampleItem(found.item_id, found.title, found.semantic_id, found.score)
            for found in recommender.recommend([i.item_id for i in history], top_k=SHOWN_ANSWER)
        ],
        pretrain_domains=_pretrain_domains(folder, domain) if pretrained else [],
        taken_over=taken_over,
        encoders=encoders,
        base_models=[*base_model, *base_models],
        datasets=datasets,
        domain_facts=_domain_facts(info) if info else {},
        notes=_notes(results[0]),
        recipe={key: _text(flat[key]) for key in _RECIPE if _used(key, flat, manifests)},
        settings={k: _text(value) for k, value in flat.items() if not _is_idle(k, manifests)},
        command=command_of(config, output_dir=shown(folder)),
        seed=config.seed,
        machine="; ".join(sorted({m.machine for m in manifests.values()} - {""})),
        seconds={stage: manifest.seconds for stage, manifest in manifests.items()},
        versions={k: v for m in manifests.values() for k, v in m.versions.items()},
        results=results,
    )


def _stages(folder: Path, report: StageManifest) -> dict[str, StageManifest]:
    """The stages that the report rests on, in the order in which they were needed."""
    found: dict[str, StageManifest] = {}

    def visit(name: str, manifest: StageManifest) -> None:
        for needed, made in manifest.inputs.items():
            if not finished(folder / needed):
                # A domain, or a folder that was removed to save space.
                continue
            stage = StageManifest.load(folder / needed)
            if stage.fingerprint != made:
                raise QBert4RecError(
                    f"{folder / needed} was made again after {folder / name}; run `qbert4rec run "
                    f"--output-dir {folder}`, so that the card's figures are of this model"
                )
            if needed not in found:
                visit(needed, stage)
        found[name] = manifest

    visit(REPORT, report)
    return found


def _recorded_config(folder: Path, manifests: Mapping[str, StageManifest]) -> RunConfig:
    """The configuration that the stages were made with, whatever `config.yaml` says by now."""
    config = RunConfig.load(folder / CONFIG_FILE)
    values = config.to_dict()
    for manifest in manifests.values():
        values |= {k: v for k, v in manifest.settings.items() if k in values}
    return RunConfig.from_dict(values, source=str(folder / CONFIG_FILE))


def _domain_info(config: RunConfig, report: StageManifest, name: str) -> DomainInfo | None:
    """What the domain's folder says, if it is still the one that the run was made with."""
    try:
        # A repository's tables lie in the cache since the run has read them.
        path = find_domain_folder(config.domain or "", local_files_only=True)
    except QBert4RecError:
        return None
    if folder_fingerprint(path) != report.inputs.get(f"domain {name}"):
        return None
    return read_domain_info(path)


def _domain_facts(info: DomainInfo) -> dict[str, object]:
    order = "by time stamp" if info.time_order == BY_TIMESTAMPS else "taken on trust"
    return {
        "users": f"{info.num_users:,}",
        "interactions": f"{info.num_interactions:,}",
        "source": info.source or "not stated",
        "order of a user's interactions": order,
        "the same item twice in a history": "occurs" if info.repeats else "does not occur",
    }


def _notes(result: EvaluationResult) -> list[str]:
    """The order of time, where it is a limit: believed, or decided by a tie-break for some."""
    splitting = result.splitting
    if splitting is None or splitting.tied_users == 0:
        return []
    return [splitting.note]


def _pretrain_domains(folder: Path, target: str) -> list[str]:
    from ..runs.content_stages import load_catalog

    names = load_catalog(folder / "semantic_ids", pretraining=True).domains
    return [f"{name} (its own training part)" if name == target else name for name in names]


def _taken_over(manifests: Mapping[str, StageManifest]) -> tuple[list[str], str]:
    """The Hub's model that the run started from, and what it took over, in words."""
    found = {
        stage: manifest.summary[TAKEN_OVER]
        for stage, manifest in manifests.items()
        if TAKEN_OVER in manifest.summary
    }
    if not found:
        return [], ""
    base = next(iter(found.values()))
    parts = [words for stage, words in _PARTS.items() if stage in found]
    words = (
        f"Fine-tuned from {base['name']}"
        + (f" (commit {base['commit']})" if base["commit"] else "")
        + f", which was trained on {', '.join(base[TRAINED_ON])}. Taken over from it: "
        + f"{', '.join(parts[:-1])} and {parts[-1]}"
        + ("." if "pretrain" in found else "; all else was trained anew.")
    )
    return [base["name"]] if base["commit"] else [], words


def _popular(recommender: Recommender) -> list[ExampleItem]:
    """Items for the snippets: the most popular ones, which say nothing of any one user."""
    prior, items = recommender.ranker.prior, recommender.items
    counts = np.zeros(len(items)) if prior is None else prior.popularity
    rows = np.argsort(-counts, kind="stable")[:SHOWN_HISTORY]
    return [
        ExampleItem(items.item_ids[row], items.titles[row], items.encode(items.item_ids[row]))
        for row in rows.tolist()
    ]


def _encoders(recommender: Recommender) -> tuple[dict[str, str], list[str]]:
    """What encodes each modality, in words, and which of these models come from the Hub."""
    if recommender.coder is None:
        return {}, []
    words, models = {}, []
    encoders = recommender.coder.encoders
    dims = recommender.coder.fusion.config.modalities
    for modality in sorted(dims, key=[*MODALITIES, *dims].index):
        dim = dims[modality]
        if modality not in encoders:
            words[modality] = f"from the training histories, {dim} numbers"
            continue
        config = encoders[modality].config()
        model = config.get("model")
        parts = [encoders[modality].kind]
        if model:
            local = Path(str(model)).exists()
            parts.append(Path(str(model)).name if local else str(model))
            revision = config.get("revision") or config.get("pretrained")
            parts += [str(revision)] if revision and not local else []
            if encoders[modality].kind == "hf_text" and not local:
                models.append(str(model))
        words[modality] = f"{' '.join(parts)}, {dim} numbers"
    return words, models


def _used(key: str, flat: Mapping[str, Any], manifests: Mapping[str, StageManifest]) -> bool:
    """Whether a stage followed this setting; one that was taken over followed none."""
    section = key.partition(".")[0]
    followed = any(section in manifest.settings for manifest in manifests.values())
    return flat.get(key) is not None and followed


def _is_idle(key: str, manifests: Mapping[str, StageManifest]) -> bool:
    """Whether a setting belongs to a part that was taken over as it is."""
    section = key.partition(".")[0]
    stage = manifests.get({"model": "pretrain"}.get(section, section))
    return (
        stage is not None and TAKEN_OVER in stage.summary and section not in (stage.settings or ())
    )


def _text(value: object) -> str:
    value = public(value)
    return value if isinstance(value, str) else json.dumps(value)

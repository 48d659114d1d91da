"""What the report page of a run shows, gathered from its stage folders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import IMAGES, TITLE
from ..data.domain import Domain
from ..data.split import TEST
from ..evaluation.report_data import (
    CodebookLevel,
    Curves,
    ReportData,
    ReportItem,
    ReportUser,
    curves_from_history,
)
from ..evaluation.result import EvaluationResult
from ..files import read_json
from ..ranking.recommender import Recommender
from ..training.stage_folder import HISTORY_FILE, SUMMARY_FILE
from .manifest import StageManifest
from .run_folder import RunFolder
from .takeover_stages import NOTES

SHOWN_HISTORY = 8


def run_report(
    run: RunFolder, recommender: Recommender, results: Sequence[EvaluationResult]
) -> ReportData:
    """Gathers the report of a run.

    Args:
        run: with its stages finished.
        recommender: the model folder, opened.
        results: what was measured, the model first.
    """
    domain, split = run.target, run.split(run.target)
    # Folders of stages that an earlier configuration asked for may still be there.
    behind = run.behind("report")
    seconds = {name: value for name, value in run.seconds().items() if name in behind}
    return ReportData(
        title=f"Q-BERT4Rec on {domain.name}",
        subtitle=domain.info.source,
        facts={
            "items": len(domain),
            "users": domain.info.num_users,
            "interactions": domain.info.num_interactions,
            "users in training only": split.num_training_only,
            "split": domain.info.split.replace("_", "-"),
            "order of time": domain.info.time_order,
            **_tie_facts(run),
            "seed": run.config.seed,
            "seconds of all stages": round(sum(seconds.values())),
        },
        evaluations=results,
        curves=_curves(run, behind),
        codebooks=codebook_levels(recommender.items.codes, recommender.items.codebook_sizes),
        depths=_depths(run.path("fusion")) if "fusion" in behind else {},
        users=_users(run, recommender),
        settings=_flat(run.config.to_dict()),
        notes=_notes(run, seconds),
    )


def codebook_levels(codes: np.ndarray, sizes: Sequence[int]) -> list[CodebookLevel]:
    """Use of each level of the semantic IDs `[items, levels]`."""
    levels = []
    for number, size in enumerate(sizes):
        counts = np.bincount(codes[:, number], minlength=size)
        shares = counts[counts > 0] / max(1, counts.sum())
        perplexity = float(np.exp(-(shares * np.log(shares)).sum()))
        levels.append(CodebookLevel(str(number + 1), size, len(shares), perplexity))
    return levels


def _curves(run: RunFolder, stages: Collection[str]) -> list[Curves]:
    charts = [
        ("fusion", "Fusion (stage 1)", "loss", ("loss", "eval_loss", "eval_contrastive_loss")),
        (
            "quantizer",
            "Quantizer (stage 2)",
            "loss",
            ("loss", "reconstruction_loss", "codebook_loss", "commitment_loss"),
        ),
        ("quantizer", "Quantizer on all items", "share", ("eval_collision_rate",)),
        ("pretrain", "Pre-training, loss", "loss", ("loss",)),
        ("pretrain", "Pre-training, validation", "NDCG@10", ("eval_NDCG@10",)),
        ("finetune", "Fine-tuning, loss", "loss", ("loss",)),
        ("finetune", "Fine-tuning, validation", "NDCG@10", ("eval_NDCG@10", "eval_unseen_NDCG@10")),
        ("from_scratch", "From random weights, validation", "NDCG@10", ("eval_NDCG@10",)),
    ]
    curves = []
    for stage, title, label, keys in charts:
        if stage not in stages:
            continue
        series = curves_from_history(_entries(run.path(stage)), keys)
        if series:
            curves.append(Curves(title, "Epoch", label, series))
    return curves


def _entries(folder: Path) -> list[dict[str, Any]]:
    path = folder / HISTORY_FILE
    return read_json(path) if path.exists() else []


def _depths(fusion: Path) -> dict[int, int]:
    path = fusion / SUMMARY_FILE
    if not path.exists():
        return {}
    histogram = read_json(path).get("depth_histogram", [])
    return {layer: count for layer, count in enumerate(histogram, start=1)}


def _users(run: RunFolder, recommender: Recommender) -> list[ReportUser]:
    domain, split = run.target, run.split(run.target)
    evaluated, targets = split.evaluated(TEST), split.targets(TEST)
    count = min(run.config.evaluation.example_users, len(evaluated))
    if not count:
        return []
    # Spread over all users, the same ones whenever the report is made.
    chosen = np.linspace(0, len(evaluated) - 1, count).astype(int)
    histories = split.histories(TEST).take(chosen)
    ids = [[domain.item_ids[row] for row in history] for history in histories]
    users = []
    for number, history, found in zip(chosen, ids, recommender.recommend(ids), strict=True):
        target = int(targets[number])
        users.append(
            ReportUser(
                name=str(split.user_ids[evaluated[number]]),
                history=[_item(domain, domain.item_row[i]) for i in history[-SHOWN_HISTORY:]],
                recommendations=[
                    _item(domain, domain.item_row[item.item_id], item.score) for item in found
                ],
                target_id=domain.item_ids[target],
                target=_item(domain, target),
            )
        )
    return users


def _tie_facts(run: RunFolder) -> dict[str, str]:
    share = run.split(run.target).splitting(TEST).tied_share
    return {} if share is None else {"test items tied in time": f"{share:.1%}"}


def _item(domain: Domain, row: int, score: float | None = None) -> ReportItem:
    entry = domain.items.iloc[row]
    paths = [domain.image_path(image) for image in entry[IMAGES]]
    image = next((path for path in paths if path is not None), None)
    return ReportItem(domain.item_ids[row], entry[TITLE], image, score)


def _notes(run: RunFolder, seconds: dict[str, float]) -> list[str]:
    domain = run.target
    notes = [
        "Seconds by stage: " + ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    ]
    notes.append(run.split(domain).splitting(TEST).note)
    return notes + _takeover_notes(run)


def _takeover_notes(run: RunFolder) -> list[str]:
    """What a reader must know of a run that started from a model."""
    base = run.base_model
    if base is None:
        return []
    parts = "encoders, fusion, quantizer and sequence model"
    if not run.config.keeps_semantic_ids:
        parts = "encoders and fusion"
    notes = [f"Taken over from {base.describe()['name']}: {parts}."]
    if run.target.name in base.trained_on:
        notes.append(
            f"That model was trained on {run.target.name} before: what it saw then may hold what "
            "is tested on here."
        )
    return notes + StageManifest.load(run.path("features")).summary.get(NOTES, [])


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat

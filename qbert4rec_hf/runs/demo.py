"""The demo: three small shops, all stages, and what came out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..data.demo import DEMO_PRETRAIN, DEMO_TARGET, make_demo_domains
from ..evaluation.baselines import POPULARITY
from ..evaluation.metrics import ALL_ITEMS
from ..evaluation.report import REPORT_FILE
from ..evaluation.result import EvaluationResult
from ..evaluation.tables import markdown_table
from ..ranking.recommender import Recommender
from .evaluation import MODEL
from .manifest import run_stage
from .pipeline import Run
from .report_stage import FROM_SCRATCH, PRETRAINED_ONLY

SHOPS_FOLDER = "domains"
RUN_FOLDER = "run"

# Chosen for minutes on two cores, not for the last per mille.
SETTINGS: dict[str, Any] = {
    "fusion.epochs": 10,
    "fusion.model.hidden_size": 128,
    "fusion.model.intermediate_size": 256,
    "quantizer.epochs": 40,
    "quantizer.model.codebook_size": 64,
    "pretrain.epochs": 20,
    "pretrain.batch_size": 128,
    "finetune.epochs": 30,
    "finetune.batch_size": 64,
    "evaluation.from_scratch": True,
    "evaluation.pretrained_only": True,
}


def run_demo(
    folder: str | os.PathLike,
    *,
    seed: int = 0,
    scale: float = 1.0,
    assignments: list[str] | None = None,
) -> str:
    """Makes the shops, does all stages on them and says what came out.

    Args:
        folder: gets `domains/`, one domain folder a shop, and `run/`, the run folder.
        seed: of shops and training.
        scale: size of the shops; 1 is about 600 items each.
        assignments: settings as `section.key=value` texts, laid over the demo's own.

    Returns:
        A summary to print.

    Raises:
        QBert4RecError: a wrong setting, or a folder that cannot be written.
    """
    folder = Path(folder)
    shops = folder / SHOPS_FOLDER
    run_stage(
        shops,
        lambda partial: _draw(partial, seed, scale),
        stage="demo shops",
        inputs={},
        settings={"seed": seed, "scale": scale},
    )
    run = Run.open(
        folder / RUN_FOLDER,
        domain=str(shops / DEMO_TARGET),
        pretrain_domains=[str(shops / name) for name in DEMO_PRETRAIN],
        assignments=[*(f"{k}={str(v).lower()}" for k, v in SETTINGS.items()), *(assignments or [])],
        seed=seed,
    )
    results = run.all()
    return "\n".join([markdown_table(results), *_sentences(run, results)])


def _draw(partial: Path, seed: int, scale: float) -> dict[str, Any]:
    paths = make_demo_domains(partial, seed=seed, scale=scale)
    return {"shops": [path.name for path in paths]}


def _sentences(run: Run, results: list[EvaluationResult]) -> list[str]:
    figures = {result.name: result.metric(protocol=ALL_ITEMS) for result in results}
    sentences = []
    if MODEL in figures and POPULARITY in figures:
        sentences.append(
            f"NDCG@10 {figures[MODEL]:.4f} for the model alone, {figures[POPULARITY]:.4f} for "
            "popularity."
        )
    if MODEL in figures and FROM_SCRATCH in figures:
        sentences.append(
            f"Pre-training on the two other shops took it from {figures[FROM_SCRATCH]:.4f} to "
            f"{figures[MODEL]:.4f}."
        )
    if PRETRAINED_ONLY in figures:
        sentences.append(
            f"As it came from those shops, without fine-tuning, it reaches "
            f"{figures[PRETRAINED_ONLY]:.4f}."
        )
    model = run.path("model")
    split = run.split(run.target)
    history = [run.target.item_ids[row] for row in split.histories("test")[0]][-3:]
    recommender = Recommender.from_pretrained(model)
    best = recommender.recommend(history, top_k=3)
    sentences += [
        "",
        f"After {', '.join(_named(run, item_id) for item_id in history)}:",
        *(f"  {item.score:.3f}  {item.item_id}  {item.title or ''}".rstrip() for item in best),
        "",
        f"Report:  {run.path('report') / REPORT_FILE}",
        f"Model:   {model}",
        f"Try:     qbert4rec recommend {model} --history {' '.join(history)}",
        f"Seconds: {sum(run.seconds().values()):.0f}",
    ]
    return sentences


def _named(run: Run, item_id: str) -> str:
    title = run.target.items["title"].iloc[run.target.item_row[item_id]]
    return title or item_id

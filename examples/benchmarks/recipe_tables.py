"""Tables, intervals and charts of `recipe.py`'s results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from published_splits import METRICS, Split

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.evaluation.result import EvaluationResult
from qbert4rec_hf.evaluation.segments import HISTORY_EDGES, POPULARITY_EDGES, bucket_metrics
from qbert4rec_hf.evaluation.svg_charts import bar_chart, standalone
from qbert4rec_hf.files import write_text
from qbert4rec_hf.ranking.ranks import PROTOCOLS, UNSEEN_ITEMS, discounted_gain
from qbert4rec_hf.runs.evaluation import MODEL, RERANKED, WITH_GRAPH

HEADINGS = dict(zip(PROTOCOLS, ("Ranking everything", "Seen items excluded"), strict=True))
ALONE, MIXED, OURS = MODEL, WITH_GRAPH, RERANKED
EASE = "EASE with recency, tuned"
RESAMPLES = 2000


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


def differences(systems: Mapping[str, list[EvaluationResult]]) -> dict[str, dict]:
    """Our model against every other system: bootstrap by protocol and metric."""
    return {
        name: {
            protocol: {
                metric: bootstrap(
                    gains(systems[OURS], protocol, metric), gains(results, protocol, metric)
                )
                for metric in METRICS
            }
            for protocol in PROTOCOLS
        }
        for name, results in systems.items()
        if name != OURS
    }


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
        for name in (OURS, MIXED, ALONE, EASE):
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
        f"## {OURS} against the others\n",
        f"Paired bootstrap over users ({RESAMPLES} resamples, gains averaged over seeds): "
        "difference and 95 % interval.\n",
    ]
    for protocol, heading in HEADINGS.items():
        parts += [f"| {heading.lower()} | " + " | ".join(METRICS) + " |"]
        parts.append("|---|" + "---:|" * len(METRICS))
        for name, of_protocols in record["bootstrap"].items():
            cells = [
                f"{d['difference']:+.4f} ({d['low']:+.4f}, {d['high']:+.4f})"
                for d in of_protocols[protocol].values()
            ]
            parts.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("")
    parts += ["## Where it wins and loses\n", "NDCG@10, seen items excluded.\n"]
    for title, of_systems in record["segments"].items():
        names = list(of_systems)
        parts += [f"| {title} | users | " + " | ".join(names) + " |"]
        parts.append("|---|---:|" + "---:|" * len(names))
        for label, bucket in of_systems[names[0]].items():
            cells = [f"{of_systems[name][label]['NDCG@10']:.4f}" for name in names]
            parts.append(f"| {label} | {bucket['users']:,} | " + " | ".join(cells) + " |")
        parts.append("")
    parts += [f"![NDCG@10 by {title}]({name})\n" for title, name in record["charts"].items()]
    runs = ", ".join(f"{run['training_seconds']:.0f} s ({run['name']})" for run in record["runs"])
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

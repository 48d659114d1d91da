"""Objectives and lengths of published semantic IDs (MQL4GRec / LC-Rec files), one row a system.

    python examples/benchmarks/published_splits.py --data-dir data/Instruments --json out.json
    python examples/benchmarks/published_splits.py --data-dir data/Instruments --json out.json \
        --rows codes8-catalog

`--data-dir` holds `X.inter.json`, `X.item2id` and, for all rows but the baselines, the codes
`X.index*.json`. The rows differ in one thing at a time, are fine-tuned on whole histories (preset
"histories") and rank seen items as they are; what `qbert4rec run` makes of a data set is measured
by `recipe.py`. A row that is run again replaces its former self in the JSON file; the table beside
it (`out.md`) is made anew from all rows. The test split is read once a row, after everything is
chosen on validation.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import HfArgumentParser

from qbert4rec_hf.data.codes import ImportedCodes, join_codes
from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.data.imported_domain import ImportedDomain
from qbert4rec_hf.evaluation.baselines import item_graph_scorer, popularity_scorer
from qbert4rec_hf.evaluation.evaluator import evaluate_ranker
from qbert4rec_hf.files import read_json, write_json
from qbert4rec_hf.ranking.fit_ranker import RankingSettings, fit_item_graph, fit_ranker
from qbert4rec_hf.ranking.ranker import Ranker
from qbert4rec_hf.ranking.ranks import PROTOCOLS
from qbert4rec_hf.training.build_sequence_model import build_sequence_model
from qbert4rec_hf.training.sequence_rows import DomainHistories
from qbert4rec_hf.training.sequence_settings import FINETUNING, SequenceSettings
from qbert4rec_hf.training.train_sequence import train_sequence

METRICS = ("HR@1", "HR@5", "HR@10", "NDCG@5", "NDCG@10")


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "folder with X.inter.json and X.item2id"})
    json: str = field(metadata={"help": "results file; rows already in it are kept"})
    rows: list[str] | None = field(
        default=None, metadata={"help": "rows to run; all that the data allows by default"}
    )
    seed: int = field(default=0, metadata={"help": "of weights, masks and order"})
    num_threads: int = field(default=2, metadata={"help": "CPU threads"})
    epochs: int | None = field(default=None, metadata={"help": "instead of the row's own"})


class Split:
    """A published split, its baseline and what every row is evaluated on."""

    def __init__(self, data_dir: str):
        self.imported: ImportedDomain = import_published(data_dir)
        domain = self.imported.domain
        self.split = domain.split()
        self.name = domain.name
        self.num_items = len(domain)
        self._graph = None

    @property
    def graph(self):
        """The item graph, tuned on validation once for all rows."""
        if self._graph is None:
            self._graph = fit_item_graph(self.split, self.num_items, RankingSettings())
        return self._graph

    def codes(self, *keys: str) -> ImportedCodes:
        """Published codes by their kind, levels side by side."""
        return join_codes([self.imported.codes[key] for key in keys])

    def test(self, name: str, score_fn: Callable):
        return evaluate_ranker(
            score_fn,
            self.split.histories("test"),
            self.split.targets("test"),
            train=self.split.train,
            num_items=self.num_items,
            splitting=self.split.splitting("test"),
            name=name,
        )


def codes_row(
    data: Split,
    arguments: Arguments,
    *,
    keys: tuple[str, ...],
    preset: str,
    recipe: str,
    epochs: int | None,
    **fields,
) -> tuple[dict[str, Callable], dict]:
    """Fine-tuning only, with published codes as semantic IDs; the model without and with prior."""
    codes = data.codes(*keys)
    settings = SequenceSettings(**{**FINETUNING[recipe], "seed": arguments.seed})
    settings.num_threads = arguments.num_threads
    settings.epochs = arguments.epochs or epochs or settings.epochs
    model = build_sequence_model(
        codes.codes,
        codes.codebook_sizes,
        [data.num_items],
        preset=preset,
        architecture=fields,
        seed=arguments.seed,
    )
    split = data.split
    histories = DomainHistories(
        split.train, split.histories("validation"), split.targets("validation")
    )
    with tempfile.TemporaryDirectory() as folder:
        training = train_sequence(model, [histories], settings, folder)
    ranking = RankingSettings(seen_weights=[1.0], rerank=False)
    fitted = fit_ranker(model, split, ranking, graph=data.graph)
    facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "training_seconds": round(training.seconds, 1),
        "epochs": settings.epochs,
        "validation_NDCG@10": training.best,
        "prior_weights": fitted.ranker.weights,
        "seen_weight": fitted.ranker.seen_weight,
    }
    return {
        "": Ranker(model).scores_by_protocol,
        " + item-graph prior": fitted.ranker.scores_by_protocol,
    }, facts


def popularity_row(data: Split, arguments: Arguments) -> tuple[dict[str, Callable], dict]:
    return {"": popularity_scorer(data.split.train, data.num_items)}, {}


def ease_row(data: Split, arguments: Arguments) -> tuple[dict[str, Callable], dict]:
    begin = time.perf_counter()
    prior, _ = data.graph
    facts = {**prior.info, "recency": prior.recency}
    facts["training_seconds"] = round(time.perf_counter() - begin, 1)
    return {"": item_graph_scorer(prior)}, facts


TEXT, BOTH = ("lemb",), ("lemb", "vitemb")


def codes_of(
    keys: tuple[str, ...],
    *,
    preset: str = "small",
    recipe: str = "histories",
    epochs: int | None = None,
    **fields,
):
    return lambda data, arguments: codes_row(
        data, arguments, keys=keys, preset=preset, recipe=recipe, epochs=epochs, **fields
    )


ROWS: dict[str, tuple[str, Callable]] = {
    "popularity": ("Popularity", popularity_row),
    "ease": ("EASE, tuned on validation", ease_row),
    "codes4-catalog": ("Text codes (K = 4), catalogue objective", codes_of(TEXT)),
    "codes4-codes": ("Text codes (K = 4), codes objective", codes_of(TEXT, objective="codes")),
    "codes8-catalog": ("Text and image codes (K = 8), catalogue objective", codes_of(BOTH)),
    "codes8-catalog-nobias": (
        "Text and image codes (K = 8), catalogue objective, no item bias",
        codes_of(BOTH, item_bias=False),
    ),
    "codes8-codes": (
        "Text and image codes (K = 8), codes objective",
        codes_of(BOTH, objective="codes"),
    ),
    "codes8-codes-nobias": (
        "Text and image codes (K = 8), codes objective, no item bias",
        codes_of(BOTH, objective="codes", item_bias=False),
    ),
    "codes8-paper": (
        "Text and image codes (K = 8), the paper's sizes, objective and fine-tuning, 12 epochs",
        # Four layers of 256: as many epochs as fit into a quarter of an hour on two cores.
        codes_of(BOTH, preset="paper", recipe="paper", epochs=12, objective="codes"),
    ),
}


def allowed_rows(data: Split) -> list[str]:
    """Rows that the split's files suffice for."""
    return list(ROWS) if data.imported.codes else ["popularity", "ease"]


def record(row: str, title: str, result, facts: dict, arguments: Arguments, seconds: float) -> dict:
    """What the results file keeps of one system."""
    found = result.to_dict()
    return {
        "row": row,
        "system": title,
        "command": "python examples/benchmarks/published_splits.py --data-dir DATA --json OUT "
        f"--rows {row} --seed {arguments.seed} --num_threads {arguments.num_threads}",
        "seed": arguments.seed,
        "seconds": round(seconds, 1),
        "machine": f"{os.cpu_count()} CPU cores, {arguments.num_threads} used, "
        f"{platform.machine()}, torch {torch.__version__}",
        **facts,
        "test": {
            protocol: {
                "metrics": found["results"][protocol]["metrics"],
                "coverage@10": found["results"][protocol]["coverage@10"],
            }
            for protocol in PROTOCOLS
        },
    }


def table(rows: list[dict], title: str, note: str) -> str:
    """All rows as Markdown, one table a seen-item rule; `note` stands under each."""
    parts = [f"# {title}, test split, full catalogue ranked\n"]
    for protocol, heading in zip(
        PROTOCOLS, ("Ranking everything", "Seen items excluded"), strict=True
    ):
        parts.append(f"## {heading}\n")
        parts.append("| system | " + " | ".join(METRICS) + " | training s |")
        parts.append("|---|" + "---:|" * (len(METRICS) + 1))
        for row in rows:
            figures = [f"{row['test'][protocol]['metrics'][name]:.4f}" for name in METRICS]
            seconds = row.get("training_seconds", "")
            parts.append(f"| {row['system']} | " + " | ".join(figures) + f" | {seconds} |")
        parts += ["", note, ""]
    parts.append("Each row again: `--rows NAME`, with the name and seed that the JSON file gives.")
    return "\n".join(parts) + "\n"


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    torch.set_num_threads(arguments.num_threads)
    data = Split(arguments.data_dir)
    names = arguments.rows or allowed_rows(data)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        sys.exit(f"--rows {unknown[0]}: there is no such row; choose from {', '.join(ROWS)}")
    path = Path(arguments.json)
    for name in names:
        title, run = ROWS[name]
        print(f"== {name}", flush=True)
        begin = time.perf_counter()
        systems, facts = run(data, arguments)
        done = []
        for suffix, system in systems.items():
            result = data.test(title + suffix, system) if callable(system) else system
            seconds = time.perf_counter() - begin
            done.append(record(name, title + suffix, result, facts, arguments, seconds))
            print(json.dumps({p: done[-1]["test"][p]["metrics"] for p in PROTOCOLS}), flush=True)
        kept = read_json(path) if path.exists() else []
        kept = [row for row in kept if (row["row"], row["seed"]) != (name, arguments.seed)]
        order = list(ROWS)
        rows = sorted(kept + done, key=lambda row: (order.index(row["row"]), row["seed"]))
        write_json(path, rows)
        note = data.split.splitting("test").note
        path.with_suffix(".md").write_text(table(rows, data.imported.domain.name, note))
    print(path.with_suffix(".md").read_text(), flush=True)


if __name__ == "__main__":
    main()

"""What the re-ranker needs: its features and sizes compared on validation users of a split.

    python examples/benchmarks/rerank_ideas.py --data_dir data/Toys --run runs/Toys/seed0

Takes the model folder that `recipe.py` made. Every row is cross-fitted: users are ranked by a
network that was fitted to others (seen items excluded). The test split is not read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from published_splits import Split
from transformers import HfArgumentParser

from qbert4rec_hf import Recommender
from qbert4rec_hf.ranking.fit_reranker import cross_fit, examples, fresh_reranker
from qbert4rec_hf.ranking.reranker import FEATURES

WITHOUT = {
    "the graph's word on the last item": ("graph_of_last",),
    "ranks": ("model_rank", "graph_rank"),
    "popularity": ("popularity",),
    "length of the history, the model's best": ("history_length", "model_best"),
    "the model": ("model", "model_rank", "model_best"),
    "the graph": ("graph", "graph_rank", "graph_of_last"),
    "all but the two scores": tuple(name for name in FEATURES if name not in ("model", "graph")),
}
SIZES = {
    "the first 50 items": {"length": 50},
    "the first 200 items": {"length": 200},
    "64 hidden units": {"hidden_size": 64},
}


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "folder with X.inter.json and X.item2id"})
    run: str = field(metadata={"help": "run folder of recipe.py"})
    users: int = field(default=10_000, metadata={"help": "validation users, drawn once"})
    num_threads: int = field(default=2, metadata={"help": "CPU threads"})


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    torch.set_num_threads(arguments.num_threads)
    data = Split(arguments.data_dir)
    ranker = Recommender.from_pretrained(Path(arguments.run) / "model").ranker
    histories, targets = data.split.histories("validation"), data.split.targets("validation")
    users = np.sort(np.random.default_rng(0).permutation(len(targets))[: arguments.users])
    histories, targets = histories.take(users), targets[users]

    def show(name: str, gains: np.ndarray, before: np.ndarray) -> None:
        error = (gains - before).std() / np.sqrt(len(gains))
        difference = gains.mean() - before.mean()
        print(f"| {name} | {gains.mean():.4f} | {difference:+.4f} ± {error:.4f} |", flush=True)

    fresh = fresh_reranker()
    features, place = examples(ranker, fresh, histories, targets)
    before, after = cross_fit(fresh, features, place)
    print(f"| {data.name} | NDCG@10 | to the mixture |\n|---|---:|---:|")
    show("the mixture", before, before)
    show("re-ranked", after, before)
    for name, columns in WITHOUT.items():
        fewer = features.clone()
        fewer[..., [FEATURES.index(column) for column in columns]] = 0.0
        show(f"without {name}", cross_fit(fresh, fewer, place)[1], before)
    for name, sizes in SIZES.items():
        other = fresh_reranker(**sizes)
        show(name, cross_fit(other, *examples(ranker, other, histories, targets))[1], before)


if __name__ == "__main__":
    main()

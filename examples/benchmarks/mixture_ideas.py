"""What else could be mixed with the model: ideas compared on validation users of a published split.

    python examples/benchmarks/mixture_ideas.py --data_dir data/Instruments \
        --run runs/Instruments/seed0 --second_run runs/Instruments/seed1

Takes the encoders that `recipe.py` trained. Each row changes one thing of the mixture as it is
(positive weights of the item graph, temperature chosen) and stands for the best share, temperature
and recency it could have: an upper bound of what the idea brings. The test split is not read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from published_splits import Split
from scipy import linalg
from scipy.sparse import csr_array
from transformers import HfArgumentParser

from qbert4rec_hf import QBert4RecForMaskedLM, Sequences
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior, interaction_matrix
from qbert4rec_hf.ranking.mixture import prior_distribution
from qbert4rec_hf.ranking.ranker import Ranker
from qbert4rec_hf.ranking.ranks import discounted_gain
from qbert4rec_hf.ranking.shortlist import FirstOfModel, Shortlist

SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
TEMPERATURES = (1.0, 1.2, 1.4, 1.7)
RECENCIES = (0.6, 0.8, 0.9)
BATCH = 500


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "folder with X.inter.json and X.item2id"})
    run: str = field(metadata={"help": "run folder of recipe.py"})
    second_run: str | None = field(default=None, metadata={"help": "another seed's, to average"})
    users: int = field(default=6000, metadata={"help": "validation users, drawn once"})
    regularization: float = field(default=50.0, metadata={"help": "λ of the item graph"})
    num_threads: int = field(default=2, metadata={"help": "CPU threads"})


class Ideas:
    """Encoder and data of one split, and the best mixture of the encoder with some graph."""

    def __init__(self, data: Split, runs: list[str], users: int):
        self.data = data
        split = data.split
        histories, targets = split.histories("validation"), split.targets("validation")
        chosen = np.sort(np.random.default_rng(1).permutation(len(targets))[:users])
        self.histories, self.targets = histories.take(chosen), targets[chosen]
        models = [QBert4RecForMaskedLM.from_pretrained(Path(run) / "finetune") for run in runs]
        self.codes = models[0].catalog_codes.numpy()
        self.encoders = [self._probabilities(Ranker(model)) for model in models]

    def _probabilities(self, ranker: Ranker) -> torch.Tensor:
        parts = [
            ranker.log_probabilities(self.histories.take(rows)).exp().half()
            for rows in self._batches()
        ]
        return torch.cat(parts)

    def _batches(self) -> list[np.ndarray]:
        users = np.arange(len(self.targets))
        return [users[start : start + BATCH] for start in range(0, len(users), BATCH)]

    def best(
        self,
        weights: np.ndarray,
        *,
        encoder: torch.Tensor | None = None,
        third: tuple[np.ndarray, float] | None = None,
        factor: np.ndarray | None = None,
    ) -> dict[str, float]:
        """The best NDCG@10, seen items excluded, over shares, temperatures and recencies.

        Args:
            weights: `[items, items]` of a graph.
            encoder: `[users, items]` probabilities; the first run's by default.
            third: weights of a further graph, and its share of the prior.
            factor: `[items]`, what both parts' scores are multiplied by.
        """
        encoder = self.encoders[0] if encoder is None else encoder
        graph = as_graph(weights)
        other = None if third is None else as_graph(third[0])
        gains: dict[tuple, float] = {}
        for recency in RECENCIES:
            for rows in self._batches():
                histories = self.histories.take(rows)
                prior = prior_distribution(graph.score(histories, recency=recency))
                if other is not None:
                    further = prior_distribution(other.score(histories, recency=recency))
                    prior = torch.lerp(prior, further, third[1])
                probabilities = encoder[rows].float()
                if factor is not None:
                    scale = torch.from_numpy(factor).float()
                    prior, probabilities = prior * scale, probabilities * scale
                of_model = FirstOfModel(probabilities.log(), self.targets[rows], histories)
                shortlist = Shortlist(of_model, prior)
                for temperature in TEMPERATURES:
                    shortlist.set_temperature(temperature)
                    for share in SHARES:
                        (ranks,) = shortlist.ranks(share, ())
                        key = (temperature, share, recency)
                        gains[key] = gains.get(key, 0.0) + discounted_gain(ranks, 10).sum()
        key = max(gains, key=gains.get)
        users = len(self.targets)
        plain = max(gain for setting, gain in gains.items() if setting[0] == 1.0)
        names = ("temperature", "share", "recency")
        return {
            "NDCG@10": gains[key] / users,
            "at temperature 1": plain / users,
            **dict(zip(names, key, strict=True)),
        }


def as_graph(weights: np.ndarray, keep: int = 300) -> ItemGraphPrior:
    """A graph of given weights, the largest by magnitude of each row."""
    keep = min(keep, len(weights))
    cut = -np.partition(-np.abs(weights), keep - 1, axis=1)[:, [keep - 1]]
    kept = csr_array(np.where(np.abs(weights) >= cut, weights, 0.0).astype(np.float32))
    return ItemGraphPrior(kept, np.zeros(len(weights), np.int64), recency={}, info={})


def ridge(gram: np.ndarray, regularization: float) -> np.ndarray:
    """All weights of the closed form, negative ones too."""
    gram = gram.copy()
    gram[np.diag_indices(len(gram))] += regularization
    inverse = linalg.inv(gram, overwrite_a=True)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


@torch.no_grad()
def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    torch.set_num_threads(arguments.num_threads)
    data = Split(arguments.data_dir)
    runs = [run for run in (arguments.run, arguments.second_run) if run is not None]
    ideas = Ideas(data, runs, arguments.users)
    train, items = data.split.train, data.num_items
    taken = interaction_matrix(train, items)
    gram = (taken.T @ taken).toarray()
    every = ridge(gram, arguments.regularization)
    weights = np.maximum(every, 0.0)

    # Semantic IDs as a matrix of items by codes, rare codes weighing more.
    codes = ideas.codes + np.cumsum([0, *ideas.codes.max(axis=0)[:-1] + 1])
    has = np.zeros((items, codes.max() + 1), dtype=np.float32)
    np.put_along_axis(has, codes, 1.0, axis=1)
    rare = has * np.log(items / np.maximum(has.sum(axis=0), 1))
    near = rare @ rare.T / np.maximum(np.linalg.norm(rare, axis=1)[:, None], 1e-9)
    near /= np.maximum(np.linalg.norm(rare, axis=1)[None, :], 1e-9)
    np.fill_diagonal(near, 0.0)
    alike = np.where(near >= np.partition(near, -10, axis=1)[:, [-10]], near, 0.0)
    shared = has / np.sqrt(np.maximum(has.sum(axis=0), 1))

    ends = np.bincount(train.items[train.offsets[1:] - 1], minlength=items)
    late = (ends + 20 * len(train) / len(train.items)) / (np.bincount(train.items) + 20)
    earlier = Sequences.from_lists([row[:-1] if len(row) > 1 else row for row in train])
    before = interaction_matrix(earlier, items)

    rows = {
        "the mixture as it is": lambda: ideas.best(weights),
        "negative weights of the graph too": lambda: ideas.best(every),
        "graph fitted without each history's last item, as old as at test": lambda: ideas.best(
            np.maximum(ridge((before.T @ before).toarray(), arguments.regularization), 0.0)
        ),
        "shared codes as further users of the graph": lambda: ideas.best(
            np.maximum(ridge(gram + 3 * shared @ shared.T, arguments.regularization), 0.0)
        ),
        "third part, 0.05: items alike in code space to the history": lambda: ideas.best(
            weights, third=(alike, 0.05)
        ),
        "third part, 0.05: items alike to what the graph proposes": lambda: ideas.best(
            weights, third=(weights @ alike, 0.05)
        ),
        "scores times (share of late interactions) ** 0.25": lambda: ideas.best(
            weights, factor=late**0.25
        ),
    }
    if len(ideas.encoders) > 1:
        rows["two encoders averaged"] = lambda: ideas.best(
            weights, encoder=sum(ideas.encoders) / len(ideas.encoders)
        )
    print(f"| {data.name} | NDCG@10 | at temperature 1 | temperature | share | recency |")
    print("|---|" + "---:|" * 5)
    for name, row in rows.items():
        found = row()
        figures = f"{found['NDCG@10']:.4f} | {found['at temperature 1']:.4f}"
        settings = f"{found['temperature']} | {found['share']} | {found['recency']}"
        print(f"| {name} | {figures} | {settings} |", flush=True)


if __name__ == "__main__":
    main()

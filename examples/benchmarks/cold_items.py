"""How well items are recommended that nobody ever took, and items that lack pictures.

    python examples/benchmarks/cold_items.py --data_dir data/Beauty --json out.json \
        --set features.text.kind=minilm num_threads=2
    python examples/benchmarks/cold_items.py --data_dir demo/domains/outdoor --json out.json \
        --share 0.1 --without_images 0.3

`--data_dir` is a published split (`X.inter.json`, ...) or a domain folder. A share of the items is
held out of everything: their interactions are removed and all stages are trained on the rest. Then
they are added with `Recommender.add_items`, by their texts alone (`--with_images` adds pictures).
The users looked at are those whose test item is one of them; known of each is the history before
it, without held-out items. Compared are the model (with and without its item graph, new items
speaking for themselves or through neighbours), the nearest texts to the history's mean text, and
chance; all rank the whole catalogue, and the new items alone. What it costs the others is measured
on the users of the run's own test split.

`--without_images` takes the pictures away from a share of the items before anything is trained;
figures by what the target has follow, on the run's own test users.

The Markdown table lies beside the JSON file (`out.md`).
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from transformers import HfArgumentParser

from qbert4rec_hf.cli.console import prepare
from qbert4rec_hf.columns import IMAGE_MODALITY, IMAGES, ITEM_ID, TEXT_MODALITY
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.evaluation.metrics import (
    ALL_ITEMS,
    PROTOCOLS,
    UNSEEN_ITEMS,
    summarize,
    target_ranks,
)
from qbert4rec_hf.features.structural import unit
from qbert4rec_hf.files import write_json, write_text
from qbert4rec_hf.markdown import table
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.ranking.top_k import top_k
from qbert4rec_hf.runs.content_stages import load_features
from qbert4rec_hf.runs.evaluation import MODEL, WITH_GRAPH, systems_of
from qbert4rec_hf.runs.pipeline import run_domain

METRICS = ("HR@1", "HR@5", "HR@10", "NDCG@10")
BATCH = 512


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "published split or domain folder"})
    json: str = field(metadata={"help": "results file"})
    share: float = field(default=0.05, metadata={"help": "share of the items held out"})
    seed: int = field(default=0, metadata={"help": "of the items held out and of the training"})
    set: list[str] = field(
        default_factory=list, metadata={"help": "settings of the run, as section.key=value"}
    )
    neighbours: list[int] = field(
        default_factory=lambda: [0, 3, 5, 10],
        metadata={"help": "trained items that speak for a new one; 0 for its ID alone"},
    )
    with_images: bool = field(default=False, metadata={"help": "add items with their pictures"})
    without_images: float = field(
        default=0.0, metadata={"help": "share of the items whose pictures are taken away"}
    )
    other_users: int = field(default=5000, metadata={"help": "other users looked at, at most"})
    work_dir: str | None = field(
        default=None, metadata={"help": "keeps the run, so that an interrupted one goes on"}
    )


class Split:
    """A domain without some of its items, and the users whose test item is one of them."""

    def __init__(self, domain: Domain, arguments: Arguments):
        rng = np.random.default_rng(arguments.seed)
        count = round(arguments.share * len(domain))
        order = rng.permutation(len(domain))
        cold = np.zeros(len(domain), dtype=bool)
        cold[order[:count]] = True
        items = domain.items.copy()
        bare = rng.permutation(len(domain))[: round(arguments.without_images * len(domain))]
        pictures = items[IMAGES].tolist()
        for row in bare:
            pictures[row] = []
        items[IMAGES] = pictures
        self.items, self.cold, self.path = items, cold, domain.path
        self.num_new, self.name = count, domain.name

        split = domain.split()
        targets = split.targets("test")
        users = np.flatnonzero(cold[targets])
        histories = [row[~cold[row]] for row in split.histories("test").take(users)]
        known = [number for number, history in enumerate(histories) if len(history)]
        self.without_history = len(users) - len(known)
        ids = np.array(domain.item_ids, dtype=object)
        self.histories = [ids[histories[number]].tolist() for number in known]
        self.targets = ids[targets[users[known]]].tolist()
        cold_users = set(split.user_ids[split.evaluated("test")[users]].tolist())

        # The test item of the users looked at goes with all other interactions of new items; the
        # last ones that remain to them are held out of the training as everyone's are.
        interactions = domain.interactions()
        interactions = interactions[~interactions[ITEM_ID].isin(set(ids[cold]))]
        self.trained = Domain.from_tables(
            items[~cold].reset_index(drop=True),
            interactions.reset_index(drop=True),
            name=domain.name,
            source=domain.info.source,
            tie_seed=domain.info.tie_seed,
            path=domain.path,
        )
        self.others = self._others(cold_users, arguments)

    def _others(
        self, cold_users: set[str], arguments: Arguments
    ) -> tuple[list[list[str]], list[str]]:
        """Histories and targets of the run's own test users, but for those looked at."""
        split, ids = self.trained.split(), np.array(self.trained.item_ids, dtype=object)
        evaluated = split.user_ids[split.evaluated("test")]
        rows = np.flatnonzero([user not in cold_users for user in evaluated.tolist()])
        rows = np.random.default_rng(arguments.seed).permutation(rows)[: arguments.other_users]
        rows.sort()
        histories = [ids[history].tolist() for history in split.histories("test").take(rows)]
        return histories, ids[split.targets("test")[rows]].tolist()

    def new_items(self, with_images: bool):
        """What a shop knows of the items held out."""
        items = self.items[self.cold].reset_index(drop=True)
        return items if with_images else items.assign(**{IMAGES: [[] for _ in range(len(items))]})


@dataclass
class Users:
    """Histories and what came next, as rows of a catalogue."""

    histories: Sequences
    targets: np.ndarray

    @classmethod
    def of(cls, item_ids: list[str], histories: list[list[str]], targets: list[str]) -> Users:
        row = {item_id: number for number, item_id in enumerate(item_ids)}
        rows = [[row[item_id] for item_id in history] for history in histories]
        return cls(Sequences.from_lists(rows), np.array([row[t] for t in targets], dtype=np.int64))


def ranks_of(
    score: Callable, users: Users, allowed: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The rank of each user's target `[users]` by protocol, among all items or those allowed."""
    ranks: dict[str, list[np.ndarray]] = {protocol: [] for protocol in PROTOCOLS}
    for start in range(0, len(users.targets), BATCH):
        batch = np.arange(start, min(start + BATCH, len(users.targets)))
        histories, targets = users.histories.take(batch), users.targets[batch]
        scores = score(histories)
        for protocol in PROTOCOLS:
            of_protocol = scores[protocol] if isinstance(scores, dict) else scores
            if allowed is not None:
                of_protocol = of_protocol.masked_fill(~torch.from_numpy(allowed), -torch.inf)
            seen = histories if protocol == UNSEEN_ITEMS else None
            ranks[protocol].append(target_ranks(of_protocol, targets, seen))
    empty = np.zeros(0, dtype=np.int64)
    return {protocol: np.concatenate([empty, *parts]) for protocol, parts in ranks.items()}


def share_of_places(score: Callable, users: Users, new: np.ndarray) -> float:
    """Which share of everyone's first ten places new items get, seen items excluded."""
    places = []
    for start in range(0, len(users.targets), BATCH):
        rows = np.arange(start, min(start + BATCH, len(users.targets)))
        histories = users.histories.take(rows)
        scores = score(histories)
        scores = scores[UNSEEN_ITEMS] if isinstance(scores, dict) else scores
        found, _ = top_k(scores, 10, exclude=histories)
        found = found.cpu().numpy()
        places.append(new[found[found >= 0]])
    return float(np.concatenate(places).mean()) if places else 0.0


def measured(name: str, score: Callable, new: np.ndarray, cold: Users, others: Users) -> dict:
    """All figures of one system."""
    whole, among_new, of_others = (
        {protocol: summarize(r) for protocol, r in ranks_of(score, users, allowed).items()}
        for users, allowed in ((cold, None), (cold, new), (others, None))
    )
    return {
        "system": name,
        "whole catalogue": whole,
        "new items alone": among_new[ALL_ITEMS],
        "other users": of_others,
        "share of places": share_of_places(score, others, new),
    }


def text_scorer(recommender: Recommender, items) -> Callable:
    """Cosine between the mean text vector of a history and every item's text vector."""
    by_id = items.set_index(ITEM_ID).loc[recommender.items.item_ids].reset_index()
    encoder = recommender.coder.encoders[TEXT_MODALITY]
    vectors = encoder.encode(by_id, None, progress=False).vectors
    vectors = unit(unit(vectors).sum(axis=1))

    def score(histories: Sequences) -> torch.Tensor:
        mean = np.stack([vectors[history].sum(axis=0) for history in histories])
        return torch.from_numpy(unit(mean) @ vectors.T)

    return score


def chance(num_items: int, num_new: int, num_others: int) -> dict:
    """What a random order of all candidates gives, on average."""

    def expected(candidates: int) -> dict[str, float]:
        gains = 1 / np.log2(np.arange(2, candidates + 2))
        found = {f"HR@{k}": min(k, candidates) / candidates for k in (1, 5, 10)}
        return found | {f"NDCG@{k}": float(gains[:k].sum() / candidates) for k in (5, 10)}

    return {
        "system": "Chance",
        "whole catalogue": dict.fromkeys(PROTOCOLS, expected(num_items)),
        "new items alone": expected(num_new),
        "other users": dict.fromkeys(PROTOCOLS, expected(num_items)) if num_others else {},
        "share of places": num_new / num_items,
    }


def by_modality(run_folder: Path, recommender: Recommender, split: Split) -> list[dict]:
    """Figures of the run's own test users by what their target has: text, picture, both, none."""
    features = load_features(run_folder / "features", [split.name])
    if IMAGE_MODALITY not in features.modalities:
        return []
    has = {
        name: features.modalities[name].present
        for name in (TEXT_MODALITY, IMAGE_MODALITY)
        if name in features.modalities
    }
    own = recommender.items.item_ids
    row = {item_id: number for number, item_id in enumerate(features.item_ids)}
    kinds = np.array(
        [
            " and ".join(name for name, present in has.items() if present[row[item_id]])
            or "neither"
            for item_id in own
        ]
    )
    users = Users.of(own, *split.others)
    ranks = ranks_of(recommender.ranker.scores_by_protocol, users)
    found = []
    for kind in sorted(set(kinds)):
        members = kinds[users.targets] == kind
        figures = {protocol: summarize(r[members]) for protocol, r in ranks.items()}
        found.append(
            {
                "target has": kind,
                "items": int((kinds == kind).sum()),
                "users": int(members.sum()),
                **figures,
            }
        )
    return found


def systems(model: Path, split: Split, arguments: Arguments) -> list[dict]:
    """Every system on the grown catalogue."""
    found = []
    for number in arguments.neighbours:
        recommender = Recommender.from_pretrained(model)
        old = len(recommender.items)
        items = split.new_items(arguments.with_images)
        recommender.add_items(items, images_root=split.path, neighbours=number)
        ids = recommender.items.item_ids
        new = np.arange(len(ids)) >= old
        cold = Users.of(ids, split.histories, split.targets)
        others = Users.of(ids, *split.others)
        means = f"{number} neighbours" if number else "by ID alone"
        own = systems_of(recommender.ranker, split.trained.split())
        for name in (MODEL, WITH_GRAPH):
            if name in own:
                print(f"{name}, {means}", flush=True)
                found.append(measured(f"{name}, {means}", own[name], new, cold, others))
    texts = text_scorer(recommender, split.items)
    found.append(measured("Nearest texts", texts, new, cold, others))
    found.append(chance(len(ids), int(new.sum()), len(others.targets)))
    return found


def markdown(result: dict) -> str:
    """The tables."""
    counts = result["counts"]
    parts = [
        f"# New items of {result['domain']}\n",
        f"{counts['new items']:,} of {counts['items']:,} items held out of everything (seed "
        f"{result['seed']}), {counts['users']:,} users whose test item is one of them, "
        f"{counts['other users']:,} others.\n",
        "## Whole catalogue ranked, seen items excluded\n",
    ]
    rows = [
        (
            of["system"],
            *(f"{of['whole catalogue'][UNSEEN_ITEMS][name]:.4f}" for name in METRICS),
            f"{of['other users'][UNSEEN_ITEMS]['HR@10']:.4f}" if of["other users"] else "-",
            f"{of['share of places']:.3f}",
        )
        for of in result["systems"]
    ]
    heading = ["system", *METRICS, "HR@10 of others", "places of new items"]
    parts += [table(heading, rows, numbers=len(heading) - 1), ""]
    parts.append("## New items ranked alone\n")
    rows = [
        (of["system"], *(f"{of['new items alone'][name]:.4f}" for name in METRICS))
        for of in result["systems"]
    ]
    parts += [table(["system", *METRICS], rows, numbers=len(METRICS)), ""]
    if result["by modality"]:
        parts.append("## Trained items by what they have, seen items excluded\n")
        rows = [
            (
                of["target has"],
                of["items"],
                of["users"],
                *(f"{of[UNSEEN_ITEMS][name]:.4f}" for name in METRICS),
            )
            for of in result["by modality"]
        ]
        heading = ["the target has", "items", "users", *METRICS]
        parts += [table(heading, rows, numbers=len(heading) - 1), ""]
    parts.append(f"Made by `{result['command']}`.")
    return "\n".join(parts) + "\n"


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    prepare(quiet=True)
    source = Path(arguments.data_dir)
    published = source.is_file() or any(source.glob("*.inter.json"))
    domain = import_published(source).domain if published else Domain.load(source)
    if domain.info.split != "leave_one_out":
        sys.exit(f"{source} has a temporal split; this script holds out the last items of users")
    split = Split(domain, arguments)
    if not split.targets:
        sys.exit(f"no user's test item is held out; --share {arguments.share} is too small")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.work_dir or temporary)
        # Another choice of items is another domain, beside the first.
        choice = f"{domain.name}-{arguments.share:g}-{arguments.without_images:g}-{arguments.seed}"
        if not (folder / choice / "domain").exists():
            split.trained.save(folder / choice / "domain")
        run_folder = folder / choice / "run"
        run_domain(
            folder / choice / "domain", run_folder, assignments=arguments.set, seed=arguments.seed
        )
        model = run_folder / "model"
        result = {
            "domain": domain.name,
            "command": f"python examples/benchmarks/cold_items.py --data_dir DATA --json OUT "
            f"--share {arguments.share:g} --seed {arguments.seed} --without_images "
            f"{arguments.without_images:g}"
            + (" --set " + " ".join(arguments.set) if arguments.set else ""),
            "seed": arguments.seed,
            "settings": arguments.set,
            "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, "
            f"torch {torch.__version__}",
            "counts": {
                "items": len(domain),
                "new items": split.num_new,
                "users": len(split.targets),
                "users left without a history": split.without_history,
                "other users": len(split.others[1]),
            },
            "systems": systems(model, split, arguments),
            "by modality": by_modality(run_folder, Recommender.from_pretrained(model), split),
        }
    write_json(arguments.json, result)
    path = Path(arguments.json).with_suffix(".md")
    write_text(path, markdown(result))
    print(path.read_text(encoding="utf-8"), flush=True)


if __name__ == "__main__":
    main()

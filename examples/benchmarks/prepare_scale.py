"""How much memory, disk and time `qbert4rec prepare` takes on 20 million made-up reviews.

    python examples/benchmarks/prepare_scale.py --work_dir /tmp/scale \
        --json examples/benchmarks/results/prepare_scale.json

1. Writes a review file in the form of Amazon 2018: JSON lines without texts, in the order of the
   items, users and items with long tails, whole days, some rows twice. A file that stands there
   from an earlier run with the same settings is taken again.
2. Runs `qbert4rec prepare` on it in a process of its own, and watches the size of everything
   beside the review file meanwhile.
3. Writes peak memory of that process, peak disk, seconds and what came out.

About 1 GB of disk for the review file (3 GB with `--compressed false`), and what is reported.
"""

from __future__ import annotations

import gzip
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
from tqdm.auto import tqdm
from transformers import HfArgumentParser

from qbert4rec_hf.files import atomic_file, read_json, write_json

# Reviews a user and an item; of all categories of 2018 together 5.3 and 15.
REVIEWS_PER_USER = 2.5
REVIEWS_PER_ITEM = 20
# Rows that stand twice, as they do in Amazon's files.
DUPLICATES = 0.005
FIRST_DAY = datetime(2000, 1, 1, tzinfo=timezone.utc)
DAYS = 6_850
CHUNK = 250_000
PREPARE = (
    "import sys; sys.argv[0] = 'qbert4rec'; "
    "from qbert4rec_hf.cli.main import main; sys.exit(main())"
)


@dataclass
class Arguments:
    work_dir: str = field(metadata={"help": "folder for the review file and the domain folder"})
    json: str = field(metadata={"help": "results file"})
    rows: int = field(default=20_000_000, metadata={"help": "reviews"})
    compressed: bool = field(default=True, metadata={"help": "whether the review file is .gz"})
    memory_limit: str = field(default="3GB", metadata={"help": "of the engine"})
    threads: int = field(default=2, metadata={"help": "of the engine"})
    seed: int = field(default=0, metadata={"help": "of the made-up reviews"})


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    work = Path(arguments.work_dir)
    work.mkdir(parents=True, exist_ok=True)
    suffix = ".json.gz" if arguments.compressed else ".json"
    reviews = work / f"reviews-{arguments.rows}-{arguments.seed}{suffix}"
    if not reviews.exists():
        write_reviews(reviews, arguments.rows, arguments.seed)
    result = measure(reviews, work / "out", arguments)
    write_json(arguments.json, result)
    for name, value in result.items():
        print(f"{name}: {value}")


def write_reviews(path: Path, rows: int, seed: int) -> None:
    """Writes the review file."""
    random = np.random.default_rng(seed)
    num_users, num_items = int(rows / REVIEWS_PER_USER), int(rows / REVIEWS_PER_ITEM)
    # Powers of uniform numbers: few users and items have many reviews, most have one or two.
    items = np.sort((num_items * random.random(rows) ** 2.5).astype(np.int32))
    # What an item is called does not say how often it is taken.
    labels = random.permutation(num_items)
    options = {"compresslevel": 1} if path.suffix == ".gz" else {}
    opener = gzip.open if path.suffix == ".gz" else open
    days = [FIRST_DAY + timedelta(days=day) for day in range(DAYS)]
    dates = [f"{day:%m} {day.day}, {day.year}" for day in days]
    seconds = [int(day.timestamp()) for day in days]
    with (
        atomic_file(path) as temporary,
        opener(temporary, "wt", encoding="utf-8", **options) as file,
        tqdm(total=rows, unit="review", desc="writing reviews") as bar,
    ):
        for start in range(0, rows, CHUNK):
            chunk = items[start : start + CHUNK]
            # 7,919 shares no factor with the number of users: neighbours get far away labels.
            users = (num_users * random.random(len(chunk)) ** 2).astype(np.int64) * 7_919
            stamps = (DAYS * random.random(len(chunk)) ** 0.4).astype(np.int64)
            stars = random.choice([1, 2, 3, 4, 5], len(chunk), p=[0.07, 0.04, 0.08, 0.17, 0.64])
            times = 1 + (random.random(len(chunk)) < DUPLICATES)
            file.writelines(
                f'{{"overall": {star}.0, "verified": true, "reviewTime": "{dates[day]}", '
                f'"reviewerID": "A{user:013X}", "asin": "B{item:09d}", "summary": "Five Stars", '
                f'"unixReviewTime": {seconds[day]}}}\n' * count
                for user, item, day, star, count in zip(
                    (users % num_users).tolist(),
                    labels[chunk].tolist(),
                    stamps.tolist(),
                    stars.tolist(),
                    times.tolist(),
                    strict=True,
                )
            )
            bar.update(len(chunk))


def measure(reviews: Path, output: Path, arguments: Arguments) -> dict:
    """Prepares the file in a process of its own and watches it."""
    command = [
        "prepare",
        *("--reviews", str(reviews)),
        *("--output-dir", str(output / "domain")),
        *("--memory-limit", arguments.memory_limit),
        *("--threads", str(arguments.threads)),
    ]
    output.mkdir(exist_ok=True)
    start = time.perf_counter()
    with PeakSize(output) as peak:
        subprocess.run([sys.executable, "-c", PREPARE, *command], check=True)
    seconds = time.perf_counter() - start
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    preparation = read_json(output / "domain" / "preparation.json")
    return {
        "command": "python examples/benchmarks/prepare_scale.py --work_dir DIR --json OUT "
        f"--rows {arguments.rows} --compressed {arguments.compressed} "
        f"--memory_limit {arguments.memory_limit} --threads {arguments.threads} "
        f"--seed {arguments.seed}",
        "machine": f"{os.cpu_count()} CPU cores, {arguments.threads} used, {platform.machine()}, "
        f"duckdb {duckdb.__version__}",
        "review_file_gb": gigabytes(reviews.stat().st_size),
        "peak_memory_gb": gigabytes(memory),
        "peak_disk_gb": gigabytes(peak.size),
        "domain_folder_gb": gigabytes(size_of(output)),
        "seconds": round(seconds, 1),
        "rows_read": preparation["read"][0]["rows"],
        "table": preparation["table"],
        "dropped": preparation["dropped"],
    }


class PeakSize:
    """The largest size that a folder has while the block runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakSize:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.25):
            self.size = max(self.size, size_of(self.folder))


def size_of(folder: Path) -> int:
    """Bytes on disk of all files below a folder; files may vanish meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                continue
    return total


def gigabytes(size: int) -> float:
    return round(size / 1e9, 3)


if __name__ == "__main__":
    main()

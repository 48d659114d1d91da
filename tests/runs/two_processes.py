"""The command line in two processes: run as a script, prints JSON.

Usage: two_processes.py FOLDER DOMAIN
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import accelerate  # noqa: F401 - imported once, before the processes part

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from launcher import launch  # noqa: E402

from qbert4rec_hf.cli.main import main  # noqa: E402
from qbert4rec_hf.runs import pipeline  # noqa: E402, F401 - likewise
from qbert4rec_hf.runs.lock import run_lock  # noqa: E402

FOLDER, DOMAIN = Path(sys.argv[1]), sys.argv[2]


def command(rank: int, *arguments: str) -> tuple[int, str]:
    """Exit status and what went to stderr."""
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        status = main(list(arguments))
    return status, errors.getvalue()


def features(count: int, name: str, *further: str) -> list[tuple[int, str]]:
    arguments = ["features", "--quiet", "--domain", DOMAIN, "--output-dir", str(FOLDER / name)]
    return launch(command, count, *arguments, *further)


def work() -> dict:
    results = {"one": features(1, "one"), "two": features(2, "two")}
    results["again"] = features(2, "two")
    results["fuse"] = launch(command, 2, "fuse", "--quiet", "--output-dir", str(FOLDER / "two"))
    with run_lock(FOLDER / "two"):
        results["locked"] = features(2, "two")

    (FOLDER / "foreign" / "features").mkdir(parents=True)
    (FOLDER / "foreign" / "features" / "holiday.txt").write_text("mine")
    results["foreign"] = features(2, "foreign")
    missing = ["features.text.kind=parquet", "features.text.options.path=gone.parquet"]
    results["broken"] = features(2, "broken", *(part for s in missing for part in ("--set", s)))
    return results


if __name__ == "__main__":
    print(json.dumps(work()))

"""Tests the package with the oldest and the newest transformers that it allows.

For each version: a new virtual environment, `pip install ".[test]"` with that version, the tests of
what hangs on transformers (models, tokenizer, Auto classes, Trainer, Hub, pipelines); then the
package is uninstalled and the Auto classes are tested once more, where a model folder's own code is
all there is. At the oldest version also: the one before is refused with a line that says what is
needed. Prints a table; the exit status is 1 if anything failed.

    python examples/compatibility/transformers_matrix.py
    python examples/compatibility/transformers_matrix.py --versions 5.22.2 --keep
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser

from qbert4rec_hf._versions import OLDEST

ROOT = Path(__file__).resolve().parents[2]
# Their versions follow that of transformers; all others are those of the constraints file.
FOLLOWING = ("transformers", "tokenizers", "huggingface_hub")
TESTS = (
    "tests/fusion/test_modeling_fusion.py",
    "tests/quantizer/test_modeling_quantizer.py",
    "tests/semantic_ids/test_tokenization_semantic_id.py",
    "tests/sequence",
    "tests/test_family_laws.py",
    "tests/test_import_cost.py",
    "tests/training/test_push_model_folder.py",
    "tests/training/test_sequence_trainer.py",
    "tests/hub/test_auto_classes.py",
    "tests/hub/test_open_from_hub.py",
    "tests/hub/test_pipeline_recommendation.py",
    "tests/hub/test_push.py",
)
WITHOUT_THE_PACKAGE = "tests/hub/test_auto_classes.py"


@dataclass
class Arguments:
    """What to test, and where."""

    versions: list[str] = field(
        default_factory=list,
        metadata={"help": "versions of transformers; by default the oldest allowed and the newest"},
    )
    work_dir: str | None = field(
        default=None, metadata={"help": "for the environments, some 6 GB each; a temporary folder"}
    )
    keep: bool = field(default=False, metadata={"help": "leave the environments there"})


class Environment:
    """A virtual environment with the package and one version of transformers.

    Args:
        work: folder of this environment's own.
        version: of transformers.
    """

    def __init__(self, work: Path, version: str):
        self.work, self.version = work, version
        self.source = work / "source"
        self.rows: list[tuple[str, str, str, float]] = []

    def test(self) -> None:
        """Does all steps; one that needs a step that failed is left out."""
        copy_checkout(self.source)
        venv.create(self.work / "venv", with_pip=True, clear=True)
        constraints = self.work / "constraints.txt"
        constraints.write_text(other_constraints())
        wanted = [".[test]", f"transformers=={self.version}"]
        if not self._step("install", "pip", "install", "-q", "-c", str(constraints), *wanted):
            return
        self._step("tests", "pytest", "-q", "-p", "no:cacheprovider", *TESTS)
        # Python's option -I, with which these tests start a process, ignores PYTHONPATH.
        self._run("pip", "uninstall", "-q", "-y", "qbert4rec_hf")
        alone = ("pytest", "-q", "-p", "no:cacheprovider", WITHOUT_THE_PACKAGE)
        self._step("without the package", *alone, PYTHONPATH=str(self.source))
        if numbers(self.version) == numbers(OLDEST["transformers"]):
            before = f"transformers<{OLDEST['transformers']}"
            self._run("pip", "install", "-q", "--no-deps", before)
            self._refused()

    def _run(self, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        return subprocess.run(
            [str(self.work / "venv" / "bin" / program), *arguments],
            cwd=self.source,
            env={**kept, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _step(self, name: str, program: str, *arguments: str, **variables: str) -> bool:
        start = time.perf_counter()
        done = self._run(program, *arguments, **variables)
        lines = done.stdout.strip().splitlines() or [""]
        self._note(name, done.returncode == 0, lines[-1], start, done.stdout)
        return done.returncode == 0

    def _refused(self) -> None:
        start = time.perf_counter()
        done = self._run("python", "-c", "import qbert4rec_hf", PYTHONPATH=str(self.source))
        last = (done.stdout.strip().splitlines() or [""])[-1]
        wanted = rf"needs transformers {re.escape(OLDEST['transformers'])} or newer"
        passed = done.returncode == 1 and re.search(wanted, last) is not None
        self._note("the version before", passed, last, start, done.stdout)

    def _note(self, name: str, passed: bool, detail: str, start: float, output: str) -> None:
        seconds = time.perf_counter() - start
        self.rows.append((name, "passed" if passed else "FAILED", detail.strip("= "), seconds))
        print(f"transformers {self.version}: {name}: {self.rows[-1][1]} ({seconds:.0f} s)")
        if not passed:
            print(output[-5000:])
        sys.stdout.flush()


def numbers(version: str) -> list[int]:
    """The numbers of a version without zeros at the end, so that 5.20 is 5.20.0."""
    found = [int(number) for number in version.split(".") if number.isdigit()]
    while found and found[-1] == 0:
        found.pop()
    return found


def pinned(name: str) -> str:
    """The version of a library in the constraints file."""
    found = re.search(rf"^{name}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"constraints.txt pins no {name}")
    return found[1]


def other_constraints() -> str:
    """The constraints file without transformers and what follows it."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if not line.startswith(FOLLOWING))


def copy_checkout(target: Path) -> None:
    """Copies what belongs to the project; an old `build/` would get into what is installed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        # A file that was deleted and not committed yet is still listed.
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def main() -> int:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    versions = arguments.versions or [f"{OLDEST['transformers']}.0", pinned("transformers")]
    work = Path(arguments.work_dir or tempfile.mkdtemp(prefix="transformers-matrix-")).resolve()
    rows = []
    for version in versions:
        place = work / version
        place.mkdir(parents=True)
        try:
            environment = Environment(place, version)
            environment.test()
            rows += [(version, *row) for row in environment.rows]
        finally:
            if not arguments.keep:
                shutil.rmtree(place, ignore_errors=True)
    if not arguments.keep:
        work.rmdir()
    print("\n| transformers | step | result | seconds | |\n|---|---|---|---:|---|")
    for version, name, result, detail, seconds in rows:
        print(f"| {version} | {name} | {result} | {seconds:.0f} | {detail} |")
    return int(any(result != "passed" for _, _, result, _, _ in rows))


if __name__ == "__main__":
    sys.exit(main())

"""The README's table of what works with the Hub: every line of it, run as it is printed."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_hub import FakeHub
from run_snippets import in_a_new_process

from qbert4rec_hf.hub.export_onnx import LIBRARIES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.search(r"<!-- hub verbs -->\n(.*?)<!-- /hub verbs -->", README, re.DOTALL)[1]
SETUP = re.search(r"```python\n(.*?)```", BLOCK, re.DOTALL)[1]

# All lines run in one fixture, which a busy machine may take its time for.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    what: str
    code: str
    gives: str

    @property
    def works_alone(self) -> bool:
        """Whether the table says that no package is needed."""
        return self.what.endswith("*")

    @property
    def trusting(self) -> str:
        """The same with the repository's own code allowed, as the table says to write it."""
        call = re.search(r"(from_pretrained|pipeline)\([^()]*", self.code)
        return f"{self.code[: call.end()]}, trust_remote_code=True{self.code[call.end() :]}"


LINES = [
    Line(*row)
    for row in re.findall(r"^\| ([^|]+) \| `([^|]+)` \| ([^|]+) \|$", BLOCK, re.MULTILINE)
]
ALONE = [line for line in LINES if line.works_alone]
# The extra "onnx" need not be installed; its line then says what to install.
HAS_ONNX = all(find_spec(name) for name in LIBRARIES)


def owned(text: str) -> str:
    """A line as somebody writes it who owns "shop"."""
    return text.replace("OWNER", "shop")


@pytest.fixture(scope="module")
def done(run_folder, tmp_path_factory):
    """The result of each line with the package and without it, and the Hub afterwards."""
    place = tmp_path_factory.mktemp("verbs")
    shutil.copytree(run_folder, place / "demo" / "run")
    shutil.copytree(run_folder.parent / "shops", place / "demo" / "domains")
    (place / "examples").mkdir()
    for script in (ROOT / "examples").glob("*.py"):
        shutil.copy(script, place / "examples")
    with FakeHub() as hub:
        codes = [SETUP, *(owned(line.code) for line in LINES), "history"]
        ours = in_a_new_process([codes], place, hub.environment(place / "home"))[0]
        assert ours[0]["error"] is None, ours[0]["error"]
        # A machine that lacks the package and has downloaded nothing.
        imports = [row for row in SETUP.splitlines() if "import" in row and "qbert4rec" not in row]
        codes = ["\n".join(imports), f"history = {ours[-1]['value']}"]
        codes += [owned(line.trusting) for line in ALONE]
        environment = hub.environment(place / "stranger")
        alone = in_a_new_process([codes], place, environment, without_the_package=True)[0]
    return SimpleNamespace(
        ours=dict(zip(LINES, ours[1:-1], strict=True)),
        alone=dict(zip(ALONE, alone[2:], strict=True)),
        hub=hub,
        place=place,
    )


def check(line: Line, result: dict) -> None:
    assert result["error"] is None, result["error"]
    named = re.fullmatch(r"`(\w+)`", line.gives)
    if named:
        assert result["type"] == named[1]
    else:
        assert result["printed"].strip()


def test_the_table_is_not_empty():
    assert len(LINES) == BLOCK.count("\n| ") - 1 > 30 and len(ALONE) > 10


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.what)
def test_the_line_works(done, line):
    if "--format onnx" in line.code and not HAS_ONNX:
        pytest.skip("the extra 'onnx' is not installed")
    check(line, done.ours[line])


@pytest.mark.parametrize("line", ALONE, ids=lambda line: line.what)
def test_the_line_works_without_the_package(done, line):
    check(line, done.alone[line])
    # The same as with it: in a list of items or tokens the numbers too, up to what is printed.
    if line.gives == "`list`" and "tuned" not in line.code:
        assert done.alone[line]["value"] == done.ours[line]["value"]


def test_what_was_pushed_is_there(done):
    found = {key: repository.private for key, repository in done.hub.repositories.items()}
    assert found == {
        ("model", "shop/weekend"): True,
        ("model", "shop/mine"): True,
        ("model", "shop/tuned"): False,
        ("dataset", "shop/weekend-data"): False,
        ("dataset", "shop/weekend-features"): False,
        ("space", "shop/hr_ndcg"): False,
    }
    assert done.hub.files("shop/weekend", revision="next")["model.safetensors"]
    card = done.hub.files("shop/weekend")["README.md"].decode()
    assert "datasets:\n- shop/weekend-data" in card and "demo/run/model" not in card.split("##")[1]
    assert (done.place / "cache" / "models--shop--weekend").is_dir()
    assert (done.place / "exports" / "onnx" / "model.onnx").is_file() == HAS_ONNX

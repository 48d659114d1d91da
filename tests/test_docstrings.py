"""The examples of all docstrings, run as they stand.

An example of a public name has to work where it is pasted: it runs without any names but those that
it imports. Elsewhere an example may use the names of its module.
"""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from fake_hub import FakeHub
from tiny_recommender import tiny_recommender
from transformers.trainer_callback import ProgressCallback

import qbert4rec_hf
from qbert4rec_hf.evaluation.hr_ndcg import MODULE_PATH

PACKAGE = Path(qbert4rec_hf.__file__).parent
PUBLIC = sorted(set(qbert4rec_hf.__all__) - {"__version__"})
# A folder that `qbert4rec demo`, the README's first command, leaves.
DEMO_MODEL = "demo/run/model"


def full_name(name: str) -> str:
    value = getattr(qbert4rec_hf, name)
    return f"{value.__module__}.{value.__qualname__}"


def belongs_to(test: doctest.DocTest, name: str) -> bool:
    """Whether an example is of an object or of something inside it."""
    return test.name == full_name(name) or test.name.startswith(f"{full_name(name)}.")


def found_in(module_name: str) -> list[doctest.DocTest]:
    module = importlib.import_module(module_name)
    tests = doctest.DocTestFinder().find(module, module_name)
    return [test for test in tests if test.examples]


def collected() -> list[doctest.DocTest]:
    tests = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            tests += found_in(".".join(part for part in parts if part != "__init__"))
    for test in tests:
        if any(belongs_to(test, name) for name in PUBLIC):
            test.globs = {}
    return tests


TESTS = collected()


def run(test: doctest.DocTest) -> tuple[int, str]:
    """How many examples failed, and what doctest says of them."""
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    return runner.run(test, out=report.append).failed, "".join(report)


@pytest.fixture(scope="module")
def demo_model(tmp_path_factory) -> Path:
    return tiny_recommender().save_pretrained(tmp_path_factory.mktemp("demo") / "model")


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name.removeprefix("qbert4rec_hf."))
def test_example(test, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A Trainer's progress is no answer.
    monkeypatch.setattr(ProgressCallback, "on_log", lambda *_, **__: None)
    if DEMO_MODEL in test.docstring:
        shutil.copytree(request.getfixturevalue("demo_model"), DEMO_MODEL)
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "home")
        failed, report = run(test)
    assert not failed, report


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example(name):
    count = sum(len(test.examples) for test in TESTS if belongs_to(test, name))
    assert count > 0, f"the docstring of {name} shows no example"


def test_no_example_is_left_out():
    """Not one in a private function, under a decorator, or in a text that is no docstring."""
    written = {
        str(path): count
        for path in PACKAGE.rglob("*.py")
        # Its text is a constant; see below.
        if path.name != "hr_ndcg.py"
        and (count := len(re.findall(r"^ *>>> ", path.read_text(encoding="utf-8"), re.M)))
    }
    found: Counter[str] = Counter()
    for test in TESTS:
        found[test.filename] += len(test.examples)
    assert dict(found) == written


def test_an_example_that_breaks_is_a_failure():
    def broken():
        """
        >>> 1 + 1
        3
        >>> undefined_name
        """

    (test,) = doctest.DocTestFinder().find(broken, "broken", globs={})
    failed, report = run(test)
    assert failed == 2 and "Expected:\n    3\nGot:\n    2" in report and "NameError" in report


def test_examples_of_public_names_import_what_they_use():
    (test,) = [test for test in TESTS if test.name == full_name("Sequences")]
    lines = [example for example in test.examples if "import" not in example.source]
    alone = doctest.DocTest(lines, {}, test.name, test.filename, 0, test.docstring)
    assert run(alone)[0] == len(lines)


def test_example_of_the_evaluate_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(MODULE_PATH, "hr_ndcg")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    module = importlib.import_module("qbert4rec_hf.evaluation.hr_ndcg.hr_ndcg")
    text = module._KWARGS_DESCRIPTION
    test = doctest.DocTestParser().get_doctest(text, {}, "hr_ndcg", None, 0)
    assert len(test.examples) >= 2
    failed, report = run(test)
    assert not failed, report

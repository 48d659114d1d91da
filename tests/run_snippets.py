"""Runs Python and command lines as they are printed somewhere, and notes what each of them did.

Snippets of one group share their names, as lines typed one after the other do. As a program it runs
where nothing of the Hub's client is imported yet, and can pretend that the package is not there:

    python run_snippets.py GROUPS.json RESULTS.json [--without-the-package]
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import runpy
import shlex
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any


def run_groups(groups: list[list[str]]) -> list[list[dict[str, Any]]]:
    """The result of every snippet: see `run_one`."""
    results = []
    for group in groups:
        names: dict[str, Any] = {"__name__": "snippet"}
        results.append([run_one(snippet, names) for snippet in group])
    return results


def run_one(snippet: str, names: dict[str, Any]) -> dict[str, Any]:
    """What a snippet printed, the type and text of its last expression's value, and its error.

    Args:
        snippet: Python code, or one command line that begins with `qbert4rec` or `python`.
        names: of the code; changed by it.
    """
    found: dict[str, Any] = {"snippet": snippet, "type": None, "value": None, "error": None}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            if snippet.startswith(("qbert4rec ", "python ")):
                run_command(shlex.split(snippet))
            else:
                value = run_code(snippet, names)
                found |= {"type": type(value).__name__, "value": repr(value)[:500]}
        except Exception:
            found["error"] = traceback.format_exc()
    return {**found, "printed": printed.getvalue()}


def run_code(code: str, names: dict[str, Any]) -> Any:
    """Executes code; the value of its last statement, if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "snippet", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "s", "eval"), names)


def run_command(words: list[str]) -> None:
    """Runs a command line in this process, where the heavy libraries are imported already."""
    if words[0] == "python":
        before, sys.argv = sys.argv, words[1:]
        try:
            runpy.run_path(words[1], run_name="__main__")
        finally:
            sys.argv = before
        return
    from qbert4rec_hf.cli.main import main

    if status := main(words[1:]):
        raise RuntimeError(f"{words[:2]} ended with {status}")


def in_a_new_process(
    groups: list[list[str]],
    folder: Path,
    environment: dict[str, str],
    *,
    without_the_package: bool = False,
) -> list[list[dict[str, Any]]]:
    """`run_groups` in a process of its own.

    Args:
        groups: of snippets.
        folder: to run in.
        environment: of the process, such as `FakeHub.environment` gives.
        without_the_package: whether its import fails there.
    """
    given, results = folder / "groups.json", folder / "results.json"
    given.write_text(json.dumps(groups), encoding="utf-8")
    option = ["--without-the-package"] if without_the_package else []
    done = subprocess.run(
        [sys.executable, __file__, str(given), str(results), *option],
        cwd=folder,
        env={**environment, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(results.read_text(encoding="utf-8"))


if __name__ == "__main__":
    if "--without-the-package" in sys.argv:
        from every_way_to_open import NoPackage

        sys.meta_path.insert(0, NoPackage())
    answers = run_groups(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")

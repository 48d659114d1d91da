"""The README's snippets, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qbert4rec_hf.cli.main import VERBS, build_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "examples" / "amazon_new_domain.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[str]:
    lines = [line for block in blocks("bash", text) for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if part.startswith("qbert4rec ")]


@pytest.mark.parametrize("command", [*commands(README), *commands(GUIDE)])
def test_every_command_is_one_that_the_program_takes(command):
    parsed = build_parser().parse_args(command.split()[1:])
    assert parsed.verb in VERBS


def test_the_first_screen_holds_the_two_commands_that_ci_runs():
    found = re.findall(
        r"<!-- command: (\w+) -->\n```bash\n([^\n]*)\n```\n<!-- end of command -->", README
    )
    assert [name for name, _ in found] == ["demo", "tests"]
    assert README.index(found[1][1]) < 2500
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for name, _ in found:
        assert f"readme_command {name}" in script


def test_the_sample_of_your_own_data_becomes_a_domain_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (snippet,) = [block for block in blocks("python") if "Domain.from_tables" in block]
    exec(compile(snippet, "README.md", "exec"), {})

    from datasets import load_dataset

    from qbert4rec_hf.data.domain import Domain

    domain = Domain.load("domains/teashop")
    assert domain.info.num_items == 5 and domain.info.num_interactions == 5
    rows = load_dataset(str(tmp_path / "domains" / "teashop"), "items", cache_dir=str(tmp_path))
    assert sorted(rows["train"]["item_id"]) == sorted(domain.item_ids)


def test_every_verb_is_in_the_table():
    for verb in set(VERBS) - {"demo"}:
        assert f"`qbert4rec {verb}" in README, verb

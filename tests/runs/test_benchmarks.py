"""`examples/benchmarks/recipe.py` and what reads its runs, on a tiny published split."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.export_published import export_published
from qbert4rec_hf.files import read_json, write_json

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the examples are not installed with the package"
)


@pytest.fixture
def script(monkeypatch):
    """Runs a script's `main` with arguments, and gives its module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    # Scripts set the number of threads for good, and sums of other tests depend on it to the bit.
    threads = torch.get_num_threads()

    def run(name: str, *arguments):
        module = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        module.main()
        return module

    yield run
    torch.set_num_threads(threads)


def test_the_test_split_is_read_by_the_second_command(
    script, shops, short, tmp_path, monkeypatch, capsys
):
    data, other_data = (
        export_published(Domain.load(shops / name), tmp_path / name.title())
        for name in ("weekend", "home")
    )
    settings = [text for text in short if "evaluation" not in text]
    arguments = ["--data_dir", data, "--work_dir", tmp_path / "runs", "--num_threads", 1]
    arguments += ["--variants", "scratch", "paper", "eight_codes", "others"]
    arguments += ["--pretrain_dirs", other_data]
    arguments += ["--seeds", 2, "--set", *settings, "features.text.kind=tfidf"]
    published_splits = importlib.import_module("published_splits")
    with monkeypatch.context() as patch:
        patch.setattr(published_splits.Split, "test", lambda *_: pytest.fail("the test split"))
        script("recipe", *arguments)
    runs = sorted(path.name for path in (tmp_path / "runs" / "Weekend").iterdir())
    assert runs == ["domain", "eight_codes", "others", "paper", "scratch", "seed0", "seed1"]
    stages = {path.name for path in (tmp_path / "runs" / "Weekend" / "scratch").iterdir()}
    assert "pretrain" not in stages and "model" in stages

    weights = tmp_path / "runs" / "Weekend" / "seed1" / "model" / "model.safetensors"
    made = weights.stat().st_mtime_ns
    pretrain = read_json(tmp_path / "runs" / "Weekend" / "others" / "pretrain" / "stage.json")
    assert {"domain Weekend", "domain Home"} < pretrain["inputs"].keys()
    recipe = script("recipe", *arguments, "--json", tmp_path / "out.json")
    assert weights.stat().st_mtime_ns == made
    record = json.loads((tmp_path / "out.json").read_text())
    rows = {row["system"]: row for row in record["rows"]}
    assert rows[recipe.OURS]["runs"] == 2 and rows[recipe.PAPER]["runs"] == 1
    levels = {
        run["name"]: len(run["stages"]["quantizer"]["codebook sizes"]) for run in record["runs"]
    }
    assert levels.pop("eight_codes") == 8 and set(levels.values()) == {3}
    assert record["bootstrap"].keys() == rows.keys() - {recipe.OURS}
    for row in rows.values():
        for protocol in ("all_items", "unseen_items"):
            assert 0 <= row[protocol]["HR@1"]["mean"] <= row[protocol]["HR@10"]["mean"] <= 1
    assert len(list(tmp_path.glob("out_*.svg"))) == 3
    table = (tmp_path / "out.md").read_text()
    assert all(f"| {name} |" in table for name in rows)

    readme_tables = importlib.import_module("readme_tables")
    (tmp_path / "results").mkdir()
    # A further file gives the rows that the first one lacks, and no other.
    fewer = [row for row in record["rows"] if row["system"] not in (recipe.PAPER, recipe.EASE)]
    write_json(tmp_path / "results" / "recipe_weekend.json", {**record, "rows": fewer})
    graph = [row for row in record["rows"] if row["system"] == recipe.EASE]
    other = [{**row, "system": recipe.PAPER} for row in graph]
    ours = [{**row, "system": recipe.OURS} for row in graph]
    further = {"rows": [*other, *ours]}
    write_json(tmp_path / "results" / "recipe_weekend_variants.json", further)
    (tmp_path / "README.md").write_text("before\n<!-- figures -->\n<!-- end of figures -->\nafter")
    monkeypatch.setattr(readme_tables, "HERE", tmp_path)
    monkeypatch.setattr(readme_tables, "README", tmp_path / "README.md")
    monkeypatch.setattr(readme_tables, "DATA_SETS", (record["domain"],))
    readme_tables.main()
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before") and text.endswith("after")
    value = rows[recipe.OURS]["unseen_items"]["HR@10"]["mean"]
    assert f"**{value:.4f} / " in text and "Seeds: 2" in text
    value = graph[0]["unseen_items"]["HR@10"]["mean"]
    assert f"| {recipe.PAPER} | {value:.4f} / " in text and recipe.EASE not in text

    capsys.readouterr()
    run = tmp_path / "runs" / "Weekend" / "seed0"
    other = tmp_path / "runs" / "Weekend" / "seed1"
    script(
        "mixture_ideas",
        *("--data_dir", data, "--run", run, "--second_run", other, "--num_threads", 1),
    )
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + 8 and "two encoders averaged" in lines[-1]
    for line in lines[1:]:
        best, plain = map(float, line.split("|")[2:4])
        assert 0 < plain <= best <= 1

    rerank_ideas = script("rerank_ideas", "--data_dir", data, "--run", run, "--num_threads", 1)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(lines) == 3 + len(rerank_ideas.WITHOUT) + len(rerank_ideas.SIZES)
    figures = {line.split("|")[1].strip(): float(line.split("|")[2]) for line in lines[1:]}
    assert all(0 < figure <= 1 for figure in figures.values())
    assert figures["without all but the two scores"] != figures["re-ranked"]

    sorted_logs = script("sorted_logs", "--data_dir", data, "--run", run, "--num_threads", 1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all(line.startswith("Weekend: ") for line in lines)
    rising = sorted_logs.Sequences.from_lists([[0, 1, 2], [1, 2], [2, 0]])
    # Twice 1 before 2; 0 and 1, 2 and 0 once each; then once the other way round.
    assert sorted_logs.share_of_one_direction(rising, 3) == 1.0
    both = sorted_logs.Sequences.from_lists([[1, 2], [1, 2], [2, 1]])
    assert sorted_logs.share_of_one_direction(both, 3) == pytest.approx(1 / 3)

"""What a run learns from: the training parts, and validation items for choices alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.files import read_json
from qbert4rec_hf.runs.pipeline import Run, run_domain

CHOICES = Path("model/ranking.json")
STAGES = ("features", "fusion", "quantizer", "pretrain", "finetune", "model")


@pytest.fixture(scope="module", params=["leave_one_out", "temporal"])
def original(request, shops) -> Domain:
    domain = Domain.load(shops / "weekend")
    domain.items["images"] = [[] for _ in range(len(domain))]
    if request.param == "leave_one_out":
        # Without ties, in which another item would change the order of its neighbours too.
        interactions = domain.interactions()
        interactions["timestamp"] = np.arange(len(interactions))
        return Domain.from_tables(domain.items, interactions, name="weekend")
    validation_from, test_from = np.quantile(domain.timestamps, [0.7, 0.85]).astype(int).tolist()
    return domain.with_split("temporal", validation_from=validation_from, test_from=test_from)


def run_with(interactions: pd.DataFrame, original: Domain, folder: Path, short: list[str]) -> dict:
    info = original.info
    domain = Domain.from_tables(original.items, interactions, name="weekend").with_split(
        info.split, validation_from=info.validation_from, test_from=info.test_from
    )
    domain.save(folder / "domain")
    settings = [text for text in short if "from_scratch" not in text]
    run_domain(folder / "domain", folder / "run", assignments=settings, seed=0)
    found = {
        path.relative_to(folder / "run"): load_file(path)
        for stage in STAGES
        for path in sorted((folder / "run" / stage).rglob("*.safetensors"))
    }
    # Every choice, with the validation figure of everything that was tried.
    trials = read_json(folder / "run" / CHOICES)
    figures = [trial["ndcg"] for key in ("item_graph", "mixture") for trial in trials[key]]
    return {**found, CHOICES: {"validation NDCG": np.array(figures)}}


@pytest.fixture(scope="module")
def learnt(original, short, tmp_path_factory) -> dict:
    return run_with(original.interactions(), original, tmp_path_factory.mktemp("original"), short)


def held_out_rows(domain: Domain, split: str) -> np.ndarray:
    """Which interactions belong to a split, `[interactions]` bool: of everybody, target or not."""
    info = domain.info
    if info.split == "temporal":
        ends = {"validation": info.test_from, "test": domain.timestamps.max() + 1}
        starts = {"validation": info.validation_from, "test": info.test_from}
        return (domain.timestamps >= starts[split]) & (domain.timestamps < ends[split])
    _, sequences = domain.sequences()
    from_end = np.repeat(sequences.offsets[1:], sequences.lengths) - np.arange(len(sequences.items))
    is_long = np.repeat(sequences.lengths >= 3, sequences.lengths)
    return is_long & (from_end == {"validation": 2, "test": 1}[split])


def with_other_items(domain: Domain, rows: np.ndarray) -> pd.DataFrame:
    """The interactions with another item, new to the user, in each of the given rows."""
    interactions = domain.interactions()
    for user, items in interactions.groupby("user_id")["item_id"]:
        changed = items.index[rows[items.index]]
        others = np.setdiff1d(domain.item_ids, items)[: len(changed)]
        interactions.loc[changed, "item_id"] = others
        assert len(others) == len(changed), user
    return interactions


def expect_same(other: dict, learnt: dict, paths: list[Path]) -> None:
    for path in paths:
        assert learnt[path].keys() == other[path].keys()
        for name, value in learnt[path].items():
            np.testing.assert_array_equal(other[path][name], value, err_msg=f"{path}: {name}")


def test_test_items_change_nothing_that_is_learnt(original, learnt, short, tmp_path):
    rows = held_out_rows(original, "test")
    assert rows.sum() > 20
    other = run_with(with_other_items(original, rows), original, tmp_path, short)
    assert other.keys() == learnt.keys() and len(learnt) > len(STAGES)
    expect_same(other, learnt, list(learnt))
    run = Run.open(tmp_path / "run")
    assert run.split(run.target).kind == original.info.split
    assert run.results()[0].splitting.kind == original.info.split


def test_validation_items_are_in_no_training_input(original, learnt, short, tmp_path):
    rows = held_out_rows(original, "validation")
    assert rows.sum() > 20
    other = run_with(with_other_items(original, rows), original, tmp_path, short)
    # Validation may pick another checkpoint or share of the item graph; what items are made of
    # stays as it is, and so does the graph, whose settings leave no choice here.
    made = [path for path in learnt if path.parts[0] in ("features", "fusion", "quantizer")]
    assert any("structural" in path.name for path in made)
    graphs = [path for path in learnt if "item_graph" in path.parts]
    assert graphs
    expect_same(other, learnt, made + graphs)

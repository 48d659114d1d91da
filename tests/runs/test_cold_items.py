"""`examples/benchmarks/cold_items.py` on a tiny shop."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.ranking.recommender import Recommender

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "cold_items.py"

pytestmark = pytest.mark.skipif(
    not SCRIPT.is_file(), reason="the examples are not installed with the package"
)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("cold_items", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules["cold_items"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["cold_items"]


@pytest.fixture(scope="module")
def folder(script, shops, short, tmp_path_factory):
    """Where the script worked: a fifth of the items held out, half of the others bare."""
    folder = tmp_path_factory.mktemp("cold")
    arguments = ["--data-dir", str(shops / "home"), "--json", str(folder / "out.json")]
    arguments += ["--share", "0.2", "--seed", "3", "--without_images", "0.5"]
    arguments += ["--neighbours", "0", "2", "--work_dir", str(folder)]
    settings = [text for text in short if not text.startswith("evaluation")]
    before, sys.argv = sys.argv, ["cold_items.py", *arguments, "--set", *settings]
    try:
        script.main()
    finally:
        sys.argv = before
    return folder


@pytest.fixture(scope="module")
def result(folder):
    return json.loads((folder / "out.json").read_text())


@pytest.fixture(scope="module")
def trained(folder):
    return Domain.load(folder / "home-0.2-0.5-3" / "domain")


def test_items_held_out_are_in_nothing_that_is_trained_on(result, trained, shops):
    whole = Domain.load(shops / "home")
    held_out = set(whole.item_ids) - set(trained.item_ids)
    assert len(held_out) == result["counts"]["new items"] == 6
    taken = whole.interactions()
    kept = taken[~taken["item_id"].isin(held_out)]
    assert len(kept) == trained.info.num_interactions < len(taken)
    # Half of the items lost their pictures; others never had any.
    assert (trained.items["images"].str.len() > 0).mean() < 0.6


def test_users_are_those_whose_next_item_is_held_out(result, trained, shops):
    whole = Domain.load(shops / "home")
    split = whole.split()
    ids = np.array(whole.item_ids)
    held_out = set(ids) - set(trained.item_ids)
    users = sum(item in held_out for item in ids[split.targets("test")])
    counts = result["counts"]
    assert users == counts["users"] + counts["users left without a history"]


def test_figures_are_what_the_recommender_does(script, folder, result, shops):
    arguments = script.Arguments(
        data_dir="", json="", share=0.2, seed=3, without_images=0.5, neighbours=[2]
    )
    split = script.Split(Domain.load(shops / "home"), arguments)
    recommender = Recommender.from_pretrained(folder / "home-0.2-0.5-3" / "run" / "model")
    new = split.new_items(with_images=False)
    by_id = Recommender.from_pretrained(folder / "home-0.2-0.5-3" / "run" / "model")
    by_id.add_items(new, neighbours=0)
    recommender.add_items(new, neighbours=2)
    found, plain = (
        of.recommend(split.histories, top_k=5, exclude_seen=True) for of in (recommender, by_id)
    )
    alone = recommender.recommend(
        split.histories, top_k=2, exclude_seen=True, allowed_items=new["item_id"].tolist()
    )
    measured = {system["system"]: system for system in result["systems"]}

    def of_folder(means):
        # The one without the graph where validation gave that no share.
        name = f"Q-BERT4Rec + item graph, {means}"
        return measured.get(name, measured[f"Q-BERT4Rec, {means}"])

    system = of_folder("2 neighbours")

    def share(lists):
        hits = [
            target in [item.item_id for item in items]
            for items, target in zip(lists, split.targets, strict=True)
        ]
        return np.mean(hits)

    whole = of_folder("by ID alone")["whole catalogue"]
    assert whole["unseen_items"]["HR@5"] == pytest.approx(share(plain))
    # Equal scores (of a new item and its neighbours) count against us and not against a list.
    assert system["whole catalogue"]["unseen_items"]["HR@5"] <= share(found)
    assert system["new items alone"]["HR@1"] <= share(alone)
    assert whole != system["whole catalogue"]


def test_chance_is_what_a_random_order_gives(script, result):
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 31, size=200_000)
    expected = script.summarize(ranks)
    chance = next(s for s in result["systems"] if s["system"] == "Chance")
    for name, value in chance["whole catalogue"]["all_items"].items():
        assert value == pytest.approx(expected[name], abs=0.01)
    assert chance["new items alone"]["HR@10"] == 1.0


def test_figures_by_what_an_item_has(result, trained):
    segments = {of["target has"]: of for of in result["by modality"]}
    assert {"text", "text and image"} <= set(segments)
    assert sum(of["items"] for of in segments.values()) == len(trained)
    assert sum(of["users"] for of in segments.values()) == result["counts"]["other users"]
    assert all(0 <= of["unseen_items"]["HR@10"] <= 1 for of in segments.values())


def test_the_table_lies_beside(folder):
    text = (folder / "out.md").read_text()
    assert "Nearest texts" in text and "Chance" in text and "--seed 3" in text
    assert "New items ranked alone" in text and "| text and image |" in text

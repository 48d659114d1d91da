from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_hub import FakeHub
from huggingface_hub import HfApi, RepoCard

from qbert4rec_hf.evaluation.hr_ndcg import MODULE_PATH
from qbert4rec_hf.evaluation.metrics import summarize

evaluate = pytest.importorskip("evaluate")


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    return evaluate.load(MODULE_PATH, cache_dir=str(tmp_path_factory.mktemp("evaluate")))


def test_agrees_with_ranks(metric):
    rng = np.random.default_rng(0)
    lists = [rng.permutation(30)[:12].astype(str).tolist() for _ in range(50)]
    wanted = rng.integers(0, 30, size=50).astype(str).tolist()
    ranks = np.array(
        [
            items.index(item) + 1 if item in items else 31
            for items, item in zip(lists, wanted, strict=True)
        ]
    )
    found = metric.compute(predictions=lists, references=wanted)
    assert found == pytest.approx(summarize(ranks))
    assert 0 < found["HR@10"] < 1


def test_a_list_that_lacks_the_item_is_a_miss(metric):
    found = metric.compute(predictions=[["a", "b"], []], references=["b", "b"], ks=[1, 100])
    assert found == pytest.approx(
        {"HR@1": 0, "HR@100": 0.5, "NDCG@1": 0, "NDCG@100": 0.5 / np.log2(3)}
    )


def test_it_needs_nothing_of_the_package():
    text = (Path(MODULE_PATH) / "hr_ndcg.py").read_text()
    assert set(re.findall(r"^(?:import|from) (\w+)", text, re.M)) == {
        "datasets",
        "evaluate",
        "numpy",
    }


@pytest.mark.parametrize("private", [False, True])
def test_pushed_as_a_space(private, tmp_path, monkeypatch):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path)
        api = HfApi()
        repo = {"repo_id": "tester/hr_ndcg", "repo_type": "space"}
        api.create_repo(**repo, space_sdk="static", private=private)
        api.upload_folder(**repo, folder_path=MODULE_PATH, ignore_patterns="__pycache__/*")
        files = hub.files(**repo)
        assert set(files) == {"README.md", "__init__.py", "hr_ndcg.py", "index.html"}
        card = RepoCard(files["README.md"].decode(), ignore_metadata_errors=False)
        assert card.data.sdk == "static" and {"evaluate", "metric"} <= set(card.data.tags)
        # evaluate reads its addresses when it is imported.
        monkeypatch.setattr(evaluate.config, "HF_ENDPOINT", hub.url)
        monkeypatch.setattr(
            evaluate.config,
            "HUB_EVALUATE_URL",
            f"{hub.url}/spaces/{{path}}/resolve/{{revision}}/{{name}}",
        )
        modules = str(tmp_path / "modules")
        monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", modules)
        monkeypatch.setattr(evaluate.config, "DOWNLOADED_EVALUATE_PATH", tmp_path / "downloads")
        monkeypatch.setattr(sys, "path", [modules, *sys.path])
        for name in [name for name in sys.modules if name.startswith("evaluate_modules")]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        metric = evaluate.load("tester/hr_ndcg", cache_dir=str(tmp_path / "cache"))
        # The Hub is away; what was loaded once is found again.
        hub.fail(".*", 503, times=None)
        metric = evaluate.load("tester/hr_ndcg", cache_dir=str(tmp_path / "cache"))
        assert modules in sys.modules[type(metric).__module__].__file__
    assert metric.compute(predictions=[["a", "b", "c"]], references=["c"], ks=[1, 3]) == {
        "HR@1": 0.0,
        "HR@3": 1.0,
        "NDCG@1": 0.0,
        "NDCG@3": 0.5,
    }

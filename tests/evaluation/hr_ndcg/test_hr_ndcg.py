from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.evaluation.hr_ndcg import MODULE_PATH
from qbert4rec_hf.evaluation.metrics import summarize


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    evaluate = pytest.importorskip("evaluate")
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

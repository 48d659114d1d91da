from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.evaluation.result import EvaluationResult
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs.pipeline import Run
from qbert4rec_hf.runs.report_pages import codebook_levels, run_report


def test_codebook_use_is_counted():
    codes = np.array([[0, 1], [1, 1], [2, 1], [3, 1]])
    even, single = codebook_levels(codes, [4, 8])
    assert (even.size, even.used) == (4, 4) and even.perplexity == pytest.approx(4)
    assert (single.size, single.used) == (8, 1) and single.perplexity == pytest.approx(1)


@pytest.fixture(scope="module")
def data(finished_run):
    run = Run.open(finished_run)
    recommender = Recommender.from_pretrained(run.path("model"))
    return run, run_report(run, recommender, run.results())


def test_every_part_of_the_page_is_filled(data):
    run, report = data
    assert all(isinstance(result, EvaluationResult) for result in report.evaluations)
    titles = " ".join(chart.title for chart in report.curves)
    for stage in ("Fusion", "Quantizer", "Pre-training", "Fine-tuning"):
        assert stage in titles
    assert sum(report.depths.values()) > 0 and len(report.codebooks) == 3
    assert report.facts["items"] == len(run.target)
    assert report.settings["fusion.epochs"] == 1


def test_users_show_what_recommend_returns(data):
    run, report = data
    recommender = Recommender.from_pretrained(run.path("model"))
    assert len(report.users) == 2
    split = run.split(run.target)
    ids = split.user_ids[split.evaluated].tolist()
    for user in report.users:
        row = ids.index(user.name)
        history = [run.target.item_ids[item] for item in split.histories("test")[row]]
        assert [item.item_id for item in user.history] == history[-len(user.history) :]
        found = recommender.recommend(history)
        assert [item.item_id for item in user.recommendations] == [i.item_id for i in found]
        assert user.target_id == run.target.item_ids[split.test_target[row]]

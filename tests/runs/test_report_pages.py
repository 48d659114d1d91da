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


def test_stages_that_are_no_longer_asked_for_are_left_out(run_copy):
    asked = Run.open(run_copy)
    with_all = run_report(asked, Recommender.from_pretrained(asked.path("model")), [])
    run = Run.open(run_copy, assignments=["evaluation.from_scratch=false"])
    report = run_report(run, Recommender.from_pretrained(run.path("model")), [])
    assert run.path("from_scratch").is_dir()
    assert "From random weights" in " ".join(chart.title for chart in with_all.curves)
    assert "From random weights" not in " ".join(chart.title for chart in report.curves)
    assert "from_scratch" in with_all.notes[0] and "from_scratch" not in report.notes[0]
    codes = Run.open(run_copy, assignments=["semantic_ids.source=codes"])
    assert codes.behind("report") == {"semantic_ids", "pretrain", "finetune", "model"}


def test_users_show_what_recommend_returns(data):
    run, report = data
    recommender = Recommender.from_pretrained(run.path("model"))
    assert len(report.users) == 2
    split = run.split(run.target)
    ids = split.user_ids[split.evaluated("test")].tolist()
    for user in report.users:
        row = ids.index(user.name)
        history = [run.target.item_ids[item] for item in split.histories("test")[row]]
        assert [item.item_id for item in user.history] == history[-len(user.history) :]
        found = recommender.recommend(history)
        assert [item.item_id for item in user.recommendations] == [i.item_id for i in found]
        assert user.target_id == run.target.item_ids[split.targets("test")[row]]

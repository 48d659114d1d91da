from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.evaluation.evaluator import evaluate_ranker
from qbert4rec_hf.ranking.ranker import Ranker
from qbert4rec_hf.runs.content_stages import load_catalog
from qbert4rec_hf.runs.pipeline import Run
from qbert4rec_hf.runs.report_stage import FROM_SCRATCH, PRETRAINED_ONLY
from qbert4rec_hf.runs.run_stages import run_stages
from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM


def needs(shops, tmp_path, *assignments) -> dict[str, tuple[str, ...]]:
    run = Run.open(tmp_path / "run", domain=str(shops / "weekend"), assignments=list(assignments))
    return {stage.name: stage.needs for stage in run_stages(run)}


@pytest.mark.parametrize(
    ("assignments", "stage", "needed"),
    [
        ([], "semantic_ids", {"features", "fusion", "quantizer"}),
        (["semantic_ids.source=codes"], "semantic_ids", set()),
        (
            ["semantic_ids.source=codes", "semantic_ids.reallocate=true"],
            "semantic_ids",
            {"features"},
        ),
        (["pretrain.enabled=false"], "finetune", {"semantic_ids"}),
        (
            ["evaluation.pretrained_only=true"],
            "report",
            {"semantic_ids", "finetune", "model", "pretrain"},
        ),
        (
            ["evaluation.pretrained_only=true", "pretrain.enabled=false"],
            "report",
            {"semantic_ids", "finetune", "model"},
        ),
    ],
)
def test_the_configuration_says_what_a_stage_reads(shops, tmp_path, assignments, stage, needed):
    assert set(needs(shops, tmp_path, *assignments)[stage]) == needed


def test_no_stage_reads_a_later_one(shops, tmp_path):
    order = needs(shops, tmp_path, "evaluation.from_scratch=true")
    names = list(order)
    for number, name in enumerate(names):
        assert set(order[name]) <= set(names[:number])


def test_the_row_without_fine_tuning_is_the_pretrained_model_on_the_new_catalogue(finished_run):
    run = Run.open(finished_run)
    reported = {result.name: result for result in run.results()}
    catalog = load_catalog(run.path("semantic_ids"))
    model = QBert4RecForMaskedLM.from_pretrained(run.path("pretrain"))
    before = {name: value.clone() for name, value in model.named_parameters()}
    model.set_catalog(catalog.codes, num_items=catalog.domain_sizes)
    # Items of another shop have no terms of their own yet; everything else is as it was learnt.
    for name, value in model.named_parameters():
        assert value.shape != before[name].shape or torch.equal(value, before[name])
    split = run.split(run.target)
    expected = evaluate_ranker(
        Ranker(model).scores_by_protocol,
        split.histories("test"),
        split.targets("test"),
        train=split.train,
        num_items=len(run.target),
        name=PRETRAINED_ONLY,
    )
    assert reported[PRETRAINED_ONLY].metric() == expected.metric()
    # Ranks, since the metrics of these few users may agree by chance.
    first, second = (
        reported[name].protocols["all_items"].ranks for name in (PRETRAINED_ONLY, FROM_SCRATCH)
    )
    assert (first != second).any()


def test_threads_are_the_runs_and_make_no_stage_outdated(run_copy, monkeypatch):
    run = Run.open(run_copy, assignments=["num_threads=1"])
    seen = []
    monkeypatch.setattr(
        "qbert4rec_hf.runs.report_stage.make_report",
        lambda folder, run: seen.append(torch.get_num_threads()),
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run.evaluate()
        assert seen == []
        Run.open(run_copy, assignments=["evaluation.example_users=1"]).evaluate()
        assert seen == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert np.isfinite(run.seconds()["report"])


def test_files_of_encoders_are_read_once(run_copy, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "qbert4rec_hf.runs.run_folder.outside_files", lambda settings: asked.append(settings) or {}
    )
    Run.open(run_copy).all()
    assert len(asked) == 1

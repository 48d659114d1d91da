from __future__ import annotations

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.runs.demo import run_demo

SHORT = [
    "fusion.epochs=1",
    "quantizer.model={quantizer_type: residual_kmeans, codebook_size: 16}",
    "pretrain.epochs=1",
    "finetune.epochs=1",
    "model.hidden_size=32",
    "ranking.regularizations=[100.0]",
]


def test_the_demo_says_what_came_out_and_repeats_nothing(tmp_path):
    said = run_demo(tmp_path, scale=0.05, assignments=SHORT)
    for part in ("NDCG@10", "Popularity", "EASE", "Pre-training on", "qbert4rec recommend"):
        assert part in said
    assert (tmp_path / "run" / "report" / "report.html").exists()
    before = (tmp_path / "domains" / "stage.json").read_text()
    assert run_demo(tmp_path, scale=0.05, assignments=SHORT) == said
    assert (tmp_path / "domains" / "stage.json").read_text() == before


def test_a_wrong_setting_of_the_demo_is_named(tmp_path):
    with pytest.raises(QBert4RecError, match="did you mean finetune.epochs"):
        run_demo(tmp_path, scale=0.05, assignments=["finetune.epoch=1"])

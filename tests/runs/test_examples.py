"""The scripts of `examples/`, as a user starts them, in two processes on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="the examples are not installed with the package"
)


def in_two_processes(script: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc_per_node", "2", str(EXAMPLES / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_pretraining_then_finetuning(shops, finished_run, tmp_path):
    out = in_two_processes(
        "pretrain.py",
        "--domains",
        shops / "outdoor",
        shops / "home",
        "--catalog",
        finished_run / "semantic_ids" / "pretrain",
        "--output_dir",
        tmp_path / "pretrained",
        "--epochs",
        "1",
    )
    assert "2 processes" in out and "validation NDCG@10" in out
    model = QBert4RecForMaskedLM.from_pretrained(tmp_path / "pretrained")
    assert len(model.config.num_items) == 2

    out = in_two_processes(
        "finetune.py",
        "--domain",
        shops / "weekend",
        "--catalog",
        finished_run / "semantic_ids" / "target",
        "--pretrained",
        tmp_path / "pretrained",
        "--output_dir",
        tmp_path / "finetuned",
        "--epochs",
        "1",
    )
    assert "2 processes" in out and out.count("ranking everything") == 1
    recommender = Recommender.from_pretrained(tmp_path / "finetuned" / "model")
    assert len(recommender.recommend(recommender.items.item_ids[:2], top_k=3)) == 3

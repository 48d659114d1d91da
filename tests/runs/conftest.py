"""One tiny run through all stages, made once and copied by tests that change it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

SHORT = [
    "fusion.epochs=1",
    "fusion.model.hidden_size=16",
    "fusion.model.intermediate_size=16",
    "fusion.model.max_layers=2",
    "fusion.model.num_attention_heads=2",
    "quantizer.epochs=2",
    "quantizer.evaluate_every=1",
    "quantizer.model.num_levels=3",
    "quantizer.model.codebook_size=8",
    "quantizer.model.codebook_dim=8",
    "quantizer.model.hidden_sizes=[16]",
    "model.hidden_size=16",
    "model.num_hidden_layers=1",
    "model.num_attention_heads=2",
    # Small batches, or an epoch is one step, which the warm-up takes at a rate of zero.
    "pretrain.epochs=1",
    "pretrain.batch_size=16",
    "finetune.epochs=2",
    "finetune.batch_size=16",
    "ranking.regularizations=[50.0]",
    "ranking.recencies=[0.8]",
    "ranking.weights=[0.0, 0.5]",
    "evaluation.from_scratch=true",
    "evaluation.pretrained_only=true",
    "evaluation.example_users=2",
]


@pytest.fixture(scope="session")
def short() -> list[str]:
    """Settings with which a run takes seconds."""
    return SHORT


@pytest.fixture(scope="session")
def shops(tmp_path_factory) -> Path:
    from qbert4rec_hf.data.demo import make_demo_domains

    folder = tmp_path_factory.mktemp("shops")
    make_demo_domains(folder, scale=0.05)
    return folder


@pytest.fixture(scope="session")
def finished_run(shops, tmp_path_factory) -> Path:
    """A finished run: pre-trained on `outdoor` and `home`, fine-tuned on `weekend`."""
    from qbert4rec_hf.runs.pipeline import run_domain

    folder = tmp_path_factory.mktemp("runs") / "run"
    run_domain(
        shops / "weekend",
        folder,
        pretrain_domains=[shops / "outdoor", shops / "home"],
        assignments=SHORT,
        seed=1,
    )
    return folder


@pytest.fixture
def run_copy(finished_run, tmp_path) -> Path:
    """The finished run, to change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))

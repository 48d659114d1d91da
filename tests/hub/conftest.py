"""One tiny run through all stages, made once and copied by tests that change it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

SETTINGS = [
    "features.image.kind=none",
    "fusion.epochs=1",
    "fusion.model={hidden_size: 16, intermediate_size: 16, max_layers: 2, num_attention_heads: 2}",
    "quantizer.epochs=2",
    "quantizer.model={num_levels: 4, codebook_size: 8, codebook_dim: 8, hidden_sizes: [16]}",
    "model.hidden_size=16",
    "model.num_hidden_layers=1",
    "model.num_attention_heads=2",
    "pretrain.epochs=1",
    "finetune.preset=paper",
    "finetune.epochs=1",
    "ranking.regularizations=[50.0]",
    "ranking.recencies=[0.8]",
    "ranking.weights=[0.5]",
    "evaluation.example_users=1",
]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """A finished run: pre-trained on `outdoor`, fine-tuned on `weekend`. Read only."""
    from qbert4rec_hf.data.demo import make_demo_domains
    from qbert4rec_hf.runs.pipeline import run_domain

    folder = tmp_path_factory.mktemp("hub")
    make_demo_domains(folder / "shops", scale=0.05)
    run_domain(
        folder / "shops" / "weekend",
        folder / "run",
        pretrain_domains=[folder / "shops" / "outdoor"],
        assignments=SETTINGS,
        seed=3,
    )
    return folder / "run"


@pytest.fixture
def run_copy(run_folder, tmp_path) -> Path:
    """The finished run, to change."""
    return Path(shutil.copytree(run_folder, tmp_path / "run"))

"""`examples/finetune_streaming.py`: fine-tuning on interactions that are never all in memory."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch
from tiny_recommender import tiny_recommender

from qbert4rec_hf.data.demo import make_demo_domains
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM

EXAMPLE = Path(__file__).parents[2] / "examples" / "finetune_streaming.py"

pytestmark = pytest.mark.skipif(
    not EXAMPLE.is_file(), reason="the examples are not installed with the package"
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> tuple[Path, Path]:
    """A model folder and the folder of another domain."""
    folder = tmp_path_factory.mktemp("streaming")
    model = tiny_recommender().save_pretrained(folder / "model")
    return model, make_demo_domains(folder / "shops", scale=0.05)[-1]


@pytest.fixture
def finetune(inputs, monkeypatch):
    model, domain = inputs

    def run(output_dir: Path, *options: str) -> None:
        command = [EXAMPLE, "--model", model, "--domain", domain, "--output_dir", output_dir]
        fixed = ["--use_cpu", "--disable_tqdm", "true", "--report_to", "none"]
        monkeypatch.setattr(sys, "argv", [*map(str, command), *fixed, *options])
        with torch.enable_grad():
            runpy.run_path(str(EXAMPLE), run_name="__main__")

    return run


# 40 histories make 5 batches, so the stream is read again on the way.
OPTIONS = ["--max_steps", "8", "--save_steps", "3", "--per_device_train_batch_size", "8"]
OPTIONS += ["--shuffle_buffer", "16"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return QBert4RecForMaskedLM.from_pretrained(folder).state_dict()


def test_a_model_of_the_new_domain_that_learnt_and_goes_on_where_it_stopped(
    finetune, inputs, tmp_path, capsys
):
    finetune(tmp_path / "straight", *OPTIONS)
    assert f"saved {tmp_path / 'straight' / 'model'}" in capsys.readouterr().out
    domain = Domain.load(inputs[1])
    recommender = Recommender.from_pretrained(tmp_path / "straight" / "model")
    assert recommender.items.item_ids == domain.item_ids and recommender.domain == "weekend"
    assert len(recommender.recommend(domain.item_ids[:2], top_k=5)) == 5
    before = Recommender.from_pretrained(inputs[0]).for_domain(domain).model.state_dict()
    straight = weights(tmp_path / "straight" / "model")
    learnt = [name for name in before if not torch.equal(before[name], straight[name])]
    assert learnt and "catalog_codes" not in learnt

    # As after an interruption, in the first and in the second round through the log.
    for checkpoint in ("checkpoint-3", "checkpoint-6"):
        shutil.copytree(tmp_path / "straight" / checkpoint, tmp_path / checkpoint / checkpoint)
        finetune(tmp_path / checkpoint, *OPTIONS)
        resumed = weights(tmp_path / checkpoint / "model")
        assert all(torch.equal(straight[name], resumed[name]) for name in straight)
        then = weights(tmp_path / "straight" / checkpoint)
        assert not all(torch.equal(straight[name], then[name]) for name in straight)


def test_without_a_number_of_steps_it_says_what_is_missing(finetune, tmp_path):
    with pytest.raises(SystemExit, match="--max_steps"):
        finetune(tmp_path / "out")
    assert not (tmp_path / "out").exists()

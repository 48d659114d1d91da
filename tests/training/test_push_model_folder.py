"""`Trainer(push_to_hub=True)`: every push is a whole model folder, and none holds a pickle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fake_hub import FakeHub
from tiny_recommender import NUM_ITEMS, tiny_recommender
from transformers import Trainer, TrainerCallback, TrainingArguments

from qbert4rec_hf.data.demo import make_demo_domains
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.sequence.data_collator import DataCollatorForMultiMask
from qbert4rec_hf.training.push_model_folder import PushModelFolder

EXAMPLE = Path(__file__).parents[2] / "examples" / "finetune_with_trainer.py"
PICKLES = (".bin", ".pt", ".pth", ".pkl")


class Waits(TrainerCallback):
    """These steps take milliseconds, so that a push would still be under way at the next one."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def on_save(self, args, state, control, **kwargs):
        if args.push_to_hub:
            self.trainer.push_in_progress.wait_until_done()


def trainer_of(recommender: Recommender, folder: Path, **arguments) -> Trainer:
    trainer = Trainer(
        model=recommender.model,
        args=TrainingArguments(
            str(folder),
            **{"push_to_hub": True, "hub_model_id": "shop/tuned", **arguments},
            max_steps=4,
            save_steps=2,
            per_device_train_batch_size=4,
            remove_unused_columns=False,
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=[{"items": [row, (row + 3) % NUM_ITEMS, 1]} for row in range(NUM_ITEMS)],
        data_collator=DataCollatorForMultiMask(
            recommender.catalog.tokens(), ratios={"last": 0.0}, max_items=6
        ),
        processing_class=recommender.tokenizer,
        callbacks=[PushModelFolder(recommender)],
    )
    trainer.add_callback(Waits(trainer))
    return trainer


@pytest.mark.parametrize("strategy", ["every_save", "all_checkpoints"])
def test_every_push_opens_and_holds_no_pickle(hub, tmp_path, strategy):
    recommender = tiny_recommender()
    recommender.card = "# figures of the model before\n"
    trainer = trainer_of(recommender, tmp_path / "out", hub_strategy=strategy)
    with torch.enable_grad():
        trainer.train()
    trainer.push_to_hub()
    # Here they are, for resuming.
    assert (tmp_path / "out" / "training_args.bin").exists()
    commits = hub.history("shop/tuned")
    assert commits[0].message == "End of training" and len(commits) >= 3
    steps = [c for c in commits if c.message.startswith("Training in progress, step")]
    assert len(steps) >= 2
    for commit in commits:
        assert not [path for path in commit.files if path.endswith(PICKLES)]
    for commit in (commits[0], *steps):
        opened = Recommender.from_pretrained("shop/tuned", revision=commit.id)
        assert opened.coder is not None and opened.catalog.titles == recommender.catalog.titles
        assert b"next-item-recommendation" in commit.files["config.json"].content
        assert {"tokenizer.json", "pipeline_recommendation.py"} <= commit.files.keys()
    assert opened.ranker.weights == recommender.ranker.weights
    final = Recommender.from_pretrained("shop/tuned")
    assert final.recommend(["item-1"]) == recommender.recommend(["item-1"])
    assert final.recommend(["item-1"]) != tiny_recommender().recommend(["item-1"])
    # The Trainer's card, not the one with the old figures.
    assert b"figures of the model before" not in commits[0].files["README.md"].content
    if strategy == "all_checkpoints":
        assert "checkpoint-2/trainer_state.json" in commits[0].files


def test_a_repository_from_a_trainer_is_downloaded_without_its_checkpoints(hub, tmp_path):
    recommender = tiny_recommender()
    trainer = trainer_of(recommender, tmp_path / "out", hub_strategy="all_checkpoints")
    with torch.enable_grad():
        trainer.train()
    trainer.push_to_hub()
    before = len(hub.requests)
    Recommender.from_pretrained("shop/tuned")
    asked = [request for request in hub.requests[before:] if "/resolve/" in request]
    assert asked and not [request for request in asked if "checkpoint-" in request]


def test_a_model_of_another_catalogue_is_refused(hub, tmp_path):
    recommender = tiny_recommender()
    trainer = trainer_of(recommender, tmp_path / "out")
    recommender.model.set_catalog(recommender.model.catalog_codes[:5])
    with pytest.raises(QBert4RecError, match="train recommender.model"):
        trainer.train()
    assert hub.files("shop/tuned") == {}


def test_training_without_a_push_writes_nothing_more(tmp_path):
    recommender = tiny_recommender()
    trainer = trainer_of(recommender, tmp_path / "out", push_to_hub=False)
    with torch.enable_grad():
        trainer.train()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"checkpoint-2", "checkpoint-4"}


RECOMMEND = """
import sys
class NoPackage:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "qbert4rec_hf":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoPackage())
from transformers import pipeline
recommend = pipeline("next-item-recommendation", model="tester/tuned", trust_remote_code=True)
print([item["item_id"] for item in recommend(sys.argv[1:], top_k=5)])
"""


@pytest.mark.skipif(not EXAMPLE.is_file(), reason="examples are not installed with the package")
def test_a_new_user_fine_tunes_pushes_and_recommends_elsewhere(tmp_path):
    """The example script on another domain; then a process that lacks the package."""
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    source = tiny_recommender(max_items=20).save_pretrained(tmp_path / "model")
    make_demo_domains(tmp_path / "shops", scale=0.05, seed=7)

    with FakeHub() as hub:

        def run(*command: str | Path, home: str) -> str:
            environment = hub.environment(tmp_path / home, OMP_NUM_THREADS="1")
            environment["CUDA_VISIBLE_DEVICES"] = ""
            environment.setdefault("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
            done = subprocess.run(
                [sys.executable, *map(str, command)],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            return done.stdout

        run(EXAMPLE, source, tmp_path / "shops" / "weekend", "tester/tuned", home="user")
        assert not [p for c in hub.history("tester/tuned") for p in c.files if p.endswith(PICKLES)]
        history = Recommender.from_pretrained(tmp_path / "tuned").items.item_ids[:2]
        printed = run("-c", RECOMMEND, *history, home="stranger")
    expected = Recommender.from_pretrained(tmp_path / "tuned").recommend(history, top_k=5)
    assert printed.strip() == str([item.item_id for item in expected])

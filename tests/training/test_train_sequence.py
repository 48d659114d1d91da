from __future__ import annotations

import copy
import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import NUM_ITEMS, rule_domain, rule_histories, rule_model, rule_settings
from transformers import AutoModelForMaskedLM, TrainerCallback

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.data.split import leave_one_out
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from qbert4rec_hf.training import train_sequence as module
from qbert4rec_hf.training.sequence_rows import DomainHistories
from qbert4rec_hf.training.train_sequence import train_sequence


def same_weights(first, second) -> bool:
    other = second.state_dict()
    return all(torch.equal(value, other[name]) for name, value in first.state_dict().items())


def without_times(history: list[dict]) -> list[dict]:
    return [
        {k: v for k, v in entry.items() if not k.endswith(("runtime", "_per_second"))}
        for entry in history
    ]


class InterruptAt(TrainerCallback):
    """Ctrl-C after so many steps."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def interrupt_at(monkeypatch, step: int) -> None:
    class Interrupted(module.SequenceTrainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.add_callback(InterruptAt(step))

    monkeypatch.setattr(module, "SequenceTrainer", Interrupted)


def test_a_next_item_rule_is_learnt(tmp_path):
    model = rule_model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    settings = rule_settings(epochs=40, learning_rate=3e-3, masks={"last": 0.0}, patience=40)
    training = train_sequence(model, [rule_domain()], settings, tmp_path)
    assert training.best > 0.9
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert same_weights(loaded, training.model)
    assert not training.model.training
    assert not (tmp_path / "checkpoints").exists()
    history = json.loads((tmp_path / "history.json").read_text())
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert len(losses) == 40 and losses[-1] < losses[0] / 2
    assert training.best == max(e.get("eval_NDCG@10", 0.0) for e in history)


def test_the_best_model_is_kept_and_not_the_last(tmp_path):
    """With a learning rate that ruins the model later on, the first evaluation wins."""
    domain = rule_domain()
    settings = rule_settings(epochs=6, learning_rate=2.0, schedule="constant", warmup=0.0)
    training = train_sequence(rule_model(), [domain], settings, tmp_path)
    figures = [e["eval_NDCG@10"] for e in training.history if "eval_NDCG@10" in e]
    assert training.best == max(figures)
    again = module.SequenceTrainer(
        model=training.model,
        args=module._arguments(settings, tmp_path / "x", 41, True),
        eval_dataset=module.RankingRows([domain]),
        ranking_collator=module.RankingCollator(
            training.model.catalog_codes + torch.tensor(training.model.config.level_offsets), 8
        ),
    )
    assert again.evaluate()["eval_NDCG@10"] == pytest.approx(training.best)


# 41 rows in batches of 8 are 6 steps an epoch: stopped inside the second and the third epoch.
@pytest.mark.parametrize("step", [9, 16])
def test_an_interrupted_run_ends_like_a_straight_one(tmp_path, monkeypatch, step):
    settings = rule_settings(epochs=4, evaluate_from=0.0)
    straight = train_sequence(rule_model(), [rule_domain()], settings, tmp_path / "straight")
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(KeyboardInterrupt):
            train_sequence(rule_model(), [rule_domain()], settings, tmp_path / "resumed")
    checkpoints = tmp_path / "resumed" / "checkpoints"
    found = sorted(path.name for path in checkpoints.glob("checkpoint-*"))
    assert found and not (tmp_path / "resumed" / "model.safetensors").exists()
    resumed = train_sequence(rule_model(), [rule_domain()], settings, tmp_path / "resumed")
    assert same_weights(straight.model, resumed.model)
    assert without_times(straight.history)[:-1] == without_times(resumed.history)[:-1]
    assert straight.best == resumed.best


def test_checkpoints_of_other_settings_are_not_gone_on_from(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 9)
        with pytest.raises(KeyboardInterrupt):
            train_sequence(rule_model(), [rule_domain()], rule_settings(), tmp_path / "a")
    other = rule_settings(seed=1)
    found = train_sequence(rule_model(), [rule_domain()], other, tmp_path / "a")
    expected = train_sequence(rule_model(), [rule_domain()], other, tmp_path / "b")
    assert same_weights(found.model, expected.model)


def test_patience_outlives_an_interruption(tmp_path, monkeypatch):
    """Nothing is learnt, so training stops after `patience` evaluations, interrupted or not."""
    settings = rule_settings(epochs=12, learning_rate=1e-12, patience=4, evaluate_from=0.0)
    straight = train_sequence(rule_model(), [rule_domain()], settings, tmp_path / "straight")
    steps = max(entry["step"] for entry in straight.history)
    assert steps == 5 * 6
    with monkeypatch.context() as patch:
        interrupt_at(patch, 22)
        with pytest.raises(KeyboardInterrupt):
            train_sequence(rule_model(), [rule_domain()], settings, tmp_path / "resumed")
    resumed = train_sequence(rule_model(), [rule_domain()], settings, tmp_path / "resumed")
    assert max(entry["step"] for entry in resumed.history) == steps


def test_a_seeded_run_repeats(tmp_path):
    results = [
        train_sequence(
            rule_model(), [rule_domain()], rule_settings(seed=seed), tmp_path / str(number)
        ).model
        for number, seed in enumerate((3, 3, 4))
    ]
    assert same_weights(results[0], results[1])
    assert not same_weights(results[0], results[2])


@pytest.mark.parametrize("rows", ["histories", "prefixes"])
def test_no_later_item_is_in_any_training_batch(tmp_path, monkeypatch, rows):
    """Two marker items stand at validation and test places only, and never in a batch."""
    lists = [[*row, 10, 11] for row in rule_histories().take(range(12))]
    lists = [[item % 10 for item in row[:-2]] + row[-2:] for row in lists]
    split = leave_one_out(Sequences.from_lists(lists), np.arange(len(lists)).astype(str))
    assert set(split.targets("validation")) == {10} and set(split.targets("test")) == {11}
    domain = DomainHistories(
        split.train, split.histories("validation"), split.targets("validation")
    )
    model, seen = rule_model(), []
    assert NUM_ITEMS == 12

    class Watched(module.SequenceTrainer):
        def training_step(self, model, inputs, *args, **kwargs):
            seen.append({name: value.clone() for name, value in inputs.items()})
            return super().training_step(model, inputs, *args, **kwargs)

    monkeypatch.setattr(module, "SequenceTrainer", Watched)
    train_sequence(model, [domain], rule_settings(epochs=2, rows=rows), tmp_path)
    assert len(seen) == (4 if rows == "histories" else 16)
    codes = model.catalog_codes + torch.tensor(model.config.level_offsets)
    found = set()
    for batch in seen:
        tokens = torch.where(batch["labels"] >= 0, batch["labels"], batch["input_ids"])
        items = (tokens.view(-1, 1, 3) == codes[None]).all(2)
        found |= set(items.any(0).nonzero().flatten().tolist())
    assert found == {item for row in lists for item in row[:-2]}


def test_without_validation_the_last_weights_are_kept(tmp_path):
    domain = DomainHistories(rule_histories(), Sequences.from_lists([]), np.array([], dtype=int))
    training = train_sequence(rule_model(), [domain], rule_settings(epochs=1), tmp_path)
    assert training.best is None
    assert same_weights(AutoModelForMaskedLM.from_pretrained(tmp_path), training.model)


def test_the_end_is_evaluated_too(tmp_path):
    settings = rule_settings(epochs=3, evaluate_every=2, evaluate_from=0.0)
    training = train_sequence(rule_model(), [rule_domain()], settings, tmp_path)
    steps = [entry["step"] for entry in training.history if "eval_NDCG@10" in entry]
    assert steps == [12, 18]


def test_two_domains_and_their_tokenizer(tmp_path):
    model = rule_model()
    model.set_catalog(torch.cat([model.catalog_codes] * 2), num_items=[NUM_ITEMS, NUM_ITEMS])
    one, two = rule_domain(), rule_domain(seed=1)
    second = DomainHistories(
        two.train.shift(NUM_ITEMS), two.validation.shift(NUM_ITEMS), two.targets + NUM_ITEMS, 1
    )
    tokenizer = QBert4RecTokenizer.from_codebook_sizes(model.config.codebook_sizes)
    training = train_sequence(
        model, [one, second], rule_settings(epochs=6), tmp_path, tokenizer=tokenizer
    )
    ranks = [e for e in training.history if "eval_NDCG@10" in e]
    assert ranks and 0 < training.best <= 1
    assert len(training.model.item_bias) == 2 * NUM_ITEMS
    assert (tmp_path / "tokenizer.json").exists()


def test_no_warning_about_missing_weights(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    logging.getLogger("transformers").addHandler(caplog.handler)
    try:
        train_sequence(rule_model(), [rule_domain()], rule_settings(epochs=1), tmp_path)
        logging.getLogger("transformers.trainer").warning("this is heard")
    finally:
        logging.getLogger("transformers").removeHandler(caplog.handler)
    assert "this is heard" in caplog.text
    assert "missing keys" not in caplog.text


@pytest.mark.parametrize("place", ["train", "validation", "targets"])
def test_histories_of_another_catalogue_are_refused(tmp_path, place):
    domain = rule_domain()
    parts = {"train": domain.train, "validation": domain.validation, "targets": domain.targets}
    parts[place] = parts[place] + NUM_ITEMS if place == "targets" else parts[place].shift(NUM_ITEMS)
    with pytest.raises(QBert4RecError, match="the model's catalogue has 12 items"):
        train_sequence(rule_model(), [DomainHistories(**parts)], rule_settings(), tmp_path)


def test_a_model_without_catalogue_is_refused(tmp_path):
    model = copy.deepcopy(rule_model())
    model._store_catalog(model.catalog_codes[:0], [], None)
    with pytest.raises(QBert4RecError, match="no catalogue"):
        train_sequence(model, [rule_domain()], rule_settings(), tmp_path)


TWO_PROCESSES = """
import json, os, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import torch
torch.set_num_threads(1)
from tiny_training import rule_domain, rule_model, rule_settings
from qbert4rec_hf.training import train_sequence as module
from qbert4rec_hf.training.sequence_rows import LengthBatches
from qbert4rec_hf.training.sequence_trainer import SequenceTrainer

orders, trainers = [], []
plain = LengthBatches.__iter__

def recorded(self):
    orders.append(list(plain(self)))
    return iter(orders[-1])

LengthBatches.__iter__ = recorded

def make(*args, **kwargs):
    trainers.append(SequenceTrainer(*args, **kwargs))
    return trainers[-1]

module.SequenceTrainer = make
settings = rule_settings(epochs=3, batch_size=4, evaluate_from=0.0)
training = module.train_sequence(rule_model(), [rule_domain(users=21)], settings, sys.argv[3])
trainer = trainers[0]
weights = torch.cat([value.flatten() for value in training.model.parameters()])
result = {
    "world": trainer.args.world_size,
    "steps": trainer.state.global_step,
    "max_steps": trainer.state.max_steps,
    "rate": trainer.lr_scheduler.get_last_lr()[0],
    "orders": orders,
    "weights": weights.double().sum().item(),
    "metrics": {k: v for k, v in trainer.evaluate().items() if "@" in k},
    "rows": len(trainer.predict(trainer.eval_dataset).predictions),
}
module.SequenceTrainer = SequenceTrainer
module.train_sequence(
    rule_model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
    [rule_domain(users=24)],
    rule_settings(epochs=1, batch_size=4, masks={"last": 0.0}, crop_probability=0.0),
    sys.argv[3] + "-even",
)
rank = os.environ["RANK"]
with open(sys.argv[4] + rank, "w") as file:
    json.dump(result, file)
"""


def test_two_processes_share_the_work(tmp_path):
    """An odd number of rows on two processes: same order, same weights, same metrics as one."""
    (tmp_path / "script.py").write_text(TWO_PROCESSES)
    tests = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
            # Any free port: two such tests may run on one machine.
            *("--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"),
            *(str(tmp_path / "script.py"), str(tests.parent), str(tests)),
            *(str(tmp_path / "model"), str(tmp_path / "result")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    first, second = (json.loads((tmp_path / f"result{rank}").read_text()) for rank in (0, 1))
    assert first["world"] == second["world"] == 2
    # Three epochs, and one of the second training.
    assert first["orders"] == second["orders"] and len(first["orders"]) == 4
    assert first["weights"] == second["weights"]
    # 21 rows, 8 a step: 3 steps an epoch, and the rate has come down at the last one.
    assert first["steps"] == first["max_steps"] == 9
    assert first["rate"] == pytest.approx(0.0, abs=1e-8)
    assert first["rows"] == 21
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "model")
    settings = rule_settings(batch_size=4)
    tokens = model.catalog_codes + torch.tensor(model.config.level_offsets)
    alone = module.SequenceTrainer(
        model=model,
        args=module._arguments(settings, tmp_path / "x", 21, True),
        eval_dataset=module.RankingRows([rule_domain(users=21)]),
        ranking_collator=module.RankingCollator(tokens, model.config.max_items),
    ).evaluate()
    for name, value in first["metrics"].items():
        assert alone[name] == pytest.approx(value, abs=1e-6), name
        assert second["metrics"][name] == value
    # Two processes with 4 rows each move the weights as one with 8 does, however the hidden items
    # fall to them.
    one = train_sequence(
        rule_model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
        [rule_domain(users=24)],
        rule_settings(epochs=1, batch_size=8, masks={"last": 0.0}, crop_probability=0.0),
        tmp_path / "one",
    ).model
    two = AutoModelForMaskedLM.from_pretrained(tmp_path / "model-even")
    # Steps are 1e-2 long; of a gradient near zero Adam makes up to a step, rounding included.
    for name, value in one.state_dict().items():
        difference = (two.state_dict()[name] - value).abs().float()
        assert difference.max() < 1e-3 and difference.mean() < 2e-5, name


@pytest.mark.parametrize(("objective", "learned"), [("catalog", True), ("codes", False)])
def test_item_embeddings_and_dropout_of_a_training(tmp_path, objective, learned):
    model = rule_model(objective=objective)
    settings = rule_settings(epochs=1, item_embeddings=True, dropout=0.4)
    trained = train_sequence(model, [rule_domain()], settings, tmp_path).model
    assert (trained.item_embeddings is not None) == learned
    if learned:
        assert trained.item_embeddings.abs().sum() > 0
    opened = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert opened.config.item_embeddings == learned
    assert opened.config.hidden_dropout_prob == 0.4


def test_what_was_chosen_for_other_weights_is_forgotten(tmp_path):
    model = rule_model(ranking_temperature=2.0)
    train_sequence(model, [rule_domain()], rule_settings(epochs=1), tmp_path)
    assert AutoModelForMaskedLM.from_pretrained(tmp_path).config.ranking_temperature == 1.0


def test_mixed_precision_on_a_processor(tmp_path):
    settings = rule_settings(epochs=1, bf16=True, item_embeddings=True)
    trained = train_sequence(rule_model(), [rule_domain()], settings, tmp_path)
    assert {weight.dtype for weight in trained.model.parameters()} == {torch.float32}
    assert all(weight.isfinite().all() for weight in trained.model.parameters())

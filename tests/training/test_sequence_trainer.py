from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_training import rule_domain, rule_model
from transformers import AutoModelForMaskedLM, TrainingArguments

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.evaluation.metrics import summarize
from qbert4rec_hf.ranking.ranks import target_ranks
from qbert4rec_hf.sequence.data_collator import DataCollatorForMultiMask
from qbert4rec_hf.training.sequence_rows import HistoryRows, RankingCollator, RankingRows
from qbert4rec_hf.training.sequence_trainer import SequenceTrainer, rank_both


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(2, 12))
def test_ranks_are_those_of_the_evaluation(seed, rows, num_items):
    """Ties, seen targets, repeated history items and items of other domains included."""
    generator = np.random.default_rng(seed)
    scores = torch.from_numpy(generator.integers(0, 4, (rows, num_items)).astype(np.float32))
    scores[torch.from_numpy(generator.random((rows, num_items)) < 0.1)] = -torch.inf
    targets = generator.integers(0, num_items, rows)
    lists = [generator.integers(0, num_items, generator.integers(0, 6)) for _ in range(rows)]
    longest = max(map(len, lists))
    history = torch.tensor([[*row, *[-1] * (longest - len(row))] for row in lists]).long()
    history = history.view(rows, longest)
    found = rank_both(scores, torch.from_numpy(targets), history).numpy()
    assert np.array_equal(found[:, 0], target_ranks(scores, targets))
    seen = Sequences.from_lists(lists)
    assert np.array_equal(found[:, 1], target_ranks(scores, targets, seen))


def test_a_diverged_model_ranks_last():
    scores = torch.full((1, 5), torch.nan)
    assert rank_both(scores, torch.tensor([2]), torch.tensor([[0]])).tolist() == [[5, 4]]


def trainer_of(model, folder, **arguments) -> SequenceTrainer:
    tokens = model.catalog_codes + torch.tensor(model.config.level_offsets)
    domains = [rule_domain(users=8)]
    return SequenceTrainer(
        model=model,
        args=TrainingArguments(
            str(folder),
            **{
                "max_steps": 1,
                "per_device_train_batch_size": 8,
                "remove_unused_columns": False,
                "report_to": "none",
                "save_strategy": "no",
                "disable_tqdm": True,
                "use_cpu": True,
                **arguments,
            },
        ),
        train_dataset=HistoryRows(domains),
        eval_dataset=RankingRows(domains),
        # The last item is hidden whatever the batch, so that two ways to cut it can be compared.
        data_collator=DataCollatorForMultiMask(tokens, ratios={"last": 0.0}),
        ranking_collator=RankingCollator(tokens, model.config.max_items),
    )


def test_predictions_are_two_ranks_a_user(tmp_path):
    model = rule_model()
    trainer = trainer_of(model, tmp_path, per_device_eval_batch_size=3)
    prediction = trainer.predict(trainer.eval_dataset)
    rows = trainer.eval_dataset
    assert prediction.predictions.shape == (len(rows), 2), "logits are kept"
    with torch.no_grad():
        scores = [
            model.eval().score_items(trainer.ranking_collator([rows[i]])["input_ids"])
            for i in range(len(rows))
        ]
    expected = target_ranks(torch.cat(scores), rows.targets)
    assert np.array_equal(prediction.predictions[:, 0], expected)
    unseen = target_ranks(torch.cat(scores), rows.targets, rows.sequences)
    assert np.array_equal(prediction.predictions[:, 1], unseen)
    metrics = trainer.evaluate()
    for name, value in summarize(expected).items():
        assert metrics[f"eval_{name}"] == pytest.approx(value)
    for name, value in summarize(unseen).items():
        assert metrics[f"eval_unseen_{name}"] == pytest.approx(value)


@pytest.mark.parametrize("objective", ["catalog", "codes"])
def test_accumulation_changes_no_update(tmp_path, objective):
    """A batch of 8 moves the weights as two accumulated batches of 4 do."""
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = rule_model(objective=objective, **still)
    before = copy.deepcopy(model.state_dict())
    trained = []
    for number, (size, parts) in enumerate(((8, 1), (4, 2))):
        one = copy.deepcopy(model)
        # Plain gradient descent: Adam's division would hide a wrong scale.
        trainer = trainer_of(
            one,
            tmp_path / str(number),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=parts,
            optim="sgd",
            learning_rate=0.1,
            max_grad_norm=0.0,
            lr_scheduler_type="constant",
        )
        trainer.train()
        assert trainer.state.global_step == 1
        trained.append(one.state_dict())
    moved = max((trained[0][name] - before[name]).abs().max() for name in before)
    assert moved > 1e-3
    for name, value in trained[0].items():
        torch.testing.assert_close(value, trained[1][name], rtol=1e-4, atol=1e-6)


def test_a_checkpoint_is_a_model(tmp_path):
    model = rule_model()
    trainer_of(model, tmp_path, save_strategy="steps", save_steps=1).train()
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path / "checkpoint-1")
    tokens = torch.zeros(1, 0, dtype=torch.long)
    assert torch.equal(loaded.score_items(tokens), model.eval().score_items(tokens))
    assert loaded.config.catalog_fingerprint == loaded.fingerprint_catalog()

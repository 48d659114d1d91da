import pytest
import torch
from torch import nn
from transformers import TrainingArguments
from transformers.utils import ModelOutput

from qbert4rec_hf.training.index_rows import RowNumbers, gather_collator
from qbert4rec_hf.training.named_losses import NamedLossesTrainer


class Line(nn.Module):
    """A slope with a loss of two named parts."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))

    def forward(self, x, return_loss=True):
        fit = ((self.slope - 2) * x).square().mean()
        size = 0.1 * self.slope.abs().mean()
        return ModelOutput(loss=fit + size, fit_loss=fit, pair_losses={"size": size}, other=x)


def make_trainer(folder, batch_size=4, accumulation=1, measured=None):
    x = torch.linspace(1, 2, 8)[:, None]
    torch.manual_seed(0)
    return NamedLossesTrainer(
        model=Line(),
        args=TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=2,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=accumulation,
            learning_rate=0.1,
            logging_strategy="epoch",
            eval_strategy="epoch",
            save_strategy="no",
            remove_unused_columns=False,
            report_to="none",
            use_cpu=True,
        ),
        train_dataset=RowNumbers(8),
        data_collator=gather_collator(lambda rows: {"x": x[rows]}),
        measure=measured or (lambda model: {"slope": float(model.slope), "list": [1, 2]}),
    )


def test_parts_are_logged_and_add_up(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(steps) == 2
    for entry in steps:
        assert entry["loss"] == pytest.approx(entry["fit_loss"] + entry["size_loss"], rel=1e-4)
        assert "other_loss" not in entry
    assert steps[1]["fit_loss"] < steps[0]["fit_loss"]


def test_measurements_are_logged_once_an_evaluation_in_evaluation_mode(tmp_path):
    modes = []

    def measure(model):
        modes.append((model.training, torch.is_grad_enabled()))
        return {"slope": float(model.slope.detach()), "list": [1, 2]}

    trainer = make_trainer(tmp_path, measured=measure)
    trainer.train()
    measured = [entry for entry in trainer.state.log_history if "eval_slope" in entry]
    assert modes == [(False, False)] * 2 and len(measured) == 2
    assert measured[0]["eval_list"] == [1, 2] and trainer.model.training


def test_accumulated_batches_give_the_update_of_one(tmp_path):
    slopes = []
    for batch_size, accumulation in ((8, 1), (4, 2)):
        trainer = make_trainer(tmp_path, batch_size, accumulation)
        trainer.train()
        slopes.append(float(trainer.model.slope.detach()))
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-5)

"""A Trainer for models that compute their own loss without labels, and name its parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel, Trainer

Figures = dict[str, float | int | list[float] | list[int]]


class NamedLossesTrainer(Trainer):
    """Logs every `..._loss` of the model's output beside the total, and measures as it is told.

    An evaluation is one call of `measure`: the stages that use this class judge a model by what it
    makes of the whole catalogue (codes used, depths), not by a loss summed over batches.

    Args:
        measure: takes the model and gives figures by name, numbers or lists of numbers; they are
            logged as `eval_<name>`.
        kwargs: as for `Trainer`.
    """

    def __init__(self, *, measure: Callable[[PreTrainedModel], Figures], **kwargs: Any):
        # The Trainer asks for an evaluation set before it evaluates; ours is in `measure`.
        super().__init__(eval_dataset=kwargs["train_dataset"], **kwargs)
        self.measure = measure
        self._sums: dict[str, torch.Tensor] = defaultdict(float)
        self._steps = 0

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Loss of a batch; its parts are added up for the next log line."""
        outputs = model(**inputs)
        for name, value in _named_losses(outputs).items():
            self._sums[name] = self._sums[name] + value.detach()
        self._steps += 1
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Adds the mean of each part since the last line to a line that has a loss."""
        if "loss" in logs and self._steps:
            logs |= {name: float(value) / self._steps for name, value in self._sums.items()}
            self._sums.clear()
            self._steps = 0
        super().log(logs, start_time)

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> Figures:
        """Measures the model, logs the figures and tells the callbacks."""
        model = self.accelerator.unwrap_model(self.model)
        training = model.training
        model.eval()
        with torch.no_grad():
            figures = {
                f"{metric_key_prefix}_{name}": value for name, value in self.measure(model).items()
            }
        model.train(training)
        self.log(dict(figures))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, figures
        )
        return figures


def _named_losses(outputs: Any) -> dict[str, torch.Tensor]:
    losses = {
        name: value
        for name, value in outputs.items()
        if name.endswith("_loss") and value is not None
    }
    pairs = outputs.get("pair_losses") or {}
    return losses | {f"{name}_loss": value for name, value in pairs.items()}

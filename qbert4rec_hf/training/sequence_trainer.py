"""The Trainer of stage 3: batches by length, and evaluation by ranking instead of by loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import (
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from ..evaluation.metrics import summarize
from ..ranking.ranks import PROTOCOLS
from .sequence_rows import LengthBatches, RankingCollator


class SequenceTrainer(Trainer):
    """Fine-tunes or pre-trains `QBert4RecForMaskedLM` with the metrics that count.

    `evaluate` ranks the whole catalogue for every row of the evaluation set and keeps two ranks a
    user, never logits. Metrics are named as everywhere: `eval_NDCG@10` ranks everything,
    `eval_unseen_NDCG@10` leaves the items of the history out.

    Args:
        ranking_collator: makes evaluation batches; training batches are made by `data_collator`.
        kwargs: as in [`transformers.Trainer`].
    """

    def __init__(self, *args, ranking_collator: RankingCollator, **kwargs):
        kwargs.setdefault("compute_metrics", rank_metrics)
        super().__init__(*args, **kwargs)
        self.ranking_collator = ranking_collator

    def _get_train_sampler(self, train_dataset=None):
        dataset = self.train_dataset if train_dataset is None else train_dataset
        # One "batch" of the sampler is what all processes take together in a step.
        size = self.args.train_batch_size * self.args.world_size
        return LengthBatches(dataset.lengths, size, seed=self.args.seed)

    def get_eval_dataloader(self, eval_dataset=None):
        with self._ranking():
            return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset):
        with self._ranking():
            return super().get_test_dataloader(test_dataset)

    @contextmanager
    def _ranking(self) -> Iterator[None]:
        """Data loaders made inside collate for ranking."""
        training_collator, self.data_collator = self.data_collator, self.ranking_collator
        try:
            yield
        finally:
            self.data_collator = training_collator

    @torch.no_grad()
    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[None, torch.Tensor, torch.Tensor]:
        """Ranks one batch: no loss, ranks `[batch, 2]` (one column a protocol), targets."""
        inputs = self._prepare_inputs(inputs)
        with self.compute_loss_context_manager():
            scores = self.accelerator.unwrap_model(model).score_items(
                inputs["input_ids"], inputs["attention_mask"], inputs["domain_ids"]
            )
        ranks = rank_both(scores, inputs["target"], inputs["history"])
        return None, ranks, inputs["target"]


class EvaluateAtEnd(TrainerCallback):
    """Evaluates after the last step too, so that its model can be chosen like any other."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs
    ) -> None:
        if state.global_step >= state.max_steps:
            control.should_evaluate = True


def rank_both(scores: torch.Tensor, target: torch.Tensor, history: torch.Tensor) -> torch.Tensor:
    """Ranks under both protocols, on the scores' device.

    The same rule as `ranking.ranks.target_ranks`, on padded tensors, so that the Trainer can gather
    it from all processes; a test holds the two against each other. Where `target_ranks` refuses
    NaN, here it ranks last: a model that diverges must not end the run, nor be taken for the best.

    Args:
        scores: `[batch, items]`.
        target: `[batch]`.
        history: `[batch, longest]` item rows, -1 for padding.

    Returns:
        `[batch, 2]`, ranks among all items and among unseen items.
    """
    rows, num_items = scores.shape
    # One column more than items, where the padding goes.
    seen = torch.zeros(rows, num_items + 1, dtype=torch.bool, device=scores.device)
    seen = seen.scatter_(1, history.where(history >= 0, num_items), True)[:, :num_items]
    at_target = scores.gather(1, target[:, None])
    # Not `>=`: a comparison with NaN is false.
    above = ~(scores < at_target)
    miss = (at_target == -torch.inf)[:, 0]
    every = torch.where(miss, num_items + 1, above.sum(dim=1))
    miss |= seen.gather(1, target[:, None])[:, 0]
    unseen = torch.where(miss, num_items + 1, (above & ~seen).sum(dim=1))
    return torch.stack([every, unseen], dim=1)


def rank_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Metrics of both protocols from ranks `[users, 2]`."""
    ranks = np.asarray(prediction.predictions)
    metrics = summarize(ranks[:, 0])
    metrics |= {f"unseen_{name}": value for name, value in summarize(ranks[:, 1]).items()}
    return metrics


METRIC_OF_PROTOCOL = dict(zip(PROTOCOLS, ("eval_NDCG@10", "eval_unseen_NDCG@10"), strict=True))

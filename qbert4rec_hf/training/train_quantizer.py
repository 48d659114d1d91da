"""Stage 2: training of the quantizer."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from transformers import TrainingArguments, set_seed
from transformers.utils import logging

from ..errors import QBert4RecError
from ..files import fingerprint, make_folder, write_json
from ..quantizer.configuration_quantizer import QBert4RecQuantizerConfig
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from .index_rows import RowNumbers, gather_collator
from .named_losses import Figures, NamedLossesTrainer
from .quantizer_figures import checkpoint_score, quantizer_figures
from .stage_arguments import stage_arguments
from .stage_folder import HISTORY_FILE, SUMMARY_FILE, close_stage, open_checkpoints
from .stage_settings import QuantizerSettings, check_schedule, make_config

logger = logging.get_logger(__name__)

# Share of the epochs during which a level that uses few codewords may still recover.
EARLY = 1 / 3


def train_quantizer(
    views: torch.Tensor | Sequence[torch.Tensor],
    settings: QuantizerSettings,
    output_dir: str | os.PathLike,
    *,
    groups: torch.Tensor | None = None,
) -> QBert4RecQuantizerModel:
    """Trains a quantizer on all views of the items and saves it.

    The codebooks start from k-means over all rows. Every `evaluate_every` epochs codes of all
    items are measured, and the checkpoint that `checkpoint_rule` prefers is kept. A level that
    uses few of its codewords, or a reconstruction that gets worse than none, is warned of while
    training can still be stopped (see `CollapseWatch`). A codebook larger than the number of items
    and a batch larger than the number of rows are fitted, with a warning; the saved configuration
    has the fitted sizes.

    Args:
        views: embeddings `[items, input]`, or several of the same items: own query first, then
            shared query. Semantic IDs are made from the first.
        settings: schedule, seed and model fields.
        output_dir: gets the model, `history.json` (losses by name, and by evaluation the figures
            of `quantizer_figures`) and `summary.json` (those of the checkpoint kept). While
            training runs, `checkpoints/` holds what an interrupted one goes on from.
        groups: domain of each item `[items]`; codes may repeat in another domain.

    Returns:
        The model in evaluation mode.

    Raises:
        QBert4RecError: no embeddings, values that are not numbers, views of different shapes,
            settings that cannot work, or a folder that cannot be written.

    Source: section 3.4.
    """
    check_schedule(settings)
    views = _check_views(views)
    num_items, input_size = views[0].shape
    config = make_config(QBert4RecQuantizerConfig, settings.model, input_size=input_size)
    _fit_codebooks(config, num_items)
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    rows = torch.cat(views)
    watch = CollapseWatch(settings.collapse_threshold, config)
    trainer: NamedLossesTrainer | None = None

    def measure(model: QBert4RecQuantizerModel) -> Figures:
        figures = quantizer_figures(model, views, groups)
        # Residual k-means has no Trainer; it is measured once, at its end.
        watch(figures, progress=trainer.state.epoch / settings.epochs if trainer else 1.0)
        if config.checkpoint_rule != "last":
            figures["checkpoint_score"] = checkpoint_score(config.checkpoint_rule, figures)
        return figures

    if config.quantizer_type == "residual_kmeans":
        return _fit_residual_kmeans(config, rows, measure, settings, output_dir)
    if settings.batch_size > len(rows):
        logger.warning(
            "batch_size %d is above the %d embeddings; a batch holds them all",
            settings.batch_size,
            len(rows),
        )
        settings = replace(settings, batch_size=len(rows))
    checkpoints, last = open_checkpoints(
        output_dir,
        {"settings": asdict(settings), "embeddings": fingerprint(*(v.numpy() for v in views))},
    )
    set_seed(settings.seed)
    model = QBert4RecQuantizerModel(config)
    if last is None:
        model.initialize(rows, seed=settings.seed)
        with torch.no_grad():
            watch.missed = quantizer_figures(model.eval(), views)["reconstruction"]
    trainer = NamedLossesTrainer(
        model=model,
        args=_arguments(settings, config, len(rows), str(checkpoints)),
        train_dataset=RowNumbers(len(rows)),
        data_collator=gather_collator(lambda chosen: {"embeddings": rows[chosen]}),
        measure=measure,
    )
    result = trainer.train(resume_from_checkpoint=last)
    model.eval()
    with torch.no_grad():
        summary = measure(model)
    summary |= {"items": num_items, "seconds": result.metrics["train_runtime"]}
    close_stage(trainer, output_dir, summary)
    return model


class CollapseWatch:
    """Warns, once a level, of codebooks that hardly use their codewords.

    A level may dip while the networks start to move away from k-means and come back by itself. So
    early on it is warned of at the second evaluation in a row that shows it; after the first third
    of the training, at the first.
    """

    def __init__(self, threshold: float, config: QBert4RecQuantizerConfig):
        self.threshold = threshold
        self.remedy = (
            "look for equal embeddings, or use fewer codewords"
            if config.quantizer_type == "residual_kmeans"
            else "stop and lower learning_rate, raise model.revival_threshold, or use fewer "
            "codewords; equal embeddings collapse whatever the settings"
        )
        self.missed = math.inf
        self._said: set[int | str] = set()
        self._low_before: set[int] = set()

    def __call__(self, figures: Figures, *, progress: float = 1.0) -> None:
        """Looks at figures of `quantizer_figures`, taken when this share of the epochs was over."""
        low = {n for n, usage in enumerate(figures["usage"], start=1) if usage < self.threshold}
        certain = low if progress >= EARLY else low & self._low_before
        self._low_before = low
        for level, usage in enumerate(figures["usage"], start=1):
            if level in certain and level not in self._said:
                self._said.add(level)
                logger.warning(
                    "level %d uses %.1f%% of its codewords (under %.0f%%): the codebook is "
                    "collapsing; %s",
                    level,
                    100 * usage,
                    100 * self.threshold,
                    self.remedy,
                )
        before, self.missed = self.missed, figures["reconstruction"]
        # Networks start out worse than the mean; that is in order as long as they get better.
        diverges = not math.isfinite(self.missed) or self.missed > max(1.0, before)
        if diverges and "reconstruction" not in self._said:
            self._said.add("reconstruction")
            logger.warning(
                "reconstruction is %.3g, worse than answering the mean (1), and getting worse: the "
                "codes say nothing; stop and lower learning_rate",
                self.missed,
            )


def _check_views(views: torch.Tensor | Sequence[torch.Tensor]) -> list[torch.Tensor]:
    views = [views] if isinstance(views, torch.Tensor) and views.dim() == 2 else list(views)
    if not views or views[0].dim() != 2 or not views[0].numel():
        raise QBert4RecError("there are no embeddings to quantize; give [items, input] of them")
    for number, view in enumerate(views):
        if view.shape != views[0].shape:
            raise QBert4RecError(
                f"view {number} has shape {list(view.shape)}, view 0 {list(views[0].shape)}; views "
                "are of the same items"
            )
        bad = (~view.isfinite().all(1)).nonzero()
        if len(bad):
            raise QBert4RecError(
                f"view {number} has values that are not numbers in row {int(bad[0])}; embed the "
                "items again"
            )
    return [view.detach().float().cpu() for view in views]


def _fit_codebooks(config: QBert4RecQuantizerConfig, num_items: int) -> None:
    sizes = config.codebook_sizes
    if max(sizes) <= num_items:
        return
    fitted = [min(size, num_items) for size in sizes]
    logger.warning(
        "codebook_size %s is above the %d items; reduced to %s",
        config.codebook_size,
        num_items,
        fitted,
    )
    config.codebook_size = fitted if isinstance(config.codebook_size, list) else fitted[0]


def _fit_residual_kmeans(config, rows, measure, settings, output_dir) -> QBert4RecQuantizerModel:
    output_dir = make_folder(output_dir)
    started = time.monotonic()
    model = QBert4RecQuantizerModel(config).eval()
    model.initialize(rows, seed=settings.seed)
    with torch.no_grad():
        figures = measure(model)
    seconds = time.monotonic() - started
    write_json(
        Path(output_dir) / HISTORY_FILE,
        [{f"eval_{name}": value for name, value in figures.items()} | {"epoch": 0, "step": 0}],
    )
    write_json(Path(output_dir) / SUMMARY_FILE, figures | {"seconds": seconds})
    model.save_pretrained(output_dir)
    return model


def _arguments(
    settings: QuantizerSettings, config: QBert4RecQuantizerConfig, num_rows: int, folder: str
) -> TrainingArguments:
    steps_an_epoch = math.ceil(num_rows / settings.batch_size)
    keeps_best = config.checkpoint_rule != "last"
    interval = min(settings.evaluate_every, settings.epochs) * steps_an_epoch
    return stage_arguments(
        settings,
        folder,
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=2,
        load_best_model_at_end=keeps_best,
        metric_for_best_model="eval_checkpoint_score" if keeps_best else None,
        greater_is_better=False if keeps_best else None,
        logging_steps=steps_an_epoch,
    )

"""Stage 1: training of the fusion model."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import torch
from transformers import set_seed
from transformers.utils import logging

from ..errors import QBert4RecError
from ..fusion.configuration_fusion import QBert4RecFusionConfig
from ..fusion.modeling_fusion import QBert4RecFusionModel
from .index_rows import RowNumbers, gather_collator
from .named_losses import Figures, NamedLossesTrainer
from .stage_arguments import stage_arguments
from .stage_folder import close_stage, open_checkpoints
from .stage_settings import FusionSettings, check_schedule, make_config

if TYPE_CHECKING:
    from ..features.store import ItemFeatures

logger = logging.get_logger(__name__)

# Items that the curves are measured on; more would cost time and change nothing.
MEASURED_ITEMS = 2048


def train_fusion(
    features: ItemFeatures,
    settings: FusionSettings,
    output_dir: str | os.PathLike,
    *,
    catalog_fingerprint: str | None = None,
) -> QBert4RecFusionModel:
    """Trains the fusion model and saves it.

    Args:
        features: of all items, those of several domains under each other
            (`ItemFeatures.stack`). Row numbers are those of the own queries.
        settings: schedule, seed and model fields.
        output_dir: gets the model, `history.json` (losses by name, and an evaluation by the
            shared query an epoch: loss, depths) and `summary.json`. While training runs,
            `checkpoints/` holds what an interrupted one goes on from.
        catalog_fingerprint: stored in the configuration, to know the own queries' catalogue.

    Returns:
        The model in evaluation mode.

    Raises:
        QBert4RecError: no items, fewer than two with any modality, settings that cannot work, or
            a folder that cannot be written.

    Source: section 3.3.
    """
    check_schedule(settings)
    vectors, masks = features.as_tensors()
    num_items = len(features.item_ids)
    with_content = sum(mask.any(1) for mask in masks.values()) > 0 if masks else torch.zeros(0)
    if int(with_content.sum()) < 2:
        raise QBert4RecError(
            f"{int(with_content.sum())} of {num_items} items have a text, image or structural "
            "vector; fusion learns by comparing items and needs at least 2"
        )
    config = make_config(
        QBert4RecFusionConfig,
        settings.model,
        modalities={name: values.shape[-1] for name, values in vectors.items()},
        num_items=num_items,
        catalog_fingerprint=catalog_fingerprint,
    )
    if settings.batch_size > num_items:
        logger.warning(
            "batch_size %d is above the %d items; a batch holds them all",
            settings.batch_size,
            num_items,
        )
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    checkpoints, last = open_checkpoints(
        output_dir,
        {
            "settings": asdict(settings),
            "catalog": catalog_fingerprint,
            "features": features.fingerprint,
        },
    )
    set_seed(settings.seed)
    model = QBert4RecFusionModel(config)

    def gather(rows: torch.Tensor) -> dict:
        return {
            "features": {name: values[rows] for name, values in vectors.items()},
            "feature_mask": {name: mask[rows] for name, mask in masks.items()},
            "item_index": rows,
        }

    batch_size = min(settings.batch_size, num_items)
    trainer = NamedLossesTrainer(
        model=model,
        args=stage_arguments(
            replace(settings, batch_size=batch_size),
            str(checkpoints),
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            logging_strategy="epoch",
            # A last batch of one item would have nothing to compare it with.
            dataloader_drop_last=num_items % batch_size == 1 and num_items > batch_size,
        ),
        train_dataset=RowNumbers(num_items),
        data_collator=gather_collator(gather),
        measure=lambda trained: fusion_figures(trained, gather, num_items, batch_size),
    )
    result = trainer.train(resume_from_checkpoint=last)
    model.eval()
    with torch.no_grad():
        summary = fusion_figures(model, gather, num_items, batch_size)
    summary |= {"items": num_items, "seconds": result.metrics["train_runtime"]}
    summary |= {
        f"items_with_{name}": int(mask.any(1).sum()) for name, mask in sorted(masks.items())
    }
    close_stage(trainer, output_dir, summary)
    return model


def fusion_figures(model: QBert4RecFusionModel, gather, num_items: int, batch_size: int) -> Figures:
    """Losses and depths of a fixed sample of items by the shared query, the view of later items.

    Args:
        model: in evaluation mode.
        gather: takes row numbers `[batch]`, gives the arguments of the model's `forward`.
        num_items: rows that there are.
        batch_size: as in training, since InfoNCE depends on it.

    Returns:
        `loss`, its named parts, `depth_mean` and `depth_histogram` (items that used 1, 2, ...
        blocks).
    """
    sample = torch.linspace(0, num_items - 1, min(num_items, MEASURED_ITEMS)).long()
    totals: dict[str, float] = {}
    histogram = torch.zeros(model.config.max_layers, dtype=torch.long)
    # Every n-th item, so that a batch holds items from all over the catalogue.
    batches = max(1, len(sample) // batch_size)
    for first in range(batches):
        arguments = gather(sample[first::batches])
        arguments["item_index"] = None
        output = model(**_to_device(arguments, model.device))
        parts = {"loss": output.loss, "contrastive_loss": output.contrastive_loss}
        parts |= {"consistency_loss": output.consistency_loss, "depth_loss": output.depth_loss}
        parts |= {f"{name}_loss": value for name, value in output.pair_losses.items()}
        for name, value in parts.items():
            if value is not None:
                totals[name] = totals.get(name, 0.0) + float(value) / batches
        histogram += torch.bincount(output.depth.cpu() - 1, minlength=len(histogram))
    layers = torch.arange(1, len(histogram) + 1)
    return totals | {
        "depth_mean": float((histogram * layers).sum() / histogram.sum()),
        "depth_histogram": histogram.tolist(),
    }


def _to_device(value, device):
    if isinstance(value, dict):
        return {name: _to_device(item, device) for name, item in value.items()}
    return value.to(device) if isinstance(value, torch.Tensor) else value

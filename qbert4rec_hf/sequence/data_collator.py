"""From rows of item numbers to masked batches of semantic-ID tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from ..errors import QBert4RecError
from .masking import (
    mask_last_item,
    mask_random_items,
    mask_regions,
    mask_span,
    mask_tail,
)

MASKS: dict[str, Callable[..., np.ndarray]] = {
    "span": mask_span,
    "multi_region": mask_regions,
    "tail": mask_tail,
    "random": mask_random_items,
    "last": mask_last_item,
}

# Section 4.1: what each mask hides. "jointly sampled" is read as: each row draws one of them.
PRETRAINING_MASKS = {"span": 0.3, "multi_region": 0.15, "tail": 0.1}
FINETUNING_MASKS = {"random": 0.3}


def check_masks(
    ratios: Mapping[str, float], weights: Mapping[str, float] | None, combination: str
) -> Mapping[str, float]:
    """The weights of the masks, equal ones by default, after a check of all three.

    Args:
        ratios, weights, combination: as in [`DataCollatorForMultiMask`].

    Raises:
        QBert4RecError: names the argument and what it must be.
    """
    unknown = set(ratios) - set(MASKS)
    if unknown or not ratios:
        raise QBert4RecError(f"masks must name some of {sorted(MASKS)}, got {list(ratios)}")
    for name, ratio in ratios.items():
        if name != "last" and not 0 < ratio < 1:
            raise QBert4RecError(f"the ratio of mask {name!r} must lie in (0, 1), got {ratio}")
    weights = dict.fromkeys(ratios, 1.0) if weights is None else weights
    fits = set(weights) == set(ratios) and min(weights.values()) >= 0 and sum(weights.values()) > 0
    if not fits:
        raise QBert4RecError(
            f"mask weights must give a share for each of {list(ratios)}, got {dict(weights)}"
        )
    if combination not in ("one", "union"):
        raise QBert4RecError(f"combination must be 'one' or 'union', got {combination!r}")
    return weights


@dataclass
class DataCollatorForMultiMask:
    """Pads, crops and masks histories for [`QBert4RecForMaskedLM`].

    Whole items are masked: all K tokens of a hidden item become `[MASK]`, so no code of it leaks.

    Args:
        item_tokens (`[items, levels]`): token ids of every item of the catalogue, all domains.
        ratios: share of items that each mask hides, by mask name (`MASKS`). The default is the
            paper's pre-training: span 0.3, multi-region 0.15, tail 0.1.
        weights: how often a row draws each mask (`combination="one"`); equally often by default.
        combination: the paper samples its masks jointly and does not say how. `"one"`: each row
            draws one mask. `"union"`: each row applies all of them, keeping the last item visible
            when nothing else would be.
        max_items: the longest history, as in the model's config. A row keeps one item more, which
            stands where the next-item query will; so no position that ranking uses stays
            untrained.
        crop_probability: share of rows that are cut to a random prefix of at least two items, so
            that other items than the last one become the last.
        seed: own stream of random numbers. Without it, draws follow torch's global generator,
            which the Trainer saves and restores, so that a resumed run repeats bit for bit.
        mask_token_id, pad_token_id: as in the tokenizer.

    Rows are mappings with `items` (rows of the catalogue, oldest first, at least two) and, with
    several domains, `domain`. Returns `input_ids`, `attention_mask`, `labels`
    (`[batch, items * levels]`, padded on the right, labels -100 where visible) and, where given,
    `domain_ids` (`[batch]`).

    Raises:
        QBert4RecError: an unknown mask, a ratio outside (0, 1), or weights that do not fit.

    Source: section 3.5 (masks), 4.1 (ratios).

    Example:
        >>> import torch
        >>> from qbert4rec_hf import DataCollatorForMultiMask
        >>> tokens = torch.tensor([[3, 7], [3, 8], [6, 9]])  # three items of two tokens
        >>> collator = DataCollatorForMultiMask(tokens, ratios={"last": 0.0})
        >>> batch = collator([{"items": [0, 2, 1]}, {"items": [2, 0]}])
        >>> batch["input_ids"].tolist()  # the last item of each row is masked
        [[3, 7, 6, 9, 1, 1], [6, 9, 1, 1, 0, 0]]
        >>> batch["labels"][0].tolist()
        [-100, -100, -100, -100, 3, 8]
    """

    item_tokens: torch.Tensor
    ratios: Mapping[str, float] = field(default_factory=lambda: dict(PRETRAINING_MASKS))
    weights: Mapping[str, float] | None = None
    combination: Literal["one", "union"] = "one"
    max_items: int = 50
    crop_probability: float = 0.0
    seed: int | None = None
    mask_token_id: int = 1
    pad_token_id: int = 0

    def __post_init__(self) -> None:
        self.item_tokens = torch.as_tensor(self.item_tokens, dtype=torch.long)
        weights = check_masks(self.ratios, self.weights, self.combination)
        shares = np.array([weights[name] for name in self.ratios], dtype=np.float64)
        self._shares = shares / shares.sum()
        self._generator = None if self.seed is None else np.random.default_rng(self.seed)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Makes one batch of the rows."""
        generator = self._generator
        if generator is None:
            generator = np.random.default_rng(torch.randint(2**62, ()).item())
        items, lengths = self._crop([row["items"] for row in rows], generator)
        hidden = torch.from_numpy(self.mask(lengths, generator))
        valid = torch.arange(items.shape[1]) < torch.from_numpy(lengths)[:, None]
        tokens = self.item_tokens[items]
        tokens[~valid] = self.pad_token_id
        batch = {
            "input_ids": torch.where(hidden[:, :, None], self.mask_token_id, tokens).flatten(1),
            "attention_mask": valid.repeat_interleave(tokens.shape[2], dim=1).long(),
            "labels": torch.where(hidden[:, :, None], tokens, -100).flatten(1),
        }
        if "domain" in rows[0]:
            batch["domain_ids"] = torch.tensor([int(row["domain"]) for row in rows])
        return batch

    def mask(self, lengths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Which items to hide, `[batch, max(lengths)]` bool, for histories of these lengths."""
        masks = np.stack(
            [MASKS[name](lengths, ratio, generator) for name, ratio in self.ratios.items()]
        )
        if self.combination == "one":
            choice = generator.choice(len(masks), size=len(lengths), p=self._shares)
            return masks[choice, np.arange(len(lengths))]
        hidden = masks.any(axis=0)
        full = (hidden.sum(axis=1) == lengths) & (lengths > 1)
        hidden[full, lengths[full] - 1] = False
        return hidden

    def _crop(
        self, histories: list[np.ndarray], generator: np.random.Generator
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Cuts and pads to `[batch, longest]` item rows, and their lengths `[batch]`."""
        stops = np.array([len(history) for history in histories], dtype=np.int64)
        if self.crop_probability > 0:
            crop = (generator.random(len(stops)) < self.crop_probability) & (stops > 2)
            prefix = 2 + np.floor(generator.random(len(stops)) * (stops - 1)).astype(np.int64)
            stops = np.where(crop, np.minimum(prefix, stops), stops)
        lengths = np.minimum(stops, self.max_items + 1)
        items = np.zeros((len(stops), int(lengths.max())), dtype=np.int64)
        for row, (history, stop, length) in enumerate(zip(histories, stops, lengths, strict=True)):
            items[row, :length] = history[stop - length : stop]
        return torch.from_numpy(items), lengths

"""From item histories to the token ids that the model reads."""

from __future__ import annotations

import numpy as np
import torch

from ..data.sequences import Sequences


def encode_histories(
    histories: Sequences, item_tokens: torch.Tensor, max_items: int
) -> dict[str, torch.Tensor]:
    """The latest items of each history as `input_ids` and `attention_mask`, padded on the left.

    Args:
        histories: one row a user, item rows of the catalogue that `item_tokens` covers; rows may
            be empty.
        item_tokens: `[items, levels]`, token ids.
        max_items: the latest items to keep.

    Returns:
        Both `[rows, items * levels]`.
    """
    histories = histories.last(max_items)
    lengths = histories.lengths
    width = int(lengths.max(initial=0))
    valid = torch.from_numpy(np.arange(width) >= (width - lengths)[:, None])
    tokens = torch.zeros(len(lengths), width, item_tokens.shape[1], dtype=torch.long)
    tokens[valid] = item_tokens[torch.from_numpy(histories.items)]
    mask = valid.repeat_interleave(item_tokens.shape[1], dim=1).long()
    return {"input_ids": tokens.flatten(1), "attention_mask": mask}

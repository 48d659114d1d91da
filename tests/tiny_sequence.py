"""A tiny sequence model and its inputs, for the tests of several folders."""

from __future__ import annotations

import torch
from transformers import set_seed

from qbert4rec_hf.sequence.configuration_qbert4rec import QBert4RecConfig
from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM

SIZES = [5, 4, 6]
NUM_ITEMS = 10


def distinct_codes(num_items: int, seed: int = 0) -> torch.Tensor:
    """`[items, 3]` different code tuples for `SIZES`."""
    every = torch.cartesian_prod(*[torch.arange(size) for size in SIZES])
    return every[torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))][
        :num_items
    ]


def make_model(codes: torch.Tensor | None = None, num_items=None, **fields) -> QBert4RecForMaskedLM:
    """A model with random weights, biases included, in evaluation mode."""
    set_seed(0)
    # A wide spread of the initial weights, so that differences show.
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "max_items": 6}
    config = QBert4RecConfig(
        **{"codebook_sizes": SIZES, "initializer_range": 0.2, **sizes, **fields}
    )
    model = QBert4RecForMaskedLM(config)
    model.set_catalog(distinct_codes(NUM_ITEMS) if codes is None else codes, num_items=num_items)
    # What single items have last: it must not shift what the others draw.
    torch.nn.init.normal_(model.head.bias)
    for of_items in (model.item_bias, model.item_embeddings):
        if of_items is not None:
            torch.nn.init.normal_(of_items)
    return model.eval()


def tokens_of(model: QBert4RecForMaskedLM, items) -> torch.Tensor:
    """`[batch, items * levels]` token ids of item rows `[batch, items]`."""
    tokens = model.catalog_codes + torch.tensor(model.config.level_offsets)
    return tokens[torch.as_tensor(items)].flatten(-2)


def masked_batch(model: QBert4RecForMaskedLM, items, hidden) -> dict[str, torch.Tensor]:
    """Inputs with whole items hidden; `items` and `hidden` are `[batch, items]`."""
    tokens = tokens_of(model, items)
    hidden = torch.as_tensor(hidden).bool().repeat_interleave(model.config.num_levels, dim=1)
    return {
        "input_ids": tokens.masked_fill(hidden, model.config.mask_token_id),
        "labels": tokens.where(hidden, -100),
    }


def brute_force(model: QBert4RecForMaskedLM, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probabilities `[items]` of the next item after one history, from the full logits."""
    query = torch.full((1, 3), model.config.mask_token_id)
    logits = model(torch.cat([tokens[None], query], dim=1)).logits[0, -3:].double()
    codes = model.catalog_codes + torch.tensor(model.config.level_offsets)
    total = sum(logits[level, codes[:, level]] for level in range(3))
    return (total + (0 if model.item_bias is None else model.item_bias)).log_softmax(-1)

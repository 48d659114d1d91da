"""The tiny model under both encodings."""

from __future__ import annotations

import pytest
import torch
from tiny_sequence import make_model, masked_batch

from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM


@pytest.fixture(params=["grouped", "tokens"])
def model(request) -> QBert4RecForMaskedLM:
    return make_model(item_encoding=request.param)


@pytest.fixture
def batch(model) -> dict[str, torch.Tensor]:
    """Two histories of 5 and 3 items, padded on the left, one item of each hidden."""
    inputs = masked_batch(
        model, [[0, 1, 2, 3, 4], [0, 0, 7, 8, 9]], [[0, 1, 0, 0, 1], [0, 0, 0, 0, 1]]
    )
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["attention_mask"][1, :6] = 0
    inputs["input_ids"][1, :6] = model.config.pad_token_id
    return inputs

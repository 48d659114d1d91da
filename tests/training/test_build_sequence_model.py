from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.training.build_sequence_model import build_sequence_model

CODES = np.array([[0, 1], [2, 1], [3, 0]])


def build(**kwargs):
    return build_sequence_model(CODES, [4, 2], [2, 1], **kwargs)


def test_it_has_the_presets_size_and_the_catalogue():
    model = build()
    assert (model.config.hidden_size, model.config.num_hidden_layers) == (128, 2)
    assert model.catalog_codes.tolist() == CODES.tolist()
    assert model.config.num_items == [2, 1]
    assert build(preset="paper").config.num_hidden_layers == 4
    assert build(architecture={"hidden_size": 64}).config.hidden_size == 64


def test_the_seed_decides_the_weights():
    weights = [build(seed=seed).head.dense.weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"preset": "huge"}, "preset must be one of"),
        ({"architecture": {"hiden_size": 64}}, "did you mean hidden_size"),
        ({"architecture": {"hidden_size": 30}}, "not a multiple of num_attention_heads"),
        ({"architecture": {"hidden_size": "wide"}}, "model.hidden_size must be a whole number"),
        ({"architecture": {"objective": "items"}}, "model.objective must be one of"),
        ({"architecture": {"codebook_sizes": [3]}}, "comes from the data"),
    ],
)
def test_it_refuses(kwargs, message):
    with pytest.raises(QBert4RecError, match=message) as error:
        build(**kwargs)
    assert "\n" not in str(error.value)

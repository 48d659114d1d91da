"""The laws of `laws.py` held against fusion and quantizer (stage 3 has them in its own tests)."""

from __future__ import annotations

import pytest
import torch
from laws import (
    assert_batch_equals_single,
    assert_padding_changes_nothing,
    assert_save_load_is_bit_equal,
    assert_sdpa_equals_eager,
    assert_seeded_run_repeats,
)
from transformers import AutoModel, set_seed

import qbert4rec_hf  # noqa: F401 - registers the families
from qbert4rec_hf.fusion.configuration_fusion import QBert4RecFusionConfig
from qbert4rec_hf.fusion.modeling_fusion import QBert4RecFusionModel
from qbert4rec_hf.quantizer.configuration_quantizer import QBert4RecQuantizerConfig
from qbert4rec_hf.quantizer.modeling_quantizer import QBert4RecQuantizerModel

SIZES = {"image": 5, "text": 7}


def make_fusion() -> QBert4RecFusionModel:
    config = QBert4RecFusionConfig(
        modalities=SIZES, num_items=9, hidden_size=16, intermediate_size=16, num_attention_heads=2
    )
    return QBert4RecFusionModel(config).eval()


def make_quantizer(kind: str = "rqvae") -> QBert4RecQuantizerModel:
    # Residual k-means has no network of its own.
    network = {"codebook_dim": 4, "hidden_sizes": [8]} if kind == "rqvae" else {}
    config = QBert4RecQuantizerConfig(
        input_size=6, num_levels=3, codebook_size=[4, 5, 6], quantizer_type=kind, **network
    )
    return QBert4RecQuantizerModel(config).eval()


@pytest.fixture
def items() -> dict:
    generator = torch.Generator().manual_seed(1)
    features = {name: torch.randn(9, 2, size, generator=generator) for name, size in SIZES.items()}
    masks = {name: torch.rand(9, 2, generator=generator) < 0.7 for name in SIZES}
    return {
        "features": features,
        "feature_mask": masks,
        "item_index": torch.arange(9),
        "return_loss": False,
    }


def fuse(model, inputs) -> dict[str, torch.Tensor]:
    found = model.embed(inputs["features"], inputs["feature_mask"], inputs["item_index"])
    return {"fused": found.fused, "depth": found.depth}


def quantize(model, inputs) -> dict[str, torch.Tensor]:
    codes, distances = model.encode(inputs["embeddings"])
    return {"codes": codes, "distances": distances, "decoded": model.decode(codes)}


def test_fusion_keeps_the_laws(items, tmp_path):
    set_seed(0)
    model = make_fusion()
    assert_save_load_is_bit_equal(model, items, tmp_path, AutoModel)
    assert_batch_equals_single(model, items, run=fuse)
    assert_sdpa_equals_eager(model, items)
    padded = {
        **items,
        "features": {
            n: torch.nn.functional.pad(f, (0, 0, 0, 3)) for n, f in items["features"].items()
        },
        "feature_mask": {
            n: torch.nn.functional.pad(m, (0, 3)) for n, m in items["feature_mask"].items()
        },
    }
    assert_padding_changes_nothing(model, items, padded, run=fuse)


@pytest.mark.parametrize("kind", ["rqvae", "residual_kmeans"])
def test_quantizers_keep_the_laws(kind, tmp_path):
    set_seed(0)
    model, inputs = make_quantizer(kind), {"embeddings": torch.randn(40, 6)}
    model.initialize(inputs["embeddings"])
    assert_save_load_is_bit_equal(model, inputs, tmp_path, AutoModel, run=quantize)
    assert_batch_equals_single(model, inputs, run=quantize)


def test_seeds_decide(items):
    embeddings = torch.randn(40, 6, generator=torch.Generator().manual_seed(2))
    assert_seeded_run_repeats(lambda: fuse(make_fusion(), items))
    assert_seeded_run_repeats(lambda: quantize(make_quantizer(), {"embeddings": embeddings}))

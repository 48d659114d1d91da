import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from stage_inputs import make_features

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.fusion.configuration_fusion import QBert4RecFusionConfig
from qbert4rec_hf.fusion.modeling_fusion import QBert4RecFusionModel
from qbert4rec_hf.training.embed_items import embed_features, fused_views


def make_model(num_items=48, modalities=None):
    torch.manual_seed(0)
    config = QBert4RecFusionConfig(
        modalities=modalities or {"text": 6, "image": 7}, num_items=num_items, hidden_size=8
    )
    return QBert4RecFusionModel(config)


def test_both_views_in_batches():
    model, features = make_model(), make_features()
    views = fused_views(model, features, batch_size=10)
    own = model.embed(*features.as_tensors(), torch.arange(48))
    shared = model.embed(*features.as_tensors())
    torch.testing.assert_close(views.own, own.fused, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(views.shared, shared.fused, atol=1e-5, rtol=1e-5)
    assert torch.equal(views.depth, own.depth)


def test_without_own_queries_both_views_are_the_shared_one():
    views = fused_views(make_model(num_items=0), make_features())
    assert torch.equal(views.own, views.shared) and views.own.shape == (48, 8)


def test_features_with_fewer_modalities_embed():
    fused, depth = embed_features(make_model(), make_features(modalities=("text",)))
    assert fused.shape == (48, 8) and depth.shape == (48,)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (make_model(num_items=47), "own queries for 47 items"),
        (make_model(modalities={"text": 6}), "modality 'image'"),
        (make_model(modalities={"text": 6, "image": 3}), "7 axes, the fusion model takes 3"),
    ],
)
def test_features_that_do_not_fit_are_named(model, reason):
    with pytest.raises(QBert4RecError, match=reason):
        embed_features(model, make_features(), own_queries=True)

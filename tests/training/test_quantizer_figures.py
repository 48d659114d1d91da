import pytest
import torch

from qbert4rec_hf.quantizer.configuration_quantizer import QBert4RecQuantizerConfig
from qbert4rec_hf.quantizer.modeling_quantizer import QBert4RecQuantizerModel
from qbert4rec_hf.training.quantizer_figures import (
    checkpoint_score,
    count_collisions,
    quantizer_figures,
    view_agreement,
)


def test_collisions_count_every_item_that_is_not_alone():
    codes = torch.tensor([[0, 1], [0, 1], [0, 2], [0, 1], [3, 3], [3, 3]])
    assert count_collisions(codes) == 5
    assert count_collisions(codes, torch.tensor([0, 1, 0, 0, 0, 1])) == 2
    assert count_collisions(codes[2:4]) == 0


def test_view_agreement_is_of_prefixes():
    first = torch.tensor([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]])
    second = torch.tensor([[1, 2, 3], [1, 2, 0], [0, 2, 3], [1, 0, 3]])
    assert view_agreement(first, second) == [0.75, 0.5, 0.25]


RULES = [("collisions+reconstruction", 1), ("collisions", 2), ("reconstruction", 0)]


@pytest.mark.parametrize(("rule", "winner"), RULES)
def test_each_rule_keeps_another_checkpoint(rule, winner):
    checkpoints = [
        {"collision_rate": 0.4, "reconstruction": 0.1},
        {"collision_rate": 0.1, "reconstruction": 0.2},
        {"collision_rate": 0.0, "reconstruction": 0.7},
        {"collision_rate": 0.0, "reconstruction": 0.8},
        {"collision_rate": 0.4, "reconstruction": float("nan")},
    ]
    scores = [checkpoint_score(rule, figures) for figures in checkpoints]
    assert min(range(5), key=scores.__getitem__) == winner
    # Equal in the first figure: the second decides.
    assert scores[2] < scores[3]


def test_figures_of_a_quantizer():
    torch.manual_seed(0)
    config = QBert4RecQuantizerConfig(
        input_size=3, codebook_size=8, num_levels=2, quantizer_type="residual_kmeans"
    )
    model = QBert4RecQuantizerModel(config)
    first = 4 * torch.randn(30, 3)
    model.initialize(first)
    figures = quantizer_figures(model.eval(), [first, first.flip(0)])
    codes = model.encode(first)[0]
    assert figures["collisions"] == count_collisions(codes)
    assert figures["collision_rate"] == figures["collisions"] / 30
    assert figures["view_agreement"] == view_agreement(codes, codes.flip(0))
    assert figures["reconstruction"] == pytest.approx(float(model(first).reconstruction_loss))
    assert len(figures["usage"]) == len(figures["perplexity"]) == 2

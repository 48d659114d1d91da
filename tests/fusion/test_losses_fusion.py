import math

import pytest
import torch

from qbert4rec_hf.fusion.losses_fusion import depth_divergence, info_nce, truncated_geometric


def test_info_nce_by_hand():
    views = torch.eye(2)
    # Cosine 1 with the own partner, 0 with the other, in both directions.
    expected = -math.log(math.e**2 / (math.e**2 + 1))
    assert info_nce(views, 3 * views, 0.5).item() == pytest.approx(expected, rel=1e-6)


def test_info_nce_is_symmetric_and_falls_when_partners_agree():
    torch.manual_seed(0)
    first, second = torch.randn(6, 4), torch.randn(6, 4)
    torch.testing.assert_close(info_nce(first, second, 0.1), info_nce(second, first, 0.1))
    assert info_nce(first, first, 0.1) < info_nce(first, second, 0.1)


@pytest.mark.parametrize("items", [0, 1])
def test_nothing_to_tell_apart_costs_nothing_and_has_a_gradient(items):
    views = torch.randn(items, 4, requires_grad=True)
    loss = info_nce(views, views, 0.1)
    loss.backward()
    assert loss.item() == 0 and not views.grad.any()


@pytest.mark.parametrize(("mean", "length"), [(1.5, 5), (2.0, 5), (3.0, 5), (4.5, 5), (1.0, 1)])
def test_truncated_geometric_has_the_mean_asked_for(mean, length):
    weights = truncated_geometric(mean, length)
    assert sum(weights) == pytest.approx(1)
    assert sum((n + 1) * w for n, w in enumerate(weights)) == pytest.approx(mean, abs=1e-3)


def test_depth_divergence_is_zero_only_for_the_wanted_population():
    weights = torch.tensor(truncated_geometric(2.0, 4), dtype=torch.float64)
    left = 1 - torch.cat([torch.zeros(1, dtype=torch.float64), weights.cumsum(0)[:-1]])
    gates = (weights / left).expand(7, -1)
    assert depth_divergence(gates, 2.0).item() == pytest.approx(0, abs=1e-6)
    assert depth_divergence(gates, 3.0) > 0.05
    # A population of decided items counts like one of undecided items.
    decided = torch.eye(2, dtype=torch.float64)
    assert depth_divergence(
        decided.clamp(max=1)[[0, 1]] + torch.tensor([[0, 1.0], [0, 0]]), 1.5
    ) < (1e-6)

from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.ranking.ranks import scale_seen, target_ranks
from qbert4rec_hf.ranking.shortlist import FirstOfModel, Shortlist

SEEN_WEIGHTS = (1.0, 0.4, 0.0)


def of_the_whole_catalogue(log_probabilities, prior, targets, histories, temperature, weight):
    probabilities = (log_probabilities / temperature).softmax(dim=1)
    mixed = torch.lerp(probabilities, prior, weight)
    mixed = mixed.masked_fill(log_probabilities == -torch.inf, -torch.inf)
    every = [target_ranks(scale_seen(mixed, histories, w), targets) for w in SEEN_WEIGHTS]
    return np.stack([target_ranks(mixed, targets, histories), *every])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_catalogue_that_fits_is_ranked_exactly(weight, temperature):
    rng = np.random.default_rng(0)
    # Few values, so that ties are frequent, and some items that are no candidates.
    logits = torch.from_numpy(rng.integers(0, 4, size=(60, 9))).float()
    logits[torch.from_numpy(rng.random((60, 9)) < 0.1)] = -torch.inf
    prior = torch.from_numpy(rng.integers(0, 3, size=(60, 9))).float() / 27
    prior = prior.masked_fill(logits == -torch.inf, 0.0)
    histories = Sequences.from_lists([rng.integers(0, 9, size=rng.integers(0, 5)) for _ in logits])
    targets = rng.integers(0, 9, size=60)
    assert any(target in history for target, history in zip(targets, histories, strict=True))
    log_probabilities = logits.log_softmax(dim=1)
    shortlist = Shortlist(FirstOfModel(log_probabilities, targets, histories), prior)
    shortlist.set_temperature(temperature)
    found = shortlist.ranks(weight, SEEN_WEIGHTS)
    expected = of_the_whole_catalogue(
        log_probabilities, prior, targets, histories, temperature, weight
    )
    np.testing.assert_array_equal(found, expected)


def test_first_ranks_of_a_larger_catalogue_are_exact():
    rng = np.random.default_rng(0)
    log_probabilities = torch.from_numpy(rng.gumbel(size=(200, 500))).float().log_softmax(dim=1)
    prior = torch.from_numpy(rng.exponential(size=(200, 500)) ** 4).float()
    prior = prior / prior.sum(dim=1, keepdim=True)
    histories = Sequences.from_lists([rng.integers(0, 500, size=6) for _ in range(200)])
    both = log_probabilities.exp() + prior
    targets = both.argsort(dim=1, descending=True)[torch.arange(200), torch.arange(200) % 15]
    shortlist = Shortlist(FirstOfModel(log_probabilities, targets, histories, 60), prior)
    arguments = (log_probabilities, prior, targets, histories)
    for temperature in (1.0, 2.0):
        shortlist.set_temperature(temperature)
        for weight in (0.0, 0.5, 1.0):
            found = shortlist.ranks(weight, SEEN_WEIGHTS)
            expected = of_the_whole_catalogue(*arguments, temperature, weight)
            small = expected <= 10
            assert small.mean() > 0.2
            np.testing.assert_array_equal(found[small], expected[small])
            assert (found[~small] > 10).all()

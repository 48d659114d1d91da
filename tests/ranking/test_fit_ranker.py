from __future__ import annotations

import numpy as np
import pytest
from tiny_sequence import make_model

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.data.split import leave_one_out
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.fit_ranker import RankingSettings, fit_ranker

SMALL = RankingSettings(regularizations=[5.0, 50.0], recencies=[0.5, 1.0], weights=[0.0, 0.5])


def split_of(lists):
    return leave_one_out(Sequences.from_lists(lists), [f"u{i}" for i in range(len(lists))])


def test_only_training_items_reach_the_graph():
    # Item 9 is a test item only, item 8 a validation item only.
    fitted = fit_ranker(make_model(), split_of([[0, 1, 2, 8, 9], [3, 1, 4, 8, 9]] * 5), SMALL)
    popularity = fitted.ranker.prior.popularity
    assert popularity[[8, 9]].tolist() == [0, 0]
    assert fitted.ranker.prior.weights[[8, 9]].nnz == 0


def test_everything_is_the_same_without_the_test_items():
    lists = [np.random.default_rng(user).permutation(10)[:6].tolist() for user in range(20)]
    other = [[*history[:-1], history[0]] for history in lists]
    first, second = (fit_ranker(make_model(), split_of(some), SMALL) for some in (lists, other))
    assert first.ranker.weights == second.ranker.weights
    assert first.graph_trials == second.graph_trials
    assert first.mixture == second.mixture


def test_without_the_prior_its_weight_is_zero():
    settings = RankingSettings(prior=False, regularizations=[5.0], recencies=[1.0])
    fitted = fit_ranker(make_model(), split_of([[0, 1, 2, 3]] * 4), settings)
    assert set(fitted.ranker.weights.values()) == {0.0}
    assert fitted.mixture is None
    assert fitted.ranker.prior.popularity.sum() == 8


def test_a_domain_that_nobody_can_be_evaluated_in():
    fitted = fit_ranker(make_model(), split_of([[0, 1], [2, 1]]), SMALL)
    assert fitted.mixture is None and fitted.graph_trials == []
    assert fitted.ranker.prior.popularity[1] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"regularizations": []},
        {"regularizations": [0.0]},
        {"recencies": [1.5]},
        {"weights": []},
        {"weights": [0.5, 2.0]},
        {"max_per_row": 0},
        {"max_users": 0},
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(wrong):
    with pytest.raises(QBert4RecError, match=next(iter(wrong))):
        RankingSettings(**wrong)

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tiny_sequence import distinct_codes, make_model

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.data.split import leave_one_out
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.fit_ranker import RankingSettings, fit_ranker
from qbert4rec_hf.ranking.ranks import UNSEEN_ITEMS

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


def test_the_re_ranker_is_fitted_to_validation_users_alone():
    # Whoever has an item takes the next one: the last item says it, and the mixture less clearly.
    starts = np.random.default_rng(0).integers(0, 20, 300)
    lists = [((start + np.arange(6)) % 20).tolist() for start in starts]
    other = [[*history[:-1], history[0]] for history in lists]

    def fitted(some, **fields):
        settings = dataclasses.replace(SMALL, **fields)
        return fit_ranker(make_model(distinct_codes(20)), split_of(some), settings)

    first, second = fitted(lists), fitted(other)
    assert first.reranking == second.reranking and first.reranking.kept
    reranker = second.ranker.reranker.state_dict()
    for name, value in first.ranker.reranker.state_dict().items():
        assert torch.equal(value, reranker[name]), name
    assert first.reranking.ndcg_before == pytest.approx(
        max(trial.ndcg for trial in first.mixture.trials if trial.protocol == UNSEEN_ITEMS)
    )
    without = fitted(lists, rerank=False)
    assert without.reranking is None and without.ranker.reranker is None
    assert without.mixture == first.mixture


def test_without_the_prior_its_weight_is_zero():
    settings = RankingSettings(prior=False, regularizations=[5.0], recencies=[1.0])
    fitted = fit_ranker(make_model(), split_of([[0, 1, 2, 3]] * 4), settings)
    assert set(fitted.ranker.weights.values()) == {0.0}
    assert fitted.mixture is None and fitted.ranker.reranker is None
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

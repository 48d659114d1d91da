from __future__ import annotations

from math import log2

import numpy as np
import pytest

from qbert4rec_hf.evaluation.metrics import hit_rate, ndcg, summarize, target_ranks

# Five users with the ranks 1, 2, 4, 10, 11.
FIVE_USERS = np.array([1, 2, 4, 10, 11])


@pytest.mark.parametrize(
    ("k", "hits", "gain"),
    [
        (1, 1, 1.0),
        (2, 2, 1 + 1 / log2(3)),
        (5, 3, 1 + 1 / log2(3) + 1 / log2(5)),
        (10, 4, 1 + 1 / log2(3) + 1 / log2(5) + 1 / log2(11)),
        (20, 5, 1 + 1 / log2(3) + 1 / log2(5) + 1 / log2(11) + 1 / log2(12)),
    ],
)
def test_five_users_by_hand(k, hits, gain):
    assert hit_rate(FIVE_USERS, k) == pytest.approx(hits / 5)
    assert ndcg(FIVE_USERS, k) == pytest.approx(gain / 5)


def test_five_users_by_hand_from_scores():
    scores = np.array(
        [
            [0.9, 0.1, 0.2, 0.3],  # target 0: first
            [0.9, 0.1, 0.2, 0.3],  # target 3: second
            [0.5, 0.5, 0.2, 0.3],  # target 0: tied with item 1, so second
            [0.7, 0.7, 0.7, 0.7],  # target 2: tied with all, so last
            [0.9, 0.1, 0.2, 0.3],  # target 1: last
        ]
    )
    ranks = target_ranks(scores, np.array([0, 3, 0, 2, 1]))
    assert ranks.tolist() == [1, 2, 2, 4, 4]
    assert summarize(ranks, ks=(1, 2)) == pytest.approx(
        {"HR@1": 0.2, "HR@2": 0.6, "NDCG@1": 0.2, "NDCG@2": (1 + 2 / log2(3)) / 5}
    )


def test_summary_holds_each_metric_at_each_cutoff():
    assert list(summarize(FIVE_USERS)) == ["HR@1", "HR@5", "HR@10", "NDCG@1", "NDCG@5", "NDCG@10"]


def test_no_users_score_zero():
    assert set(summarize(np.empty(0, dtype=np.int64)).values()) == {0.0}


def test_ndcg_at_one_is_hit_rate_at_one_and_never_above_it():
    ranks = np.random.default_rng(0).integers(1, 30, size=200)
    assert ndcg(ranks, 1) == hit_rate(ranks, 1)
    for k in (5, 10):
        assert ndcg(ranks, k) <= hit_rate(ranks, k)


def test_a_constant_score_gets_nothing():
    targets = np.random.default_rng(0).integers(0, 400, size=300)
    ranks = target_ranks(np.ones((300, 400)), targets)
    assert set(summarize(ranks).values()) == {0.0}

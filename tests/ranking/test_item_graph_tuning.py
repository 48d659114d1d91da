from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior
from qbert4rec_hf.ranking.item_graph_tuning import tune_item_graph
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, PROTOCOLS, discounted_gain, target_ranks


@pytest.fixture(scope="module")
def chain() -> tuple[Sequences, Sequences, np.ndarray]:
    """Users walk along a ring of 30 items, so only the latest item tells what comes next."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 30, size=200)
    train = Sequences.from_lists([(start + np.arange(5)) % 30 for start in starts])
    return train, train, (starts + 5) % 30


def test_the_best_setting_on_validation_is_chosen(chain):
    train, histories, targets = chain
    prior, trials = tune_item_graph(
        train, 30, histories, targets, regularizations=(1.0, 1000.0), recencies=(0.3, 1.0)
    )
    assert len(trials) == 2 * 2 * 2
    # What lies far back speaks for items long passed.
    assert prior.recency[ALL_ITEMS] == 0.3
    values: dict[float, list[float]] = {}
    for regularization in (1.0, 1000.0):
        for protocol in PROTOCOLS:
            found = [
                t.ndcg
                for t in trials
                if t.regularization == regularization and t.protocol == protocol
            ]
            values.setdefault(regularization, []).append(max(found))
    best = max(values, key=lambda regularization: np.mean(values[regularization]))
    assert prior.info["regularization"] == best


def test_a_trial_is_what_fitting_and_scoring_gives(chain):
    train, histories, targets = chain
    _, trials = tune_item_graph(
        train, 30, histories, targets, regularizations=(5.0,), recencies=(0.5,)
    )
    scores = ItemGraphPrior.fit(train, 30, regularization=5.0).score(histories, recency=0.5)
    for trial in trials:
        seen = None if trial.protocol == ALL_ITEMS else histories
        expected = discounted_gain(target_ranks(scores, targets, seen), 10).mean()
        assert trial.ndcg == pytest.approx(expected)
        assert trial.to_dict()["recency"] == 0.5


def test_a_sample_of_users_is_the_same_for_the_same_seed(chain):
    runs = [
        tune_item_graph(chain[0], 30, *chain[1:], regularizations=(5.0,), max_users=20, seed=seed)[
            1
        ]
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_no_validation_users_are_refused(chain):
    with pytest.raises(QBert4RecError, match="one target a validation history"):
        tune_item_graph(chain[0], 30, Sequences.from_lists([]), np.empty(0, dtype=int))

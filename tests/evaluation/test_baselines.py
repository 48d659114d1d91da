from __future__ import annotations

import numpy as np

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.evaluation.baselines import (
    baseline_scorers,
    item_graph_scorer,
    popularity_scorer,
)
from qbert4rec_hf.evaluation.evaluator import evaluate_systems
from qbert4rec_hf.evaluation.metrics import ALL_ITEMS, UNSEEN_ITEMS
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior


def test_popularity_counts_training_interactions():
    score = popularity_scorer(Sequences.from_lists([[0, 2], [2, 2]]), 4)
    assert score(Sequences.from_lists([[1], []])).tolist() == [[1, 0, 3, 0]] * 2


def test_item_graph_uses_the_recency_of_each_protocol(shop):
    prior = ItemGraphPrior.fit(
        shop.train, shop.num_items, recency={ALL_ITEMS: 0.5, UNSEEN_ITEMS: 1.0}
    )
    scores = item_graph_scorer(prior)(shop.histories)
    for protocol in (ALL_ITEMS, UNSEEN_ITEMS):
        np.testing.assert_array_equal(
            scores[protocol], prior.score(shop.histories, protocol=protocol)
        )
    assert not np.array_equal(scores[ALL_ITEMS], scores[UNSEEN_ITEMS])


def test_a_graph_that_is_mixed_into_a_model_is_judged_by_its_own_recency(shop, tmp_path):
    tuned = ItemGraphPrior.fit(shop.train, shop.num_items, recency=0.5)
    mixed = tuned.with_recency(1.0).with_recency(0.9)
    mixed.save(tmp_path / "graph")
    alone = item_graph_scorer(tuned)(shop.histories)
    for prior in (mixed, ItemGraphPrior.load(tmp_path / "graph")):
        scores = item_graph_scorer(prior)(shop.histories)
        for protocol in (ALL_ITEMS, UNSEEN_ITEMS):
            np.testing.assert_array_equal(scores[protocol], alone[protocol])
            # What the mixture uses is another one.
            assert not np.array_equal(scores[protocol], prior.score(shop.histories))


def test_both_baselines_by_name(shop):
    prior = ItemGraphPrior.fit(shop.train, shop.num_items, regularization=5)
    systems = baseline_scorers(shop.train, shop.num_items, prior)
    popularity, graph = evaluate_systems(systems, shop.histories, shop.targets, **shop.arguments())
    assert (popularity.name, graph.name) == ("Popularity", "EASE")
    # Users keep to one of two tastes, which popularity cannot know.
    assert graph.metric() > popularity.metric()
    assert list(baseline_scorers(shop.train, shop.num_items)) == ["Popularity", "EASE"]

from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.evaluation.evaluator import evaluate_ranker, evaluate_systems
from qbert4rec_hf.evaluation.metrics import ALL_ITEMS, UNSEEN_ITEMS, summarize, target_ranks
from qbert4rec_hf.ranking.top_k import top_k


def scorer(num_items: int):
    """A scorer that depends on the history alone."""
    table = np.random.default_rng(5).random((num_items, num_items)).astype(np.float32)

    def score(histories: Sequences) -> np.ndarray:
        return np.stack([table[items].sum(axis=0) for items in histories])

    return score


def test_figures_are_those_of_all_users_at_once(shop):
    score = scorer(shop.num_items)
    found = evaluate_ranker(score, shop.histories, shop.targets, batch_size=7, **shop.arguments())
    scores = score(shop.histories)
    for protocol, seen in ((ALL_ITEMS, None), (UNSEEN_ITEMS, shop.histories)):
        ranks = target_ranks(scores, shop.targets, seen)
        np.testing.assert_array_equal(found.protocols[protocol].ranks, ranks)
        assert found.protocols[protocol].metrics == summarize(ranks)
        best, _ = top_k(scores, 10, exclude=seen)
        assert found.protocols[protocol].coverage == len(best.unique()) / shop.num_items


def test_a_hit_is_an_item_that_would_be_recommended(shop):
    score = scorer(shop.num_items)
    found = evaluate_ranker(score, shop.histories, shop.targets, **shop.arguments())
    for protocol, seen in ((ALL_ITEMS, None), (UNSEEN_ITEMS, shop.histories)):
        best, _ = top_k(score(shop.histories), 10, exclude=seen)
        hits = [target in items for target, items in zip(shop.targets, best.tolist(), strict=True)]
        assert found.protocols[protocol].metrics["HR@10"] == np.mean(hits)


def test_counts_and_buckets_add_up(shop):
    found = evaluate_ranker(
        scorer(shop.num_items), shop.histories, shop.targets, **shop.arguments()
    )
    again = [t in h for t, h in zip(shop.targets, shop.histories, strict=True)]
    assert 0 < sum(again) == found.num_seen_targets
    assert found.num_users == 60
    popularity = np.bincount(shop.train.items, minlength=shop.num_items)[shop.targets]
    assert found.num_cold_targets == (popularity == 0).sum()
    for of_protocol in found.protocols.values():
        for buckets in (of_protocol.by_popularity, of_protocol.by_history_length):
            assert sum(bucket.users for bucket in buckets) == 60
            mean = sum(bucket.users * bucket.metrics["NDCG@10"] for bucket in buckets) / 60
            assert mean == pytest.approx(of_protocol.metrics["NDCG@10"])


def test_a_target_bought_before_counts_only_where_seen_items_stay(shop):
    def knows_all(histories: Sequences) -> torch.Tensor:
        scores = torch.zeros(len(histories), shop.num_items)
        scores[torch.arange(len(histories)), torch.from_numpy(shop.targets)] = 1.0
        return scores

    found = evaluate_ranker(
        knows_all, shop.histories, shop.targets, batch_size=60, **shop.arguments()
    )
    assert found.metric("HR@1") == 1.0
    assert found.metric("HR@10", UNSEEN_ITEMS) == 1 - found.num_seen_targets / 60


def test_each_protocol_may_have_scores_of_its_own(shop):
    left, right = scorer(shop.num_items), scorer(shop.num_items)

    def score(histories: Sequences) -> dict[str, np.ndarray]:
        return {ALL_ITEMS: left(histories), UNSEEN_ITEMS: -right(histories)}

    both = evaluate_ranker(score, shop.histories, shop.targets, **shop.arguments())
    one = evaluate_ranker(left, shop.histories, shop.targets, **shop.arguments())
    other = evaluate_ranker(lambda h: -right(h), shop.histories, shop.targets, **shop.arguments())
    assert both.protocols[ALL_ITEMS].metrics == one.protocols[ALL_ITEMS].metrics
    assert both.protocols[UNSEEN_ITEMS].metrics == other.protocols[UNSEEN_ITEMS].metrics


def test_metrics_do_not_change_with_the_numbering_of_items(shop):
    score = scorer(shop.num_items)
    new_row = np.random.default_rng(9).permutation(shop.num_items)
    old_row = np.argsort(new_row)

    def renumbered(histories: Sequences) -> np.ndarray:
        return score(Sequences(old_row[histories.items], histories.offsets))[:, old_row]

    def move(sequences: Sequences) -> Sequences:
        return Sequences(new_row[sequences.items], sequences.offsets)

    before = evaluate_ranker(score, shop.histories, shop.targets, **shop.arguments())
    after = evaluate_ranker(
        renumbered,
        move(shop.histories),
        new_row[shop.targets],
        train=move(shop.train),
        num_items=shop.num_items,
    )
    for protocol in (ALL_ITEMS, UNSEEN_ITEMS):
        left, right = before.protocols[protocol], after.protocols[protocol]
        assert left.metrics == right.metrics
        assert left.coverage == right.coverage
        assert left.by_popularity == right.by_popularity


def test_one_id_for_all_items_scores_no_better_than_chance(shop):
    # All items share one semantic ID, so a model cannot tell them apart.
    found = evaluate_ranker(
        lambda histories: np.full((len(histories), shop.num_items), -2.5),
        shop.histories,
        shop.targets,
        **shop.arguments(),
    )
    assert found.metric("HR@10") <= 10 / shop.num_items
    # Small noise, as floating point leaves it, must not turn that into hits either.
    rng = np.random.default_rng(0)
    users = 4000
    histories = Sequences.from_lists([[0]] * users)
    noisy = evaluate_ranker(
        lambda batch: -2.5 + 1e-7 * rng.random((len(batch), 200)),
        histories,
        rng.integers(1, 200, size=users),
        train=histories,
        num_items=200,
    )
    assert noisy.metric("HR@10") == pytest.approx(10 / 200, abs=0.02)


def test_only_ranks_are_kept(shop):
    alive: list = []

    class Watched(np.ndarray):
        def __del__(self):
            alive.remove(id(self))

    def score(histories: Sequences) -> np.ndarray:
        scores = np.zeros((len(histories), shop.num_items)).view(Watched)
        alive.append(id(scores))
        assert len(alive) <= 2  # this batch and at most the one before
        return scores

    evaluate_ranker(score, shop.histories, shop.targets, batch_size=5, **shop.arguments())


def test_systems_are_evaluated_under_their_names(shop):
    systems = {"a": scorer(shop.num_items), "b": lambda h: np.zeros((len(h), shop.num_items))}
    found = evaluate_systems(
        systems, shop.histories, shop.targets, split="validation", **shop.arguments()
    )
    assert [(result.name, result.split) for result in found] == [
        ("a", "validation"),
        ("b", "validation"),
    ]
    assert found[0].metric() > found[1].metric() == 0


def test_no_users_give_an_empty_result(shop):
    found = evaluate_ranker(
        scorer(shop.num_items),
        Sequences.from_lists([]),
        np.empty(0, dtype=int),
        **shop.arguments(),
    )
    assert (found.num_users, found.metric()) == (0, 0.0)


def test_what_does_not_fit_is_named(shop):
    with pytest.raises(QBert4RecError, match="60 histories and 3 targets"):
        evaluate_ranker(
            scorer(shop.num_items), shop.histories, shop.targets[:3], **shop.arguments()
        )
    with pytest.raises(QBert4RecError, match=r"wide gave scores of shape \(60, 9\)"):
        evaluate_ranker(
            lambda h: np.zeros((len(h), 9)),
            shop.histories,
            shop.targets,
            name="wide",
            **shop.arguments(),
        )
    with pytest.raises(QBert4RecError, match="none for unseen_items"):
        evaluate_ranker(
            lambda h: {ALL_ITEMS: np.zeros((len(h), 45))},
            shop.histories,
            shop.targets,
            **shop.arguments(),
        )
    with pytest.raises(QBert4RecError, match="batch_size"):
        evaluate_ranker(scorer(45), shop.histories, shop.targets, batch_size=0, **shop.arguments())

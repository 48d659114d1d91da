from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_sequence import distinct_codes, make_model

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.ranking.fit_reranker import MIN_USERS, fit_reranker
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior
from qbert4rec_hf.ranking.ranker import Ranker
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, UNSEEN_ITEMS, discounted_gain, target_ranks

NUM_ITEMS = 20


def histories_with_a_rule(count: int, seed: int) -> Sequences:
    """After item i comes i + 1, whatever was before: known to the last item, not to the mixture."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        start = rng.choice(NUM_ITEMS - 1, rng.integers(1, 4), replace=False)
        found.append([item for first in start for item in (first, first + 1)])
    return Sequences.from_lists(found)


@pytest.fixture
def ranker() -> Ranker:
    prior = ItemGraphPrior.fit(histories_with_a_rule(200, seed=0), NUM_ITEMS, recency=1.0)
    model = make_model(distinct_codes(NUM_ITEMS))
    return Ranker(model, prior, {ALL_ITEMS: 0.5, UNSEEN_ITEMS: 0.5})


def ndcg(ranker: Ranker, histories: Sequences, targets: np.ndarray) -> float:
    scores = ranker.scores(histories, UNSEEN_ITEMS)
    return discounted_gain(target_ranks(scores, targets, histories), 10).mean()


def fresh_users(seed: int, count: int = 400) -> tuple[Sequences, np.ndarray]:
    whole = histories_with_a_rule(count, seed)
    targets = np.array([history[-1] for history in whole])
    histories = whole.drop_last(1)
    new = [target not in history for history, target in zip(histories, targets, strict=True)]
    return histories.take(np.array(new)), targets[new]


def test_it_learns_what_the_mixture_cannot_say(ranker):
    histories, targets = fresh_users(seed=1)
    reranker, trial = fit_reranker(ranker, histories, targets)
    assert trial.kept
    assert trial.users == len(targets)
    assert trial.in_shortlist == 1.0
    assert trial.ndcg_before == pytest.approx(ndcg(ranker, histories, targets), abs=1e-6)
    others = fresh_users(seed=2)
    better = ndcg(ranker.with_reranker(reranker), *others)
    assert better > ndcg(ranker, *others) + 0.05
    # What the folds said of users that no network had seen holds for others too.
    assert better == pytest.approx(trial.ndcg, abs=0.05)


def test_noise_is_not_kept(ranker):
    """Targets drawn at random: fitted to them it looks better, on others it is not."""
    rng = np.random.default_rng(3)
    histories = Sequences.from_lists([rng.permutation(NUM_ITEMS)[:3] for _ in range(300)])
    targets = np.array([rng.choice(np.setdiff1d(np.arange(NUM_ITEMS), row)) for row in histories])
    train = Sequences.from_lists([rng.permutation(NUM_ITEMS)[:4] for _ in range(100)])
    prior = ItemGraphPrior.fit(train, NUM_ITEMS)
    ranker = Ranker(ranker.model, prior, {ALL_ITEMS: 0.5, UNSEEN_ITEMS: 0.5})
    reranker, trial = fit_reranker(ranker, histories, targets)
    assert not trial.kept
    assert reranker is None


def test_too_few_users_are_no_reason_to_stop(ranker):
    histories, targets = fresh_users(seed=1, count=MIN_USERS - 1)
    assert fit_reranker(ranker, histories, targets) == (None, None)
    nobody = Sequences.from_lists([])
    assert fit_reranker(ranker, nobody, np.empty(0, np.int64)) == (None, None)
    empty = Sequences.from_lists([[]] * 30)
    assert fit_reranker(ranker, empty, np.zeros(30, np.int64)) == (None, None)


def test_the_same_seed_gives_the_same_network_and_leaves_others_draws_alone(ranker):
    histories, targets = fresh_users(seed=1)
    state = torch.get_rng_state()
    first, trial = fit_reranker(ranker, histories, targets, max_users=150)
    assert torch.equal(torch.get_rng_state(), state)
    assert trial.users == 150
    again, _ = fit_reranker(ranker, histories, targets, max_users=150)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name

from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.mixture import choose_mixture, mix, prior_distribution
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, PROTOCOLS, UNSEEN_ITEMS, target_ranks


def test_prior_becomes_a_distribution_without_negatives():
    found = prior_distribution(np.array([[0.3, -0.2, 0.1], [-1.0, 0.0, -3.0]]))
    np.testing.assert_allclose(found, [[0.75, 0.0, 0.25], [0.0, 0.0, 0.0]])


def test_mixture_is_linear_in_probabilities():
    logits = torch.tensor([[0.0, 1.0, 2.0]])
    prior = np.array([[3.0, 1.0, -1.0]], dtype=np.float32)
    expected = 0.7 * torch.softmax(logits, 1) + 0.3 * torch.tensor([[0.75, 0.25, 0.0]])
    torch.testing.assert_close(mix(logits, prior, 0.3), expected)
    # Normalised log-probabilities and plain logits say the same.
    torch.testing.assert_close(mix(torch.log_softmax(logits, 1), prior, 0.3), expected)
    torch.testing.assert_close(mix(logits, prior, 0.3).sum(), torch.tensor(1.0))


def test_ends_of_the_scale_are_model_and_prior():
    rng = np.random.default_rng(0)
    logits, prior = rng.normal(size=(8, 20)), rng.random((8, 20)).astype(np.float32)
    targets = rng.integers(0, 20, size=8)
    np.testing.assert_array_equal(
        target_ranks(mix(logits, prior, 0.0), targets), target_ranks(logits, targets)
    )
    np.testing.assert_array_equal(
        target_ranks(mix(logits, prior, 1.0), targets), target_ranks(prior, targets)
    )


def test_items_of_other_domains_stay_out():
    mixed = mix(torch.tensor([[0.0, -torch.inf]]), np.array([[0.1, 0.9]]), 1.0)
    assert mixed[0, 1] == -torch.inf


def test_a_prior_without_opinion_keeps_the_model_order():
    logits = torch.tensor([[0.0, 2.0, 1.0]])
    assert mix(logits, np.zeros((1, 3)), 0.9).argsort(descending=True).tolist() == [[1, 2, 0]]


def batches_of(logits, prior, targets, histories, size=5):
    for start in range(0, len(targets), size):
        rows = np.arange(start, min(start + size, len(targets)))
        yield (
            torch.from_numpy(logits[rows]),
            {1.0: prior[rows]},
            targets[rows],
            histories.take(rows),
        )


def curve(choice, protocol):
    """NDCG by weight, seen items and probabilities as they are."""
    return {
        trial.weight: trial.ndcg
        for trial in choice.trials
        if trial.protocol == protocol and trial.seen_weight == trial.temperature == 1.0
    }


def test_recency_is_chosen_with_the_weight():
    targets = np.array([3, 4])
    knowing, misled = np.zeros((2, 6), np.float32), np.ones((2, 6), np.float32)
    knowing[[0, 1], targets] = 1.0
    histories = Sequences.from_lists([[0], [1]])
    batch = (torch.zeros(2, 6), {0.4: misled, 0.9: knowing}, targets, histories)
    choice = choose_mixture([batch])
    assert choice.recencies == {ALL_ITEMS: 0.9, UNSEEN_ITEMS: 0.9}
    assert max(choice.trials, key=lambda trial: trial.ndcg).ndcg == pytest.approx(1.0)


def test_a_model_that_is_too_sure_is_cooled_down():
    # The model is certain of something wrong and puts the target second; the prior halts between
    # the target and a third item. Made too unsure, the model forgets which of these it prefers.
    logits = np.array([[6.0, 4.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    prior = np.array([[0.0, 1.0, 1.001, 0.0, 0.0]], dtype=np.float32)
    histories = Sequences.from_lists([[4]])
    batches = list(batches_of(logits, prior, np.array([1]), histories))
    alone = choose_mixture(batches, weights=(0.5,), temperatures=(1.0,))
    assert max(trial.ndcg for trial in alone.trials) < 1
    choice = choose_mixture(batches, weights=(0.5,), temperatures=(1.0, 3.0, 1e5))
    assert choice.temperature == 3.0
    best = [t for t in choice.trials if t.protocol == UNSEEN_ITEMS and t.temperature == 3.0]
    assert best[0].ndcg == pytest.approx(1.0)


def test_weight_goes_to_the_part_that_knows_the_targets():
    rng = np.random.default_rng(0)
    targets = rng.integers(1, 30, size=23)
    noise = rng.random((23, 30)).astype(np.float32)
    knowing = np.zeros((23, 30), dtype=np.float32)
    knowing[np.arange(23), targets] = 5.0
    histories = Sequences.from_lists([[0]] * 23)
    choice = choose_mixture(batches_of(noise, knowing, targets, histories))
    assert all(choice.weights[protocol] > 0 for protocol in PROTOCOLS)
    assert curve(choice, ALL_ITEMS)[choice.weights[ALL_ITEMS]] == pytest.approx(1.0)
    choice = choose_mixture(batches_of(knowing, noise, targets, histories))
    # Of equally good weights the smaller one: the model needs no help here.
    assert choice.weights == {ALL_ITEMS: 0.0, UNSEEN_ITEMS: 0.0}


def test_protocols_are_chosen_apart():
    # The prior insists on the item already bought; the model puts the target third.
    histories = Sequences.from_lists([[0]])
    logits = np.array([[0.0, 1.2, 0.8, 1.0]], dtype=np.float32)
    prior = np.array([[9.0, 0.0, 1.0, 0.0]], dtype=np.float32)
    choice = choose_mixture(batches_of(logits, prior, np.array([2]), histories), weights=(0.0, 1.0))
    curves = {protocol: curve(choice, protocol) for protocol in PROTOCOLS}
    assert curves[UNSEEN_ITEMS] == {0.0: 0.5, 1.0: 1.0}
    assert curves[ALL_ITEMS] == {0.0: 0.5, 1.0: pytest.approx(1 / np.log2(3))}


@pytest.mark.parametrize(("repeats", "expected"), [(False, 0.0), (True, 1.0)])
def test_seen_items_weigh_what_validation_says(repeats, expected):
    rng = np.random.default_rng(0)
    histories = Sequences.from_lists([rng.permutation(30)[:3] for _ in range(60)])
    scores = rng.random((60, 30)).astype(np.float32)
    # The model believes in the item just bought; what follows is that one again, or a runner-up.
    last = np.array([history[-1] for history in histories])
    other = np.array([np.setdiff1d(np.arange(30), history)[0] for history in histories])
    scores[np.arange(60), last], scores[np.arange(60), other] = 9.0, 5.0
    targets = last if repeats else other
    batches = batches_of(scores, np.zeros_like(scores), targets, histories)
    choice = choose_mixture(batches, weights=(0.0,), seen_weights=(1.0, 0.0))
    assert choice.seen_weight == expected
    best = max(trial.ndcg for trial in choice.trials if trial.protocol == ALL_ITEMS)
    assert best == pytest.approx(1.0)


def test_seen_items_stay_as_they_are_where_another_weight_is_better_by_chance_only():
    # Two targets lose a place to a seen item, and one user takes a seen item again.
    histories = Sequences.from_lists([[0]] * 50)
    scores = np.tile(np.array([1.0, 4.0, 0.5, 0.0], dtype=np.float32), (50, 1))
    scores[:2, 0], scores[2, 0], targets = 9.0, 3.0, np.full(50, 1)
    targets[2] = 0
    batches = list(batches_of(scores, np.zeros_like(scores), targets, histories, size=50))
    choice = choose_mixture(batches, weights=(0.0,), temperatures=(1.0,))
    ndcg = {t.seen_weight: t.ndcg for t in choice.trials if t.protocol == ALL_ITEMS}
    assert max(ndcg, key=ndcg.get) < 1.0 and choice.seen_weight == 1.0


def test_bad_arguments_are_named():
    with pytest.raises(QBert4RecError, match="from 0 to 1, got 1.5"):
        mix(np.zeros((1, 2)), np.zeros((1, 2)), 1.5)
    with pytest.raises(QBert4RecError, match="differ in shape: \\(1, 2\\) and \\(1, 3\\)"):
        mix(np.zeros((1, 2)), np.zeros((1, 3)), 0.5)
    with pytest.raises(QBert4RecError, match="no validation users"):
        choose_mixture([])
    with pytest.raises(QBert4RecError, match="^weights holds nothing"):
        choose_mixture([], weights=())
    with pytest.raises(QBert4RecError, match="^seen_weights holds nothing"):
        choose_mixture([], seen_weights=())
    with pytest.raises(QBert4RecError, match="^temperatures holds nothing"):
        choose_mixture([], temperatures=())

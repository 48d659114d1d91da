from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_sequence import distinct_codes, make_model, tokens_of

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior
from qbert4rec_hf.ranking.mixture import mix
from qbert4rec_hf.ranking.ranker import Ranker
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, PROTOCOLS, UNSEEN_ITEMS


def test_log_probabilities_are_those_of_the_model(histories):
    model = make_model()
    ranker = Ranker(model)
    for history in list(histories)[:5]:
        expected = model.score_items(tokens_of(model, [history.tolist()[-6:]]))
        found = ranker.log_probabilities(Sequences.from_lists([history]))
        torch.testing.assert_close(found, expected)


def test_batch_equals_single(histories):
    ranker = Ranker(make_model())
    together = ranker.scores(histories)
    for row, history in enumerate(histories):
        alone = ranker.scores(Sequences.from_lists([history]))
        torch.testing.assert_close(together[row], alone[0])


def test_scores_are_the_mixture_of_each_protocol(histories):
    model = make_model()
    prior = ItemGraphPrior.fit(
        histories, 10, regularization=5.0, recency={ALL_ITEMS: 0.5, UNSEEN_ITEMS: 1.0}
    )
    weights = {ALL_ITEMS: 0.3, UNSEEN_ITEMS: 0.8}
    ranker = Ranker(model, prior, weights)
    found = ranker.scores_by_protocol(histories)
    for protocol in PROTOCOLS:
        expected = mix(
            ranker.log_probabilities(histories),
            prior.score(histories, protocol=protocol),
            weights[protocol],
        )
        torch.testing.assert_close(found[protocol], expected)
        torch.testing.assert_close(ranker.scores(histories, protocol), expected)
        torch.testing.assert_close(found[protocol].sum(dim=1), torch.ones(len(histories)))


@pytest.mark.parametrize("recency", [0.5, {ALL_ITEMS: 0.5, UNSEEN_ITEMS: 0.9}])
def test_protocols_that_mix_alike_share_the_mixture(histories, recency, monkeypatch):
    prior = ItemGraphPrior.fit(histories, 10, regularization=5.0, recency=recency)
    ranker = Ranker(make_model(), prior, dict.fromkeys(PROTOCOLS, 0.4), seen_weight=0.1)
    expected = {protocol: ranker.scores(histories, protocol) for protocol in PROTOCOLS}
    asked = []
    score = ItemGraphPrior.score

    def counted(self, *arguments, **named):
        asked.append(named)
        return score(self, *arguments, **named)

    monkeypatch.setattr(ItemGraphPrior, "score", counted)
    found = ranker.scores_by_protocol(histories)
    assert len(asked) == (1 if recency == 0.5 else 2)
    for protocol in PROTOCOLS:
        assert torch.equal(found[protocol], expected[protocol])
    assert not torch.equal(found[ALL_ITEMS], found[UNSEEN_ITEMS])


def test_an_empty_history_gets_popular_items(histories):
    prior = ItemGraphPrior.fit(histories, 10)
    ranker = Ranker(make_model(), prior)
    scores = ranker.scores(Sequences.from_lists([[], [1, 2]]))
    assert int(scores[0].argmax()) == int(np.argmax(prior.popularity))
    assert (scores[0] > 0).all()
    torch.testing.assert_close(scores[1:], ranker.scores(Sequences.from_lists([[1, 2]])))


def test_a_domain_is_scored_by_its_own_numbers():
    codes = torch.cat([distinct_codes(4), distinct_codes(6, seed=1)])
    model = make_model(codes, num_items=[4, 6])
    ranker = Ranker(model, domain=1)
    found = ranker.log_probabilities(Sequences.from_lists([[0, 5]]))
    expected = model.score_items(tokens_of(model, [[4, 9]]), domain_ids=torch.tensor([1]))
    assert found.shape == (1, 6)
    torch.testing.assert_close(found, expected[:, 4:])


def test_weights_are_chosen_and_kept(histories):
    ranker = Ranker(make_model(), ItemGraphPrior.fit(histories, 10))
    targets = np.array([history[-1] for history in histories])
    choice = ranker.choose_mixture(
        histories.drop_last(1),
        targets,
        weights=(0.0, 0.5),
        seen_weights=(1.0, 0.0),
        temperatures=(1.0, 1.5, 3.0),
        recencies=(0.4, 1.0),
    )
    assert ranker.weights == choice.weights
    assert ranker.prior.recency == choice.recencies
    assert ranker.seen_weight == choice.seen_weight
    assert ranker.model.config.ranking_temperature == choice.temperature
    # Of each weight, recency and temperature: everything ranked at two weights of seen items, and
    # unseen ones.
    assert len(choice.trials) == 2 * 2 * 3 * (2 + 1)


def test_parts_that_do_not_fit_are_named(histories):
    with pytest.raises(QBert4RecError, match="no domain 1"):
        Ranker(make_model(), domain=1)
    with pytest.raises(QBert4RecError, match="covers 12 items, the catalogue has 10"):
        Ranker(make_model(), ItemGraphPrior.fit(histories, 12))
    with pytest.raises(QBert4RecError, match="no item graph"):
        Ranker(make_model()).choose_mixture(histories, np.zeros(len(histories), int))

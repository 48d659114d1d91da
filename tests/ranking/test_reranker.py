from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tiny_sequence import distinct_codes, make_model

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior
from qbert4rec_hf.ranking.new_items import NewItems
from qbert4rec_hf.ranking.ranker import Ranker
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, UNSEEN_ITEMS
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.ranking.reranker import FEATURES, Reranker, shortlist_features


def random_reranker(length: int = 6) -> Reranker:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Reranker(hidden_size=8, length=length)
        made.mean.normal_()
        made.scale.uniform_(0.5, 2.0)
    return made.eval()


@pytest.fixture
def ranker(histories) -> Ranker:
    prior = ItemGraphPrior.fit(histories, 10, regularization=5.0, recency=0.8)
    weights = {ALL_ITEMS: 0.4, UNSEEN_ITEMS: 0.6}
    return Ranker(make_model(), prior, weights, seen_weight=0.3, reranker=random_reranker())


@pytest.mark.parametrize("protocol", [ALL_ITEMS, UNSEEN_ITEMS])
def test_only_the_first_unseen_items_change_and_their_sum_does_not(ranker, histories, protocol):
    before = ranker.with_reranker(None).scores(histories, protocol)
    after = ranker.scores(histories, protocol)
    assert not torch.equal(before, after)
    for row, history in enumerate(histories):
        unseen = np.setdiff1d(np.arange(10), history)
        first = unseen[before[row, unseen].argsort(descending=True)[:6].numpy()]
        rest = np.setdiff1d(np.arange(10), first)
        assert torch.equal(before[row, rest], after[row, rest])
        torch.testing.assert_close(before[row, first].sum(), after[row, first].sum())


def test_the_order_of_the_first_is_that_of_the_logits(ranker, histories):
    reranker = ranker.reranker
    scores, evidence = ranker.mixture(histories, UNSEEN_ITEMS, reranker)
    first, items = reranker.first_unseen(scores, histories)
    logits = reranker(shortlist_features(evidence, items, first > -torch.inf))
    after = ranker.scores(histories, UNSEEN_ITEMS).gather(1, items)
    for row, history in enumerate(histories):
        count = min(6, 10 - len(set(history.tolist())))
        expected = logits[row, :count].argsort(descending=True)
        assert torch.equal(after[row, :count].argsort(descending=True), expected)


def test_a_history_is_ranked_alike_alone_and_in_a_batch(ranker, histories):
    together = ranker.scores(histories, UNSEEN_ITEMS)
    for row, history in enumerate(histories):
        alone = ranker.scores(Sequences.from_lists([history]), UNSEEN_ITEMS)
        torch.testing.assert_close(together[row], alone[0])


def test_an_empty_history_and_one_of_the_whole_catalogue(ranker):
    everything = Sequences.from_lists([[], list(range(10))])
    before = ranker.with_reranker(None).scores(everything, ALL_ITEMS)
    torch.testing.assert_close(ranker.scores(everything, ALL_ITEMS), before)


def test_features_are_what_their_names_say(ranker, histories):
    scores, evidence = ranker.mixture(histories, UNSEEN_ITEMS, ranker.reranker)
    first, items = ranker.reranker.first_unseen(scores, histories)
    features = shortlist_features(evidence, items, first > -torch.inf)
    assert features.shape == (len(histories), 6, len(FEATURES))
    of = {name: features[..., place].numpy() for place, name in enumerate(FEATURES)}
    model = ranker.log_probabilities(histories)
    for row, history in enumerate(histories):
        chosen = items[row].numpy()
        popularity = np.log1p(ranker.prior.popularity[chosen])
        np.testing.assert_allclose(of["popularity"][row], popularity, rtol=1e-5)
        np.testing.assert_allclose(of["history_length"][row], np.log(len(history)), rtol=1e-5)
        np.testing.assert_allclose(of["model"][row], model[row, chosen], rtol=1e-5)
        counted = (first[row] > -torch.inf).numpy()
        larger = (model[row, chosen][None, counted] > model[row, chosen][:, None] + 1e-3).sum(1)
        found = of["model_rank"][row]
        np.testing.assert_allclose(found[counted], np.log1p(larger)[counted], rtol=1e-5)
        graph = np.maximum(ranker.prior.score(Sequences.from_lists([history[-1:]]))[0], 0)
        np.testing.assert_allclose(
            of["graph_of_last"][row], np.log(graph[chosen] + 1e-3), rtol=1e-4, atol=1e-5
        )


def test_a_new_item_has_the_evidence_of_its_neighbours(ranker, histories):
    new = NewItems.from_lists([10, 11], [[2], [3, 4]])
    grown = Ranker(
        make_model(distinct_codes(12)),
        ranker.prior.extended(2),
        ranker.weights,
        new_items=new,
        reranker=ranker.reranker,
    )
    _, evidence = grown.mixture(histories, UNSEEN_ITEMS, grown.reranker)
    for values in (evidence.log_probabilities.exp(), evidence.graph, evidence.graph_of_last):
        torch.testing.assert_close(values[:, 10], values[:, 2])
        torch.testing.assert_close(values[:, 11], values[:, [3, 4]].mean(dim=1))
    torch.testing.assert_close(evidence.popularity[10], evidence.popularity[2])


def test_new_items_with_the_same_neighbours_stand_alike_alone_and_in_a_batch(ranker, histories):
    new = NewItems.from_lists([10, 11, 12], [[2, 5, 7]] * 3)
    model = make_model(distinct_codes(13))
    reranker = random_reranker(length=13)
    grown = Ranker(
        model, ranker.prior.extended(3), ranker.weights, new_items=new, reranker=reranker
    )
    together = grown.scores(histories, UNSEEN_ITEMS)
    for row, history in enumerate(histories):
        alone = grown.scores(Sequences.from_lists([history]), UNSEEN_ITEMS)[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(alone[10:11].expand(3), alone[10:13], rtol=1e-4, atol=1e-6)


def test_saved_and_loaded_it_is_the_same(ranker, histories, tmp_path):
    ranker.reranker.save(tmp_path / "reranker")
    loaded = ranker.with_reranker(Reranker.load(tmp_path / "reranker"))
    assert torch.equal(loaded.scores(histories), ranker.scores(histories))


def test_it_travels_with_a_recommender(recommender, histories, tmp_path):
    recommender.ranker = recommender.ranker.with_reranker(random_reranker())
    loaded = Recommender.from_pretrained(recommender.save_pretrained(tmp_path / "model"))
    history = ["item-1", "item-4"]
    assert loaded.recommend(history) == recommender.recommend(history)
    recommender.ranker = recommender.ranker.with_reranker(None)
    assert [found.score for found in loaded.recommend(history)] != [
        found.score for found in recommender.recommend(history)
    ]
    loaded.add_items([{"item_id": "new", "title": "red tent"}])
    assert len(loaded.recommend(history, top_k=20)) == 9


def test_an_explanation_adds_up(recommender, histories):
    recommender.ranker = recommender.ranker.with_reranker(random_reranker())
    history = ["item-1", "item-4"]
    for place, found in enumerate(recommender.recommend(history), 1):
        why = recommender.explain(history, found.item_id)
        assert why.rank == place
        assert why.score == pytest.approx(found.score, rel=1e-4)
        assert why.from_model + why.from_graph == pytest.approx(why.score)
        assert why.from_model > 0


def test_parts_that_do_not_fit_are_named(ranker, histories, tmp_path):
    with pytest.raises(QBert4RecError, match="needs an item graph"):
        Ranker(make_model(), reranker=random_reranker())
    folder = tmp_path / "reranker"
    ranker.reranker.save(folder)
    info = json.loads((folder / "reranker.json").read_text())
    (folder / "reranker.json").write_text(json.dumps({**info, "hidden_size": 9}))
    with pytest.raises(QBert4RecError, match="damaged or does not fit"):
        Reranker.load(folder)
    (folder / "reranker.json").write_text(json.dumps({**info, "format_version": 99}))
    with pytest.raises(QBert4RecError, match="not a re-ranker of format 1"):
        Reranker.load(folder)
    (folder / "reranker.json").write_text(json.dumps(info))
    (folder / "reranker.safetensors").unlink()
    with pytest.raises(QBert4RecError, match="does not exist"):
        Reranker.load(folder)

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_sequence import SIZES, distinct_codes, make_model

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.ranking.item_coder import ItemCoder
from qbert4rec_hf.ranking.ranks import PROTOCOLS, UNSEEN_ITEMS
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog

LAMP = {"item_id": "new-1", "title": "red lamp", "text": ["a rope for boot"]}
TWIN = {"item_id": "new-2", "title": "red lamp", "text": "a rope for boot"}


def ids(found):
    return [item.item_id for item in found]


def scores_of(recommender, history, protocol):
    rows = Sequences.from_lists([recommender.items.rows(history)])
    scores = recommender.ranker.scores(rows, protocol)[0]
    return dict(zip(recommender.items.item_ids, scores.tolist(), strict=True))


def test_added_items_get_ids_and_change_no_other(recommender):
    before = {i: recommender.catalog.encode(i) for i in recommender.items.item_ids}
    old_bias = recommender.model.item_bias.detach().clone()
    found = recommender.add_items([LAMP, TWIN])
    assert len(set(found) | set(before.values())) == 12
    assert {i: recommender.catalog.encode(i) for i in before} == before
    torch.testing.assert_close(recommender.model.item_bias[:10], old_bias)
    assert recommender.model.item_bias[10:].abs().sum() == 0
    every = recommender.recommend(["item-1", "new-1"], top_k=99)
    assert "new-2" in ids(every) and len(every) == 10
    with pytest.raises(QBert4RecError, match="'new-1' is in the catalogue already"):
        recommender.add_items([LAMP])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_new_item_scores_like_its_neighbours_though_the_graph_does_not_know_it(
    recommender, protocol
):
    recommender.ranker.seen_weight = 1.0
    recommender.add_items([LAMP], neighbours=3)
    prior = recommender.ranker.prior
    assert prior.popularity[10] == 0 and not prior.weights[:, [10]].nnz
    neighbours = recommender.new_items.of("camp")["new-1"]
    assert len(set(neighbours)) == 3
    for history in (["item-1"], ["item-3", "item-7"], ["new-1", "item-2"]):
        scores = scores_of(recommender, history, protocol)
        expected = np.mean([scores[item_id] for item_id in neighbours])
        assert scores["new-1"] == pytest.approx(expected, rel=1e-4)
        assert sum(scores.values()) == pytest.approx(1, abs=0.02)


def test_a_new_item_stands_beside_its_only_neighbour(recommender):
    # Where the history holds the neighbour, its weight is its own: nobody has seen the new item.
    recommender.ranker.seen_weight = 1.0
    recommender.add_items([LAMP], neighbours=1)
    (neighbour,) = recommender.new_items.of("camp")["new-1"]
    places = []
    for item_id in recommender.items.item_ids[:10]:
        ranking = ids(recommender.recommend([item_id], exclude_seen=False, top_k=99))
        assert ranking.index("new-1") == ranking.index(neighbour) + 1
        places.append(ranking.index("new-1"))
    # Not at one place for everybody: it is recommended to those whom its neighbour suits.
    assert len(set(places)) > 2


def test_without_neighbours_a_new_item_has_its_id_alone(recommender):
    recommender.add_items([LAMP], neighbours=0)
    assert recommender.new_items.rows("camp", recommender.items.item_ids) is None
    row = Sequences.from_lists([[1, 2]])
    torch.testing.assert_close(
        recommender.ranker.log_probabilities(row),
        recommender.model.score_items(
            torch.from_numpy(recommender.items.tokens()[[1, 2]]).view(1, -1)
        ),
    )
    weight = recommender.ranker.weights[UNSEEN_ITEMS]
    alone = float(recommender.ranker.log_probabilities(row)[0, 10].exp())
    found = scores_of(recommender, ["item-1", "item-2"], UNSEEN_ITEMS)["new-1"]
    assert found == pytest.approx((1 - weight) * alone, rel=1e-4)
    with pytest.raises(QBert4RecError, match="neighbours must be 0 or more"):
        recommender.add_items([TWIN], neighbours=-1)


def test_only_trained_items_speak_for_new_ones(recommender):
    recommender.add_items([LAMP])
    recommender.add_items([TWIN], neighbours=99)
    neighbours = recommender.new_items.of("camp")
    popular = recommender.ranker.prior.popularity[:10] > 0
    trained = {f"item-{row}" for row in np.flatnonzero(popular)}
    assert set(neighbours["new-2"]) == trained and len(neighbours["new-1"]) == 5
    # Of the same content, so the same neighbours come first.
    assert neighbours["new-2"][:5] == neighbours["new-1"]


def test_an_item_that_nothing_is_known_of_is_warned_of(recommender, caplog):
    (found,) = recommender.add_items([{"item_id": "bare"}])
    assert found and recommender.new_items.of("camp") == {"bare": []}
    assert "'bare'" in caplog.text and "say nothing" in caplog.text
    assert "bare" in ids(recommender.recommend(["item-1"], top_k=99))


def test_grown_folders_recommend_the_same(recommender, tmp_path):
    recommender.add_items([LAMP, TWIN])
    opened = Recommender.from_pretrained(recommender.save_pretrained(tmp_path / "grown"))
    assert opened.new_items == recommender.new_items
    assert opened.recommend(["new-1", "item-2"]) == recommender.recommend(["new-1", "item-2"])


def test_items_cannot_be_added_without_their_encoders(recommender):
    coder = recommender.coder
    recommender.coder = None
    with pytest.raises(QBert4RecError, match="imported.*cannot code new items"):
        recommender.add_items([LAMP])
    recommender.coder = ItemCoder(EncoderSet({}), coder.fusion, coder.quantizer)
    with pytest.raises(QBert4RecError, match="interactions alone.*nothing to code a new item from"):
        recommender.add_items([LAMP])
    assert len(recommender.items) == 10


def test_a_new_item_of_one_domain_is_none_of_another(coder):
    codes = torch.cat([distinct_codes(4), distinct_codes(6, seed=1)])
    catalog = ItemCatalog(
        list("abcdefghij"), [None] * 10, codes.numpy(), SIZES, ["one", "two"], [4, 6]
    )
    model = make_model(codes, num_items=[4, 6])
    recommender = Recommender(model, catalog, domain="one", coder=coder)
    recommender.add_items([LAMP])
    assert recommender.catalog.domain_sizes == [5, 6]
    assert set(recommender.new_items.of("one")["new-1"]) <= set("abcd")
    other = Recommender(model, recommender.catalog, domain="two", new_items=recommender.new_items)
    assert other.ranker.new_items is None and len(other.recommend(["e"], top_k=99)) == 5


def test_update_follows_the_log(recommender):
    log = pd.DataFrame({"user_id": ["a", "a", "b", "b"] * 10, "item_id": ["item-4", "item-9"] * 20})
    before = recommender.ranker.prior
    recommender.update(log)
    assert recommender.ranker.prior.popularity.tolist() == [0] * 4 + [20] + [0] * 4 + [20]
    weights = recommender.ranker.weights
    assert recommender.ranker.prior.info["regularization"] == 5.0 and weights[UNSEEN_ITEMS] == 0.6
    assert recommender.ranker.prior.recency == before.recency
    assert recommender.ranker.prior.own_recency == before.own_recency
    assert recommender.recommend([], top_k=1)[0].item_id in ("item-4", "item-9")
    with pytest.raises(QBert4RecError, match="item-77"):
        recommender.update(pd.DataFrame({"user_id": ["a"], "item_id": ["item-77"]}))


def test_a_new_item_speaks_for_itself_in_the_graph_once_it_was_taken(recommender):
    recommender.add_items([LAMP, TWIN])
    users = [f"u{number}" for number in range(20)]
    log = pd.DataFrame(
        {"user_id": np.repeat(users, 2), "item_id": ["item-4", "new-1"] * len(users)}
    )
    recommender.update(log)
    assert recommender.ranker.prior.popularity[[10, 11]].tolist() == [20, 0]
    scores = scores_of(recommender, ["item-4"], UNSEEN_ITEMS)
    # To the model both are the same mixture of neighbours; only one of them is in the log.
    assert scores["new-1"] > scores["new-2"] + 0.1

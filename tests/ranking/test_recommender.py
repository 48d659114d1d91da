from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.evaluation.evaluator import evaluate_ranker
from qbert4rec_hf.ranking.ranks import UNSEEN_ITEMS
from qbert4rec_hf.ranking.recommender import Recommender


def ids(found):
    return [item.item_id for item in found]


def test_one_history_and_several(recommender):
    first = recommender.recommend(["item-1", "item-2"], top_k=4)
    both = recommender.recommend([["item-1", "item-2"], ["item-7"]], top_k=4)
    assert ids(both[0]) == ids(first) and len(both) == 2
    assert [item.score for item in both[0]] == pytest.approx([item.score for item in first])
    assert len(first) == 4 and not set(ids(first)) & {"item-1", "item-2"}
    assert [item.score for item in first] == sorted((i.score for i in first), reverse=True)
    for item in first:
        assert recommender.catalog.decode(item.semantic_id) == [item.item_id]
        assert item.title == recommender.items.titles[int(item.item_id[5:])]


def test_seen_allowed_and_blocked_items(recommender):
    history = ["item-1", "item-2"]
    every = recommender.recommend(history, top_k=99, exclude_seen=False)
    assert sorted(ids(every)) == sorted(f"item-{row}" for row in range(10))
    assert len(recommender.recommend(history, top_k=99)) == 8
    allowed = recommender.recommend(history, allowed_items=["item-2", "item-5", "item-6"])
    assert set(ids(allowed)) == {"item-5", "item-6"}
    blocked = recommender.recommend(history, top_k=99, blocked_items=["item-5"])
    assert "item-5" not in ids(blocked) and len(blocked) == 7


def test_recommend_returns_what_evaluation_counts(recommender, histories):
    known, targets = histories.drop_last(1), np.array([history[-1] for history in histories])
    result = evaluate_ranker(
        recommender.ranker.scores_by_protocol, known, targets, train=known, num_items=10, ks=(1, 3)
    )
    for exclude, protocol in ((False, "all_items"), (True, UNSEEN_ITEMS)):
        ranks = result.protocols[protocol].ranks
        for row, history in enumerate(known):
            found = recommender.recommend(
                [f"item-{item}" for item in history], top_k=10, exclude_seen=exclude
            )
            assert ids(found).index(f"item-{targets[row]}") + 1 == ranks[row]


def test_cold_start_is_labelled(recommender):
    found = recommender.recommend([], top_k=3)
    popularity = recommender.ranker.prior.popularity
    assert all(item.cold_start for item in found)
    assert found[0].item_id == f"item-{np.argmax(popularity)}"
    assert not recommender.recommend(["item-0"])[0].cold_start


def test_unknown_items(recommender):
    with pytest.raises(QBert4RecError, match="'nowhere' is not in the catalogue"):
        recommender.recommend(["item-1", "nowhere"])
    assert recommender.recommend(["item-1", "nowhere"], unknown="skip") == recommender.recommend(
        ["item-1"]
    )
    assert recommender.recommend(["nowhere"], unknown="skip")[0].cold_start
    with pytest.raises(QBert4RecError, match="'error' or 'skip'"):
        recommender.recommend(["item-1"], unknown="ignore")
    with pytest.raises(QBert4RecError, match="list of item ids"):
        recommender.recommend("item-1")


def test_similar_items_leave_the_item_itself_out(recommender):
    found = recommender.similar_items("item-3", top_k=20)
    assert len(found) == 9 and "item-3" not in ids(found)
    assert max(item.score for item in found) == found[0].score <= 1.0001


@pytest.mark.parametrize("wrong", [[1, 2], [None], [["item-1"], 3]])
def test_what_is_no_history_is_named(recommender, wrong):
    with pytest.raises(QBert4RecError, match="histories must be item ids"):
        recommender.recommend(wrong)


def test_a_catalogue_of_several_domains_needs_a_choice(recommender):
    from tiny_sequence import SIZES, distinct_codes, make_model

    from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog

    codes = torch.cat([distinct_codes(4), distinct_codes(6, seed=1)])
    catalog = ItemCatalog(
        list("abcdefghij"), [None] * 10, codes.numpy(), SIZES, ["one", "two"], [4, 6]
    )
    model = make_model(codes, num_items=[4, 6])
    with pytest.raises(QBert4RecError, match="one, two"):
        Recommender(model, catalog)
    with pytest.raises(QBert4RecError, match="no domain 'three'"):
        Recommender(model, catalog, domain="three")
    found = Recommender(model, catalog, domain="two").recommend(["e", "j"], top_k=9)
    assert set(ids(found)) == set("fghi")


def test_histories_of_any_length(recommender):
    rows = Sequences.from_lists([list(range(10))] * 3)
    many = recommender.recommend(
        [[f"item-{i}" for i in row] for row in rows], exclude_seen=False, top_k=2
    )
    assert ids(many[0]) == ids(many[1]) == ids(many[2])

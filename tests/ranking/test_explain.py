from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.query_attention import query_attention
from qbert4rec_hf.ranking.recommender import Recommender

HISTORY = ["item-1", "item-4", "item-2", "item-7"]


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_score_and_place_are_those_of_recommend(recommender, exclude_seen):
    ranked = recommender.recommend(HISTORY, top_k=99, exclude_seen=exclude_seen)
    for place, item in enumerate(ranked, start=1):
        why = recommender.explain(HISTORY, item.item_id, exclude_seen=exclude_seen)
        assert (why.rank, why.num_candidates) == (place, len(ranked))
        assert why.score == pytest.approx(item.score, rel=1e-5)
        assert (why.title, why.semantic_id) == (item.title, item.semantic_id)
        assert why.from_model + why.from_graph + why.from_popularity == pytest.approx(why.score)
        assert why.from_model > 0 and why.from_graph >= -1e-7 and not why.from_popularity


def test_an_effect_is_what_recommend_says_without_the_item(recommender):
    why = recommender.explain(HISTORY, "item-5")
    assert [influence.item_id for influence in why.influences] == HISTORY
    for step, influence in enumerate(why.influences):
        rest = HISTORY[:step] + HISTORY[step + 1 :]
        ranked = recommender.recommend(rest, top_k=99)
        place = [item.item_id for item in ranked].index("item-5")
        assert influence.score_without == pytest.approx(ranked[place].score, rel=1e-5)
        assert influence.rank_without == place + 1
        assert influence.effect == pytest.approx(why.score - influence.score_without)
    assert len({round(influence.effect, 6) for influence in why.influences}) == len(HISTORY)


def test_an_item_that_occurs_twice_is_left_out_once_each(recommender):
    history = ["item-1", "item-4", "item-1"]
    why = recommender.explain(history, "item-5")
    assert len(why.influences) == 3 and why.num_candidates == 8
    for influence, rest in zip(why.influences, (["item-4", "item-1"], None), strict=False):
        if rest:
            (found,) = recommender.recommend(rest, allowed_items=["item-5"])
            assert influence.score_without == pytest.approx(found.score, rel=1e-5)


def test_seen_items_have_no_place_unless_they_are_ranked(recommender):
    why = recommender.explain(HISTORY, "item-4")
    assert why.rank is None and why.num_candidates == 6
    # Without the item itself it is a candidate again.
    assert why.influences[1].rank_without is not None
    assert why.influences[0].rank_without is None
    assert recommender.explain(HISTORY, "item-4", exclude_seen=False).rank is not None


def test_attention_covers_what_the_model_reads(recommender):
    # The tiny model reads 6 items.
    history = [f"item-{row}" for row in (9, 8, 1, 4, 2, 7, 3, 0)]
    shares = [part.attention for part in recommender.explain(history, "item-5").influences]
    assert shares[:2] == [None, None]
    tokens = torch.from_numpy(np.asarray(recommender.items.tokens()))
    rows = recommender.items.rows(history)[-6:]
    expected = query_attention(recommender.model, tokens[rows])[:-1].tolist()
    assert shares[2:] == pytest.approx(expected) and 0 < sum(expected) < 1


def test_neighbours_and_shared_levels_come_from_the_codes(recommender):
    why = recommender.explain(HISTORY, "item-5", neighbours=3)
    assert why.neighbours == recommender.code_tree.nearest("item-5", count=3)
    codes = recommender.items.codes
    for influence in why.influences:
        row = recommender.items.item_ids.index(influence.item_id)
        first = codes[row][0] == codes[5][0]
        assert (influence.shared_levels > 0) == first
    assert recommender.explain(HISTORY, "item-5", neighbours=0).neighbours == []


def test_without_a_history_popularity_speaks(recommender):
    why = recommender.explain([], "item-5")
    (found,) = recommender.recommend([], allowed_items=["item-5"])
    assert why.influences == [] and why.from_popularity == why.score == pytest.approx(found.score)
    assert (why.from_model, why.from_graph) == (0, 0)


def test_without_an_item_graph_the_model_speaks_alone(recommender):
    alone = Recommender(recommender.model, recommender.catalog)
    why = alone.explain(HISTORY, "item-5")
    assert why.from_model == why.score and not why.from_graph
    assert alone.explain([], "item-5").from_model > 0


def test_new_items_name_who_speaks_for_them(recommender):
    tree = recommender.code_tree
    assert recommender.code_tree is tree
    recommender.add_items([{"item_id": "new", "title": "red lamp", "text": ["a rope for boot"]}])
    assert len(recommender.code_tree) == len(tree) + 1
    why = recommender.explain(HISTORY, "new")
    assert why.spoken_for_by == recommender.new_items.of("camp")["new"] and why.spoken_for_by
    assert recommender.explain(HISTORY, "item-5").spoken_for_by == []


def test_unknown_items_are_named_or_skipped(recommender):
    with pytest.raises(QBert4RecError, match="'nowhere' is not in the catalogue"):
        recommender.explain(["item-1"], "nowhere")
    with pytest.raises(QBert4RecError, match="'nowhere' is not in the catalogue"):
        recommender.explain(["item-1", "nowhere"], "item-5")
    skipped = recommender.explain(["item-1", "nowhere"], "item-5", unknown="skip")
    assert skipped == recommender.explain(["item-1"], "item-5")


@pytest.mark.parametrize("history", ["item-1", [1], [["item-1"]]])
def test_what_is_no_history_is_named(recommender, history):
    with pytest.raises(QBert4RecError, match="history must be a list of item ids"):
        recommender.explain(history, "item-5")

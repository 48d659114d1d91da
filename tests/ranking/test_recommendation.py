from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict, replace

import pandas as pd
import pytest
from html_laws import HOSTILE, read_html

from qbert4rec_hf.notebook import plain
from qbert4rec_hf.ranking.recommendation import (
    COLD_START,
    NO_CANDIDATE,
    SHOWN_HISTORIES,
    Recommendation,
    RecommendationLists,
    Recommendations,
)

MUG = Recommendation("mug-01", "Stoneware mug", 0.5, "<a_1><b_2>")
TEA = Recommendation("tea-01", None, 0.25, "<a_1><b_3>")


def test_it_is_a_list_in_every_other_way():
    found = Recommendations([MUG, TEA])
    assert isinstance(found, list) and found == [MUG, TEA] and [MUG, TEA] == found
    assert found[0] is MUG and list(found) == [MUG, TEA] and len(found) == 2
    assert type(found[:1]) is Recommendations and found[:1] == [MUG]
    for copied in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert type(copied) is Recommendations and copied == found
    assert json.loads(json.dumps([asdict(item) for item in found]))[1]["item_id"] == "tea-01"
    assert pd.DataFrame(found)["score"].tolist() == [0.5, 0.25]


def test_a_notebook_shows_a_row_an_item():
    rows, text = read_html(Recommendations([MUG, TEA])._repr_html_())
    assert rows == [
        ["title", "item_id", "semantic_id", "score"],
        ["Stoneware mug", "mug-01", "<a_1><b_2>", "0.5000"],
        ["–", "tea-01", "<a_1><b_3>", "0.2500"],
    ]
    assert COLD_START not in text


def test_a_terminal_shows_a_line_an_item():
    assert repr(Recommendations([MUG, TEA])).splitlines() == [
        "    score  item_id  title          semantic_id",
        "1  0.5000  mug-01   Stoneware mug  <a_1><b_2>",
        "2  0.2500  tea-01   –              <a_1><b_3>",
    ]


def test_titles_and_ids_of_others_are_text():
    hostile = Recommendations([Recommendation(HOSTILE, HOSTILE, 0.1, HOSTILE)])
    rows, _ = read_html(hostile._repr_html_())
    assert rows[1][:3] == [plain(HOSTILE)] * 3
    lines = repr(hostile).splitlines()
    assert len(lines) == 2 and all(line.isprintable() for line in lines)


def test_popular_items_are_marked_as_such():
    cold = Recommendations([Recommendation("mug-01", "Mug", 0.1, "<a_1>", cold_start=True)])
    assert COLD_START in read_html(cold._repr_html_())[1]
    assert repr(cold).endswith(COLD_START)


def test_nothing_to_recommend():
    rows, text = read_html(Recommendations()._repr_html_())
    assert rows == [] and text == NO_CANDIDATE
    assert repr(Recommendations()) == "Recommendations([])"
    assert repr(RecommendationLists()) == "RecommendationLists([])"
    assert read_html(RecommendationLists()._repr_html_())[0] == []


def test_several_histories_are_shown_up_to_a_number():
    lists = RecommendationLists([[MUG], []] * SHOWN_HISTORIES)
    assert lists[0] == [MUG] and type(lists[0]) is Recommendations
    rows, text = read_html(lists._repr_html_())
    assert sum(row[0] == "Stoneware mug" for row in rows) == 3
    assert "History 0" in text and f"History {SHOWN_HISTORIES}" not in text
    assert text.endswith("… and 5 more histories")
    assert repr(lists).count("mug-01") == 3 and repr(lists).endswith("… and 5 more histories")


def test_scores_that_four_decimals_would_lose():
    items = [Recommendation(str(n), "x", s, "<a_0>") for n, s in enumerate((3e-7, 0.0, -0.5))]
    rows, _ = read_html(Recommendations(items)._repr_html_())
    assert [row[3] for row in rows[1:]] == ["3.0e-07", "0.0000", "-0.5000"]


def test_a_recommender_answers_with_them(recommender):
    one = recommender.recommend(["item-1"], top_k=3)
    assert type(one) is Recommendations and len(one) == 3
    assert type(recommender.similar_items("item-1")) is Recommendations
    several = recommender.recommend([["item-1"], []], top_k=3)
    assert type(several) is RecommendationLists
    assert [replace(item, score=0.0) for item in several[0]] == [
        replace(item, score=0.0) for item in one
    ]
    # A product of one row is summed in another order than one of several.
    assert [item.score for item in several[0]] == pytest.approx([item.score for item in one])
    assert type(recommender.recommend([[]])) is RecommendationLists
    assert recommender.recommend([[]])[0] == recommender.recommend([])

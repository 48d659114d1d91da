from __future__ import annotations

from html_laws import HOSTILE, read_html
from tiny_recommender import tiny_recommender

from qbert4rec_hf.notebook import plain
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog


def facts_of(recommender: Recommender) -> dict[str, str]:
    rows, text = read_html(recommender._repr_html_())
    assert plain(f"Recommender for {recommender.domain}") in text
    return dict(rows)


def test_what_it_recommends_and_how():
    recommender = tiny_recommender()
    facts = facts_of(recommender)
    assert facts["items"] == "12" and facts["item graph"] == "60% of the score"
    assert facts["items of the history"] == "left out"
    assert facts["codes new items"] == "yes, from text"
    assert "items added since the training" not in facts
    recommender.exclude_seen = False
    assert facts_of(recommender)["item graph"] == "40% of the score"


def test_items_that_were_added_are_counted():
    recommender = tiny_recommender()
    recommender.add_items([{"item_id": "new", "title": "green rope", "text": ["a rope"]}])
    facts = facts_of(recommender)
    assert facts["items added since the training"] == "1" and facts["items"] == "13"


def test_without_graph_and_encoders_and_with_a_hostile_name():
    recommender = tiny_recommender()
    catalog = recommender.catalog
    names = [HOSTILE]
    bare = Recommender(
        recommender.model,
        ItemCatalog(
            catalog.item_ids, catalog.titles, catalog.codes, catalog.codebook_sizes, names, [12]
        ),
    )
    facts = facts_of(bare)
    assert facts["item graph"] == "none"
    assert facts["codes new items"] == "no: its semantic IDs were imported"

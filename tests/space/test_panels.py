"""What the panels say. Their HTML is read by a parser, as a browser would."""

from __future__ import annotations

import re

import pytest
from panel_reader import read
from storefront.newcomer import NewItem, preview_panel
from storefront.picking import found_panel, history_panel
from storefront.ranking import ranking_panel
from storefront.shop import Shop
from storefront.tree import tree_panel
from storefront.visitor import CLOSED, Visitor

from qbert4rec_hf.ranking.recommender import Recommender

VISIT = Visitor(("item-1", "item-4", "item-2"))


@pytest.mark.parametrize("prefix", ["", "whole"])
def test_titles_are_shown_and_never_act(shop, prefix):
    everything = Visitor(tuple(shop.recommender.items.item_ids[2:11]))
    codes = tuple(shop.codes("item-10")) if prefix else ()
    texts = []
    for panel in (
        found_panel(shop, everything, "item"),
        found_panel(shop, everything, "rope"),
        history_panel(shop, everything),
        ranking_panel(shop, Visitor(("item-0",))),
        tree_panel(shop, Visitor(prefix=codes)),
        tree_panel(shop, Visitor(prefix=codes[:1])),
    ):
        texts.append(read(panel).text)
    seen = " ".join(texts)
    for title in ("<script>window.harm = 1</script> stove", "${window.harm = 1} rope"):
        assert title in seen
    assert "{{constructor}} rope" in seen and "<b>bag</b>" not in seen
    assert '" onmouseover="window.harm = 1" data-act="clear" bag' in seen


def test_what_was_found_can_be_added(shop):
    panel = read(found_panel(shop, VISIT, "rope"))
    assert sorted(panel.actions("add")) == ["item-3", "item-4"] and "2 items" in panel.text
    labels = [about["aria-label"] for tag, about in panel.tags if tag == "button"]
    assert sum("once more" in label for label in labels) == 1
    assert len(read(found_panel(shop, VISIT, "")).actions("add")) == 6
    assert "12 items, the first 6" in read(found_panel(shop, VISIT, "item")).text


@pytest.mark.parametrize("query", ["zeppelin", "<b>x</b>", "x" * 500])
def test_a_search_that_finds_nothing_says_so(shop, query):
    panel = read(found_panel(shop, VISIT, query))
    assert "Nothing here is called" in panel.text and query[:20] in panel.text
    assert len(panel.text) < 250


def test_the_history_is_listed_in_its_order(shop):
    panel = read(history_panel(shop, VISIT))
    assert panel.text.index("blue lamp") < panel.text.index("{{constructor}}")
    assert panel.actions("remove") == ["0", "1", "2"]
    off = [about["data-key"] for _, about in panel.tags if "disabled" in about]
    assert off == ["earlier::0", "later::2"]
    (link,) = [about["href"] for tag, about in panel.tags if tag == "a"]
    assert link == "?history=item-1,item-4,item-2"
    assert "It is empty" in read(history_panel(shop, Visitor())).text
    assert "gone" in read(history_panel(shop, Visitor(problem="“gone” is not here"))).text


def test_the_ranking_is_what_recommend_says(shop):
    panel = read(ranking_panel(shop, VISIT))
    ranked = shop.recommender.recommend(list(VISIT.history), top_k=10)
    assert panel.actions("close") + panel.actions("why") == [item.item_id for item in ranked]
    assert f"{100 * ranked[0].score:.1f}" in panel.text
    assert "Top 9" in panel.text and len(ranked) == 9


def test_reasons_stand_below_the_opened_item(shop):
    ranked = shop.recommender.recommend(list(VISIT.history), top_k=10)
    third = ranked[2].item_id
    panel = read(ranking_panel(shop, Visitor(VISIT.history, opened=third)))
    why = shop.recommender.explain(list(VISIT.history), third)
    assert panel.actions("close") == [third] and "Place 3 of 9" in panel.text
    for part in why.influences:
        assert f"{abs(100 * part.effect):.1f}" in panel.text
        assert f"place {part.rank_without}" in panel.text
        assert f"read {100 * part.attention:.0f}" in panel.text
    near = [item.item_id for item in why.neighbours]
    whys = [key.split(":")[2] for key in panel.places() if key.startswith("add:why:")]
    assert whys == near
    closed = read(ranking_panel(shop, Visitor(VISIT.history, opened=CLOSED)))
    assert closed.actions("close") == [] and "What each item" not in closed.text


def test_without_a_history_the_popular_ones_are_named_as_such(shop):
    panel = read(ranking_panel(shop, Visitor()))
    assert "Popular items" in panel.text and panel.actions("close") == []
    opened = read(ranking_panel(shop, Visitor(opened=panel.actions("why")[0])))
    assert "by popularity alone" in opened.text


def test_a_history_of_everything_leaves_nothing(shop):
    everything = Visitor(tuple(shop.recommender.items.item_ids))
    assert "No item is left" in read(ranking_panel(shop, everything)).text


def test_a_model_without_a_graph_speaks_alone(recommender):
    alone = Shop(Recommender(recommender.model, recommender.catalog))
    assert "by the sequence model alone" in read(ranking_panel(alone, VISIT)).text
    assert "expects of anyone" in read(ranking_panel(alone, Visitor())).text


def test_the_tree_leads_from_the_root_to_items(shop):
    tree = shop.recommender.code_tree
    root = read(tree_panel(shop, Visitor()))
    groups = {group.text for group in tree.groups()}
    assert groups <= set(root.actions("tree")) and root.actions("add") == []
    code = shop.codes("item-0")[0]
    node = read(tree_panel(shop, Visitor(prefix=(code,))))
    assert set(node.actions("add")) == {shop.item_id(row) for row in tree.rows((code,))}
    leaf = read(tree_panel(shop, Visitor(prefix=tuple(shop.codes("item-0")))))
    assert leaf.actions("add") == ["item-0"] and "1 item here" in leaf.text


def test_a_new_item_gets_an_id_and_neighbours(shop):
    before = shop.recommender.catalog
    panel = read(preview_panel(shop, NewItem("red lamp", "a thing for rope")))
    (preview,) = shop.recommender.preview_items(
        [{"item_id": "new", "title": "red lamp", "text": ["a thing for rope"]}]
    )
    assert panel.actions("branch") == [preview.semantic_id]
    assert panel.actions("add") == [item.item_id for item in preview.neighbours]
    assert "Read from: text" in panel.text and shop.recommender.catalog is before


def test_a_picture_is_shown_beside_what_was_read(shop, tmp_path):
    from PIL import Image

    path = tmp_path / "new.png"
    Image.new("RGB", (20, 20), "red").save(path)
    panel = read(preview_panel(shop, NewItem("red lamp", "", path)))
    # This model reads no pictures, and says what it did read.
    assert "img" in [tag for tag, _ in panel.tags] and "Read from: text." in panel.text
    assert "does not read pictures" in read(preview_panel(shop, NewItem("", "", path))).text


def test_what_cannot_be_coded_is_said_in_words(shop, recommender, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nothing")
    imported = Shop(Recommender(recommender.model, recommender.catalog))
    for where, item, words in (
        (shop, NewItem("  ", ""), "Write a title"),
        (shop, NewItem("zzz", ""), "knows none of these words"),
        (shop, NewItem("tent", "", broken), "cannot be read as a picture"),
        (shop, NewItem("tent", "", tmp_path / "gone.png"), "cannot be read as a picture"),
        (imported, NewItem("tent", ""), "cannot code new items"),
    ):
        text = read(preview_panel(where, item)).text
        assert words in text and str(tmp_path) not in text


def test_a_new_items_title_never_acts(shop):
    panel = read(preview_panel(shop, NewItem("<script>x</script> lamp ${y}", "")))
    assert "<script>x</script> lamp ${y}" in panel.text
    assert not re.search(r"(?i)traceback|error", panel.text)

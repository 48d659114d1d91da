from __future__ import annotations

import pytest
from storefront.visitor import CLOSED, MAX_HISTORY, OPEN_FIRST, Visitor, act, with_history

START = Visitor(("item-1", "item-4", "item-2"))


def test_adding_removing_and_clearing(shop):
    assert act(START, shop, "add", "item-7").history == (*START.history, "item-7")
    assert act(START, shop, "add", "item-1").history.count("item-1") == 2
    assert act(START, shop, "remove", "1").history == ("item-1", "item-2")
    assert act(START, shop, "clear").history == ()
    assert START.history == ("item-1", "item-4", "item-2")


def test_moving_one_step(shop):
    assert act(START, shop, "later", "0").history == ("item-4", "item-1", "item-2")
    assert act(START, shop, "earlier", "2").history == ("item-1", "item-2", "item-4")
    assert act(START, shop, "earlier", "0").history == START.history
    assert act(START, shop, "later", "2").history == START.history


def test_reasons_open_and_close_and_begin_anew_with_another_history(shop):
    opened = act(START, shop, "why", "item-7")
    assert START.opened is OPEN_FIRST and opened.opened == "item-7"
    assert act(opened, shop, "close", "item-7").opened == CLOSED
    assert act(opened, shop, "add", "item-3").opened is OPEN_FIRST


def test_nodes_of_the_tree(shop):
    code = shop.codes("item-0")[0]
    assert act(START, shop, "tree", f"<a_{code}>").prefix == (code,)
    assert act(START, shop, "tree", "").prefix == ()
    item = shop.recommender.items.encode("item-0")
    assert act(START, shop, "tree", item).prefix == tuple(shop.codes("item-0"))


def test_a_semantic_id_leads_to_the_nearest_node_with_company(shop):
    rows, depths = shop.recommender.code_tree.rows, set()
    for item_id in shop.recommender.items.item_ids:
        codes = tuple(shop.codes(item_id))
        prefix = act(START, shop, "branch", shop.recommender.items.encode(item_id)).prefix
        assert prefix and codes[: len(prefix)] == prefix
        assert len(rows(prefix)) > 1 or len(prefix) == 1
        assert len(rows(codes[: len(prefix) + 1])) == 1
        depths.add(len(prefix))
    assert len(depths) > 1
    # An ID that no item has, in a branch that is there.
    assert act(START, shop, "branch", "<a_3><b_3><c_5>").prefix == (3,)
    assert act(START, shop, "branch", "nonsense").problem


@pytest.mark.parametrize(
    ("action", "value"),
    [
        ("add", "nowhere"),
        ("why", "nowhere"),
        ("tree", "<a_99>"),
        ("tree", "nonsense"),
        ("format disk", "item-1"),
        ("None", {"deep": [1]}),
    ],
)
def test_what_does_not_fit_changes_nothing_and_is_said_once(shop, action, value):
    after = act(START, shop, action, value)
    assert after.history == START.history and after.problem
    assert act(after, shop, "add", "item-7").problem == ""


@pytest.mark.parametrize("place", ["3", "-1", "x", "", "1e9", "9" * 5000, "²"])
def test_a_place_that_is_gone_is_no_matter(shop, place):
    assert act(START, shop, "remove", place).history == START.history


def test_a_history_ends_somewhere(shop):
    full = Visitor(("item-1",) * MAX_HISTORY)
    after = act(full, shop, "add", "item-2")
    assert after.history == full.history and str(MAX_HISTORY) in after.problem


def test_a_link_begins_a_visit_and_says_what_it_lost(shop):
    assert with_history(shop, [""]) == Visitor()
    assert with_history(shop, ["item-3", "item-1"]) == Visitor(("item-3", "item-1"))
    lost = with_history(shop, ["item-3", "gone", "item-1", "lost"])
    assert lost.history == ("item-3", "item-1")
    assert "“gone” is not in this catalogue" in lost.problem and "1 other" in lost.problem
    assert len(with_history(shop, ["item-3"] * 99).history) == MAX_HISTORY
    assert len(with_history(shop, ["x" * 3000]).problem) < 200

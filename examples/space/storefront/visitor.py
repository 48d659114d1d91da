"""One visitor: what they picked and what they opened. Every action makes a new state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.semantic_ids.code_tree import parse_prefix

from .shop import Shop

MAX_HISTORY = 50
OPEN_FIRST = None
CLOSED = ""


@dataclass(frozen=True)
class Visitor:
    """State of a visit.

    Attributes:
        history: item ids, oldest first.
        opened: recommended item whose reasons are shown; `OPEN_FIRST` until one is chosen, `CLOSED`
            for none.
        prefix: node of the code tree that is open.
        problem: what went wrong last, in words; empty if nothing did.
    """

    history: tuple[str, ...] = ()
    opened: str | None = OPEN_FIRST
    prefix: tuple[int, ...] = ()
    problem: str = ""


def act(visitor: Visitor, shop: Shop, action: str, value: Any = "") -> Visitor:
    """The state after an action.

    What comes from a browser can be anything, so nothing is taken on trust: what does not fit
    leaves the visit as it was, with a problem in words.

    Args:
        visitor: the state before.
        shop: what the visit is about.
        action: `add`, `remove`, `earlier`, `later`, `clear`, `why`, `close`, `tree` (open a node)
            or `branch` (open the node that holds an item and its nearest).
        value: item id, place in the history, or tokens of a semantic ID, as text.
    """
    visitor, value = replace(visitor, problem=""), str(value)
    if action == "add":
        return _add(visitor, shop, value)
    if action in ("remove", "earlier", "later"):
        return _move(visitor, action, value)
    if action == "clear":
        return replace(visitor, history=(), opened=OPEN_FIRST)
    if action == "why" and value in shop:
        return replace(visitor, opened=value)
    if action == "close":
        return replace(visitor, opened=CLOSED)
    if action == "tree":
        return _open_node(visitor, shop, value)
    if action == "branch":
        return _open_branch(visitor, shop, value)
    return replace(visitor, problem=_unknown(value))


def with_history(shop: Shop, item_ids: Iterable[str]) -> Visitor:
    """A visit that begins with a history, as a link names it; unknown items are left out."""
    wanted = [item_id for item_id in item_ids if item_id]
    known = [item_id for item_id in wanted if item_id in shop]
    problem = ""
    if len(known) < len(wanted):
        lost = next(item_id for item_id in wanted if item_id not in shop)
        others = len(wanted) - len(known) - 1
        problem = _unknown(lost)[:-1] + (
            f", nor are {others} others of the link; they were left out."
            if others
            else "; it was left out of the link's history."
        )
    return Visitor(tuple(known[-MAX_HISTORY:]), problem=problem)


def _add(visitor: Visitor, shop: Shop, item_id: str) -> Visitor:
    if item_id not in shop:
        return replace(visitor, problem=_unknown(item_id))
    if len(visitor.history) >= MAX_HISTORY:
        problem = f"A history here holds {MAX_HISTORY} items at most. Remove one first."
        return replace(visitor, problem=problem)
    return replace(visitor, history=(*visitor.history, item_id), opened=OPEN_FIRST)


def _move(visitor: Visitor, action: str, value: str) -> Visitor:
    history, last = list(visitor.history), len(visitor.history) - 1
    # Places are written by us, but two quick clicks may ask for one that is gone.
    place = int(value) if value.isdecimal() and len(value) < 4 else -1
    if not 0 <= place <= last:
        return visitor
    item_id = history.pop(place)
    if action != "remove":
        history.insert(min(max(place + (1 if action == "later" else -1), 0), last), item_id)
    return replace(visitor, history=tuple(history), opened=OPEN_FIRST)


def _open_node(visitor: Visitor, shop: Shop, value: str) -> Visitor:
    tree = shop.recommender.code_tree
    try:
        prefix = parse_prefix(value)
        if len(tree.rows(prefix)):
            return replace(visitor, prefix=prefix)
    except QBert4RecError:
        pass
    return replace(visitor, prefix=(), problem="There is no such branch in this code tree.")


def _open_branch(visitor: Visitor, shop: Shop, value: str) -> Visitor:
    """Opens the lowest node above a semantic ID that holds two items; below the root, if it can."""
    tree = shop.recommender.code_tree
    try:
        prefix = parse_prefix(value)
        while len(prefix) > 1 and len(tree.rows(prefix)) < 2:
            prefix = prefix[:-1]
    except QBert4RecError:
        return _open_node(visitor, shop, value)
    # The ID of a new item may begin a branch that is not there yet.
    return replace(visitor, prefix=prefix if len(tree.rows(prefix)) else ())


def _unknown(item_id: str) -> str:
    shown = item_id if len(item_id) <= 40 else item_id[:39] + "…"
    return f"“{shown}” is not in this catalogue."

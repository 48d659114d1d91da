"""The left side of the first tab: what the search found, and the history."""

from __future__ import annotations

from urllib.parse import quote

from .markup import button, esc, icon, note, plural, semantic_id
from .shop import Shop
from .visitor import Visitor

SHOWN = 6


def found_panel(shop: Shop, visitor: Visitor, query: str) -> str:
    """What a search found, or the popular items where nothing is asked."""
    found, total = shop.search(query, SHOWN)
    if not query.strip():
        head = "Popular here"
    elif not found:
        shown = query.strip()
        shown = shown if len(shown) <= 60 else shown[:59] + "…"
        return note(
            f"Nothing here is called “{shown}”. Try one word of a title, or an item id.",
            kind="problem",
        )
    else:
        head = plural(total, "item") + (f", the first {len(found)}" if total > len(found) else "")
    rows = "".join(_found(shop, visitor, item_id) for item_id in found)
    return f'<p class="q-count" role="status">{esc(head)}</p><ul class="q-list">{rows}</ul>'


def _found(shop: Shop, visitor: Visitor, item_id: str) -> str:
    title = shop.plain_title(item_id)
    chosen = item_id in visitor.history
    sign = icon("tick") if chosen else icon("plus")
    inside = (
        f'{shop.picture(item_id)}<span class="q-name">{shop.title(item_id)}'
        f'<small>{esc(item_id)}</small></span><span class="q-sign">{sign}</span>'
    )
    label = f"{title}: add to the history" + (" once more" if chosen else "")
    css = "q-item q-chosen" if chosen else "q-item"
    return f"<li>{button(inside, 'add', item_id, label=label, css=css, where='found')}</li>"


def history_panel(shop: Shop, visitor: Visitor) -> str:
    """The history, oldest first, as the model reads it."""
    history = visitor.history
    problem = note(visitor.problem, kind="problem") if visitor.problem else ""
    if not history:
        return (
            f'{problem}<div class="q-empty"><h2 class="q-h2" tabindex="-1">Your history</h2>'
            "<p>It is empty. Click items above; what you pick last counts as the latest.</p></div>"
        )
    rows = "".join(_picked(shop, place, history) for place in range(len(history)))
    link = "?history=" + ",".join(quote(item_id, safe="") for item_id in history)
    return (
        f'{problem}<div class="q-head"><h2 class="q-h2" tabindex="-1">Your history'
        f" <small>{plural(len(history), 'item')}, oldest first</small></h2>"
        f'<span class="q-tools"><a class="q-quiet" href="{esc(link)}">Link to it</a>'
        f"{button('Clear', 'clear', css='q-quiet')}</span></div>"
        f'<ol class="q-list q-history">{rows}</ol>'
    )


def _picked(shop: Shop, place: int, history: tuple[str, ...]) -> str:
    item_id, title = history[place], shop.plain_title(history[place])
    tools = [
        (icon("up"), "earlier", -1, f"{title}: move one step earlier", place == 0),
        (icon("down"), "later", 1, f"{title}: move one step later", place == len(history) - 1),
        (icon("cross"), "remove", 0, f"{title}: remove from the history", False),
    ]
    buttons = "".join(
        button(
            sign,
            act,
            place,
            label=label,
            css="q-tool",
            extra="disabled" if off else f'data-next="{act}::{place + step}"',
        )
        for sign, act, step, label, off in tools
    )
    return (
        f'<li class="q-row">{shop.picture(item_id)}<span class="q-name">{shop.title(item_id)}'
        f"{semantic_id(shop.codes(item_id), link=f'history{place}')}</span>"
        f'<span class="q-tools">{buttons}</span></li>'
    )

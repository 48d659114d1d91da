"""The page: panels, tabs and what happens when something is clicked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from .markup import esc, note, plural
from .newcomer import EMPTY, NewItem, preview_panel
from .picking import found_panel, history_panel
from .ranking import ranking_panel
from .shop import Shop
from .tree import tree_panel
from .visitor import Visitor, act, with_history

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_PANEL_SCRIPT = (_HERE / "panel.js").read_text(encoding="utf-8")
OOPS = "Something went wrong here, and it was not you. Nothing is lost; please try again."
# Tabs, as the page's script and `gr.Tabs` name them.
RANK, TREE, NEW = "rank", "tree", "new"


def build_page(shop: Shop) -> gr.Blocks:
    """The app for one shop.

    A visit is a `Visitor` in a `gr.State`, which every visitor has of their own; the shop is shared
    and only asked.

    Args:
        shop: the loaded model with its pictures.
    """
    with gr.Blocks(
        title=f"What comes next? {shop.name}",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, 3600),
    ) as page:
        visitor = gr.State(Visitor())
        gr.HTML(_header(shop), elem_id="q-header", js_on_load=None)
        with gr.Tabs(elem_id="q-tabs") as tabs:
            with gr.Tab("Recommend", id=RANK), gr.Row(elem_id="q-rank"):
                with gr.Column(scale=5, min_width=300, elem_id="q-pick"):
                    with gr.Row(elem_classes="q-search"):
                        query = gr.Textbox(
                            label="Search the catalogue",
                            placeholder="A word of a title, or an item id",
                            lines=1,
                            max_lines=1,
                            max_length=200,
                            elem_id="q-query",
                            html_attributes=gr.InputHTMLAttributes(
                                autocomplete="off", enterkeyhint="search"
                            ),
                        )
                        go = gr.Button("Search", elem_id="q-go", min_width=80)
                    found = _panel(found_panel(shop, Visitor(), ""), "q-found")
                    history = _panel(history_panel(shop, Visitor()), "q-history")
                with gr.Column(scale=7, min_width=300):
                    ranking = _panel(ranking_panel(shop, Visitor()), "q-ranking")
            with gr.Tab("Code tree", id=TREE):
                tree = _panel(tree_panel(shop, Visitor()), "q-tree")
            with gr.Tab("New item", id=NEW), gr.Row(elem_id="q-newcomer"):
                with gr.Column(scale=5, min_width=300, elem_id="q-form"):
                    title = gr.Textbox(label="Title", max_lines=1, max_length=300)
                    text = gr.Textbox(label="Description", lines=5, max_length=5000)
                    picture = gr.File(
                        label="Picture",
                        file_types=["image"],
                        height=150,
                        elem_id="q-picture",
                    )
                    ask = gr.Button("Show its semantic ID", variant="primary", elem_id="q-ask")
                with gr.Column(scale=7, min_width=300):
                    preview = _panel(EMPTY, "q-preview")
        gr.HTML(_footer(shop), elem_id="q-footer", js_on_load=None)

        panels = [found, history, ranking, tree]

        def drawn(visitor: Visitor, query: str) -> list[str]:
            return [
                found_panel(shop, visitor, query),
                history_panel(shop, visitor),
                ranking_panel(shop, visitor),
                tree_panel(shop, visitor),
            ]

        def on_act(visitor: Visitor, query: str, event: gr.EventData) -> list[Any]:
            asked = event._data if isinstance(event._data, dict) else {}
            action = str(asked.get("act"))

            def work() -> list[Any]:
                after = act(visitor, shop, action, asked.get("value", ""))
                return [after, _tab_after(action), *drawn(after, query)]

            return _humane(work, lambda: _unchanged(visitor, shop))

        def on_search(visitor: Visitor, query: str) -> str:
            return _humane(lambda: found_panel(shop, visitor, query), _oops)

        def on_preview(title: str, text: str, picture: str | None) -> str:
            item = NewItem(title or "", text or "", picture)
            return _humane(lambda: preview_panel(shop, item), lambda: EMPTY + _oops())

        def on_load(request: gr.Request) -> list[Any]:
            wanted = str(request.query_params.get("history", ""))[:4000].split(",")
            begun = with_history(shop, (item_id.strip() for item_id in wanted))
            return [begun, *drawn(begun, "")]

        # One after the other: each step reads the visit that the step before it wrote.
        alone = {
            "concurrency_limit": 1,
            "concurrency_id": "visit",
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        for panel in [*panels, preview]:
            panel.act(
                on_act, [visitor, query], [visitor, tabs, *panels], trigger_mode="multiple", **alone
            )
        for search in (query.input, query.submit, go.click):
            search(on_search, [visitor, query], found, trigger_mode="always_last", **alone)
        for asking in (ask.click, title.submit):
            asking(on_preview, [title, text, picture], preview, **alone)
        page.load(on_load, None, [visitor, *panels], **alone)
    return page


def build_notice(title: str, text: str) -> gr.Blocks:
    """A page that says what is missing, for a Space that has no model yet."""
    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.HTML(
            f'<main class="q-notice"><h1>{esc(title)}</h1><p>{esc(text)}</p></main>',
            js_on_load=None,
        )
    return page


def _panel(value: str, elem_id: str) -> gr.HTML:
    return gr.HTML(
        value,
        elem_id=elem_id,
        elem_classes="q-panel",
        js_on_load=_PANEL_SCRIPT,
        apply_default_css=False,
    )


def _tab_after(action: str) -> Any:
    return gr.Tabs(selected=TREE) if action in ("tree", "branch") else gr.skip()


def _humane(work: Callable[[], Any], instead: Callable[[], Any]) -> Any:
    """The result of `work`; a visitor never sees what a bug of ours looks like."""
    try:
        return work()
    except Exception:
        logger.exception("a visitor's action failed")
        return instead()


def _oops() -> str:
    return note(OOPS, kind="problem")


def _unchanged(visitor: Visitor, shop: Shop) -> list[Any]:
    return [
        gr.skip(),
        gr.skip(),
        gr.skip(),
        _oops() + history_panel(shop, visitor),
        *[gr.skip()] * 2,
    ]


def _header(shop: Shop) -> str:
    facts = f"{plural(len(shop), 'item')}, {plural(len(shop.code_sizes), 'code')} each"
    return (
        '<header class="q-top"><span class="q-mark" aria-hidden="true"><i></i><i></i><i></i><i></i>'
        f"</span><div><h1>What comes next?</h1><p>Shop <b><bdi>{esc(shop.name)}</bdi></b>, "
        f"{facts}, ranked by Q&#8209;BERT4Rec</p></div>"
        '<button type="button" id="q-light" aria-label="Light or dark">'
        '<svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.2"/>'
        '<path d="M8 1.8a6.2 6.2 0 0 1 0 12.4Z"/></svg></button></header>'
    )


def _footer(shop: Shop) -> str:
    read = shop.recommender.model.config.max_items
    return (
        f"<footer>The model reads the latest {read} items. Your history stays in this visit and "
        "is gone when you leave.</footer>"
    )

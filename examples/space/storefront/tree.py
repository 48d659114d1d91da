"""The second tab: the semantic IDs as a tree to walk through."""

from __future__ import annotations

from collections.abc import Sequence

from qbert4rec_hf.semantic_ids.code_tree import CodeGroup
from qbert4rec_hf.semantic_ids.tokenization_semantic_id import level_name, semantic_id_text

from .markup import bar, button, note, plural, semantic_id
from .shop import Shop
from .visitor import Visitor

SHOWN_ITEMS = 24
SHOWN_GROUPS = 60
SAMPLE = 3


def tree_panel(shop: Shop, visitor: Visitor) -> str:
    """The open node: where it lies, the branches below it, and its items."""
    tree, prefix = shop.recommender.code_tree, visitor.prefix
    rows = tree.rows(prefix).tolist()
    groups = sorted(tree.groups(prefix), key=lambda group: -group.num_items)
    problem = note(visitor.problem, kind="problem") if visitor.problem else ""
    parts = [
        problem,
        '<h2 class="q-h2" tabindex="-1">Code tree</h2><p class="q-lead">Items whose semantic IDs '
        "begin alike are alike: the first code says most, each further one refines it.</p>",
        _trail(shop, prefix),
        *(_strip(shop, prefix[:level], prefix) for level in range(len(prefix) + 1)),
    ]
    # Branches that end in one item each say no more than the items themselves.
    parted = any(group.num_items > 1 for group in groups)
    if parted:
        parts.append(_branches(shop, groups, len(prefix)))
    if prefix or not parted:
        parts.append(_items(shop, rows))
    return "".join(parts)


def _trail(shop: Shop, prefix: Sequence[int]) -> str:
    steps = [button("All items", "tree", "", css="q-step")]
    for depth in range(1, len(prefix) + 1):
        text = semantic_id_text(prefix[:depth])
        token = semantic_id(prefix[:depth])
        steps.append(button(token, "tree", text, label=f"Go to {text}", css="q-step"))
    here = "".join(
        f"<li{' aria-current=true' if step is steps[-1] else ''}>{step}</li>" for step in steps
    )
    return f'<nav aria-label="Place in the code tree"><ol class="q-trail">{here}</ol></nav>'


def _strip(shop: Shop, above: Sequence[int], prefix: Sequence[int]) -> str:
    """All branches of a node side by side, as wide as they have items."""
    groups = shop.recommender.code_tree.groups(above)
    if not groups:
        return ""
    chosen = tuple(prefix[: len(above) + 1])
    # The cards below do the same for keyboards; a strip is there to be seen and pointed at.
    parts = "".join(
        button(
            "",
            "tree",
            group.text,
            where=f"strip{len(above)}",
            css="q-slice q-l{}{}".format(
                len(above) % 8, " q-here" if group.prefix == chosen else ""
            ),
            extra=f'style="flex-grow:{group.num_items}" tabindex="-1" title="{_named(group)}"',
        )
        for group in groups
    )
    some = " q-some" if len(prefix) > len(above) else ""
    return f'<div class="q-strip{some}" aria-hidden="true">{parts}</div>'


def _named(group: CodeGroup) -> str:
    return f"{group.text}: {plural(group.num_items, 'item')}".replace("<", "&lt;").replace(
        ">", "&gt;"
    )


def _branches(shop: Shop, groups: list[CodeGroup], depth: int) -> str:
    most = groups[0].num_items
    shown = groups[:SHOWN_GROUPS]
    cards = "".join(_branch(shop, group, most) for group in shown if group.num_items > 1)
    leaves = "".join(_leaf(shop, group) for group in shown if group.num_items == 1)
    left = len(groups) - SHOWN_GROUPS
    more = f'<p class="q-small">and {left:,} smaller branches</p>' if left > 0 else ""
    return (
        f'<h3 class="q-h3">{plural(len(groups), "branch", "branches")} by code '
        f"{level_name(depth)}</h3>"
        f'<ul class="q-branches">{cards}</ul><ul class="q-leaves">{leaves}</ul>{more}'
    )


def _branch(shop: Shop, group: CodeGroup, most: int) -> str:
    rows = shop.recommender.code_tree.rows(group.prefix)[:SAMPLE].tolist()
    pictures = "".join(shop.picture(shop.item_id(row)) for row in rows)
    inside = (
        f"{semantic_id(group.prefix)}<span class='q-pics'>{pictures}</span>"
        f"<span class='q-size'>{plural(group.num_items, 'item')}"
        f"{bar(group.num_items / most)}</span>"
    )
    label = f"Open {group.text}, {plural(group.num_items, 'item')}"
    return f"<li>{button(inside, 'tree', group.text, label=label, css='q-branch')}</li>"


def _leaf(shop: Shop, group: CodeGroup) -> str:
    """A branch of a single item, which needs no card."""
    item_id = shop.item_id(int(shop.recommender.code_tree.rows(group.prefix)[0]))
    label = f"Open {group.text}, 1 item: {shop.plain_title(item_id)}"
    inside = f"{shop.picture(item_id)}{semantic_id(group.prefix[-1:], first=len(group.prefix) - 1)}"
    return f"<li>{button(inside, 'tree', group.text, label=label, css='q-leaf')}</li>"


def _items(shop: Shop, rows: list[int]) -> str:
    shown = rows[:SHOWN_ITEMS]
    cards = []
    for row in shown:
        item_id = shop.item_id(row)
        inside = f'{shop.picture(item_id)}<span class="q-name">{shop.title(item_id)}</span>'
        label = f"{shop.plain_title(item_id)}: add to the history"
        add = button(inside, "add", item_id, label=label, css="q-card", where="tree")
        cards.append(f"<li>{add}{semantic_id(shop.codes(item_id))}</li>")
    head = plural(len(rows), "item") + " here"
    if len(rows) > len(shown):
        head += f", the first {len(shown)} by their IDs"
    return f'<h3 class="q-h3">{head}</h3><ul class="q-near q-grid">{"".join(cards)}</ul>'

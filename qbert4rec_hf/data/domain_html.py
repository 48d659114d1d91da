"""What a notebook shows of a domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..columns import IMAGES, ITEM_ID, TEXT, TITLE
from ..notebook import NOTHING, block, facts, table, unbroken
from .domain_info import ON_TRUST
from .splitting import split_rule

if TYPE_CHECKING:
    from .domain import Domain

SHOWN_ITEMS = 5


def domain_html(domain: Domain) -> str:
    """Counts, origin and order of a domain and its first items, as tables for a notebook."""
    info = domain.info
    values = {
        "items": f"{info.num_items:,}",
        "users": f"{info.num_users:,}",
        "interactions": f"{info.num_interactions:,}",
        "source": info.source or None,
        "folder": domain.path,
        "order of a user's interactions": "taken on trust"
        if info.time_order == ON_TRUST
        else "by time stamp",
        "split": split_rule(info.split, info.validation_from, info.test_from, info.time_unit),
        "the same item twice in a history": "occurs" if info.repeats else "does not occur",
    }
    shown = domain.items.head(SHOWN_ITEMS)
    rows = [
        (title or NOTHING, unbroken(item_id), " / ".join(text) or NOTHING, len(images))
        for item_id, title, text, images in zip(
            shown[ITEM_ID], shown[TITLE], shown[TEXT], shown[IMAGES], strict=True
        )
    ]
    left = len(domain) - len(rows)
    items = table(
        (TITLE, ITEM_ID, TEXT, IMAGES),
        rows,
        note=f"… and {left:,} more items" if left else "",
        numbers=1,
    )
    return block(facts(f"Domain {info.name}", values), items)

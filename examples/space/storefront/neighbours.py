"""Items beside an item: by the beginning of the semantic ID, or as those who speak for it."""

from __future__ import annotations

from collections.abc import Sequence

from qbert4rec_hf.semantic_ids.code_tree import PrefixNeighbour

from .markup import button, esc, semantic_id
from .shop import Shop


def neighbour_list(
    shop: Shop, neighbours: Sequence[PrefixNeighbour], *, head: str, none: str, where: str
) -> str:
    """Items that share the beginning of a semantic ID, the shared codes filled."""
    rows = "".join(
        f"<li>{_add(shop, item.item_id, where)}"
        f"{semantic_id(shop.codes(item.item_id), shared=item.shared_levels)}</li>"
        for item in neighbours
    )
    inside = f'<ul class="q-near">{rows}</ul>' if rows else f'<p class="q-small">{esc(none)}</p>'
    return f'<h3 class="q-h3">{esc(head)}</h3>{inside}'


def speakers(shop: Shop, item_ids: Sequence[str]) -> str:
    """The trained items whose mean score a new item gets."""
    rows = "".join(f"<li>{_add(shop, item_id, 'speaker')}</li>" for item_id in item_ids)
    return (
        '<h3 class="q-h3">Who speaks for it</h3><p class="q-small">The model never saw this item, '
        "so until the next training it scores like the mean of these, the nearest by content.</p>"
        f'<ul class="q-near">{rows}</ul>'
    )


def _add(shop: Shop, item_id: str, where: str) -> str:
    label = f"{shop.plain_title(item_id)}: add to the history"
    inside = f'{shop.picture(item_id)}<span class="q-name">{shop.title(item_id)}</span>'
    return button(inside, "add", item_id, label=label, css="q-card", where=where)

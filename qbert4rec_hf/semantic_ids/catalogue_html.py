"""What a notebook shows of a catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..columns import DOMAIN, ITEM_ID, TITLE
from ..notebook import NOTHING, block, code, facts, table, unbroken

if TYPE_CHECKING:
    from .catalogue import ItemCatalog

SHOWN_ITEMS = 5


def catalogue_html(catalog: ItemCatalog) -> str:
    """Domains, codebooks and the first items of each domain, as tables for a notebook."""
    shared = int(catalog.collides.sum())
    used = [len(np.unique(level)) for level in catalog.codes.T]
    sizes = zip(used, catalog.codebook_sizes, strict=True)
    values = {
        "items": f"{len(catalog):,}",
        "domains": ", ".join(
            f"{name} ({size:,})"
            for name, size in zip(catalog.domains, catalog.domain_sizes, strict=True)
        ),
        "codes in use, by level": ", ".join(f"{count} of {size}" for count, size in sizes),
        "items that share a semantic ID": f"{shared:,}" if shared else "none",
    }
    rows = []
    for name in catalog.domains:
        of_domain = catalog.domain_slice(name)
        for row in range(of_domain.start, min(of_domain.stop, of_domain.start + SHOWN_ITEMS)):
            title, item_id = catalog.titles[row], catalog.item_ids[row]
            semantic_id = code(catalog.encode(item_id, domain=name))
            rows.append((title or NOTHING, unbroken(item_id), semantic_id, name))
    heading = (TITLE, ITEM_ID, "semantic_id", DOMAIN)
    several = len(catalog.domains) > 1
    left = len(catalog) - len(rows)
    items = table(
        heading if several else heading[:3],
        [row if several else row[:3] for row in rows],
        note=f"… and {left:,} more items" if left else "" if rows else "There are no items.",
    )
    return block(facts("Catalogue of semantic IDs", values), items)

"""What a notebook shows of a recommender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..notebook import facts
from .ranks import ALL_ITEMS, UNSEEN_ITEMS

if TYPE_CHECKING:
    from .recommender import Recommender


def recommender_html(recommender: Recommender) -> str:
    """What it recommends, how, and what it can do besides, as a table for a notebook."""
    ranker, catalog, model = recommender.ranker, recommender.catalog, recommender.model
    parameters = model.num_parameters()
    protocol = UNSEEN_ITEMS if recommender.exclude_seen else ALL_ITEMS
    share = ranker.weights.get(protocol, 0.0) if ranker.prior is not None else 0.0
    others = [name for name in catalog.domains if name != recommender.domain]
    new = len(recommender.new_items.of(recommender.domain))
    values = {
        "items": f"{len(recommender.items):,}",
        "further domains in the catalogue": ", ".join(others) or None,
        "semantic IDs": f"{catalog.num_levels} levels of "
        + " x ".join(map(str, catalog.codebook_sizes))
        + " codes",
        "items of the history": "left out" if recommender.exclude_seen else "may be recommended",
        "item graph": f"{share:.0%} of the score" if share else "none",
        "re-ranked": None
        if ranker.reranker is None
        else f"the first {ranker.reranker.length} items, by a small network",
        "items added since the training": f"{new:,}" if new else None,
        "codes new items": _coding(recommender),
        "model": f"{parameters:,} parameters, reads the latest {model.config.max_items} items",
    }
    return facts(f"Recommender for {recommender.domain}", values)


def _coding(recommender: Recommender) -> str:
    """Whether `add_items` works, and from what."""
    if recommender.coder is None:
        return "no: its semantic IDs were imported"
    if not len(recommender.coder.encoders):
        return "no: it was trained on interactions alone"
    return f"yes, from {' and '.join(recommender.coder.encoders)}"

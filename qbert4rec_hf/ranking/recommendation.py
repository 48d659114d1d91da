"""One recommended item."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recommendation:
    """An item and why it stands where it stands.

    Attributes:
        item_id: as the shop writes it.
        title: as in the catalogue, or None.
        score: probability of being the next item (`similar_items`: cosine similarity).
        semantic_id: the item's tokens, such as `<a_2><b_3><c_1><d_6>`.
        cold_start: the history told nothing (empty, or no item of it is known): popular items.
    """

    item_id: str
    title: str | None
    score: float
    semantic_id: str
    cold_start: bool = False

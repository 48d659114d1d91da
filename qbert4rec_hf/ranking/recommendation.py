"""Recommended items, and how a notebook or a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import SupportsIndex, overload

from ..notebook import NOTHING, block, code, columns, meter, paragraph, table, unbroken

COLD_START = "Nothing is known of this history: these are the most popular items."
NO_CANDIDATE = "No item is left that may be recommended."
SHOWN_HISTORIES = 5


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


class Recommendations(list[Recommendation]):
    """A list of recommendations, best first, that a notebook shows as a table.

    In everything else it is a list: it equals one with the same entries, `pandas.DataFrame` takes
    it, and a slice is of this kind again.

    Example:
        >>> from qbert4rec_hf.ranking.recommendation import Recommendation, Recommendations
        >>> found = [Recommendation("mug-01", "Mug", 0.5, "<a_1><b_2>")]
        >>> Recommendations(found) == found
        True
        >>> Recommendations(found)
            score  item_id  title  semantic_id
        1  0.5000  mug-01   Mug    <a_1><b_2>
    """

    @overload
    def __getitem__(self, place: SupportsIndex) -> Recommendation: ...

    @overload
    def __getitem__(self, place: slice) -> Recommendations: ...

    def __getitem__(self, place: SupportsIndex | slice) -> Recommendation | Recommendations:
        found = super().__getitem__(place)
        return Recommendations(found) if isinstance(place, slice) else found

    def __repr__(self) -> str:
        if not self:
            return "Recommendations([])"
        rows = [
            (place, _score(item.score), item.item_id, item.title or NOTHING, item.semantic_id)
            for place, item in enumerate(self, start=1)
        ]
        shown = columns(("", "score", "item_id", "title", "semantic_id"), rows, numbers=(0, 1))
        return f"{shown}\n{COLD_START}" if any(item.cold_start for item in self) else shown

    def _repr_html_(self) -> str:
        return self._html()

    def _html(self, caption: str = "") -> str:
        best = max((item.score for item in self), default=0.0)
        rows = [
            (
                item.title or NOTHING,
                unbroken(item.item_id),
                code(item.semantic_id),
                meter(_score(item.score), item.score / best if best > 0 else 0.0),
            )
            for item in self
        ]
        note = NO_CANDIDATE
        if self:
            note = COLD_START if any(item.cold_start for item in self) else ""
        return table(
            ("title", "item_id", "semantic_id", "score"),
            rows,
            caption=caption,
            note=note,
            numbers=1,
        )


class RecommendationLists(list[Recommendations]):
    """One list of recommendations a history; a notebook shows the first few as tables.

    Example:
        >>> from qbert4rec_hf.ranking.recommendation import RecommendationLists, Recommendations
        >>> RecommendationLists([Recommendations()])
        history 0:
        Recommendations([])
    """

    def __init__(self, lists: Iterable[Iterable[Recommendation]] = ()) -> None:
        super().__init__(map(Recommendations, lists))

    def __repr__(self) -> str:
        if not self:
            return "RecommendationLists([])"
        parts = [f"history {number}:\n{found!r}" for number, found in self._shown()]
        return "\n\n".join([*parts, self._more] if self._more else parts)

    def _repr_html_(self) -> str:
        parts = [found._html(f"History {number}") for number, found in self._shown()]
        more = self._more if self else "There were no histories."
        return block(*parts, paragraph(more) if more else "")

    def _shown(self) -> list[tuple[int, Recommendations]]:
        return list(enumerate(self[:SHOWN_HISTORIES]))

    @property
    def _more(self) -> str:
        left = len(self) - SHOWN_HISTORIES
        return f"… and {left:,} more histories" if left > 0 else ""


def _score(score: float) -> str:
    """Four decimals, or the order of magnitude of what these would round to nothing."""
    return f"{score:.4f}" if not score or abs(score) >= 0.00005 else f"{score:.1e}"

"""Why an item stands where it stands: measured, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ..data.sequences import Sequences
from ..errors import QBert4RecError
from ..semantic_ids.code_tree import CodeTree, PrefixNeighbour, shared_levels
from .query_attention import query_attention
from .ranks import ALL_ITEMS, UNSEEN_ITEMS, mask_items

if TYPE_CHECKING:
    from ..semantic_ids.catalogue import ItemCatalog
    from .new_items import NewItemIds
    from .ranker import Ranker

# Histories that are scored at a time, which bounds memory for large catalogues.
_BATCH_SIZE = 32


@dataclass(frozen=True)
class HistoryInfluence:
    """What one item of the history did to a score.

    Attributes:
        item_id: the item of the history.
        title: as in the catalogue, or None.
        semantic_id: its own.
        effect: by how much the score falls when the history is scored without this item; below
            zero for an item that speaks against the recommendation. Effects do not add up to the
            score: two items that say the same can each be left out without loss.
        score_without: the score without this item.
        rank_without: the place without this item; None where it would be no candidate.
        attention: share of the query's attention, mean over layers and heads (see
            `query_attention`); None for an item that is too long ago for the model to read.
        shared_levels: how many of the first codes it shares with the recommended item.
    """

    item_id: str
    title: str | None
    semantic_id: str
    effect: float
    score_without: float
    rank_without: int | None
    attention: float | None
    shared_levels: int


@dataclass(frozen=True)
class Explanation:
    """Where an item stands for a history, and what brought it there.

    Attributes:
        item_id: the item in question.
        title: as in the catalogue, or None.
        semantic_id: its own.
        score: as `recommend` gives it; the sum of the three parts that follow.
        from_model: the part of the sequence model. What happens to the mixture afterwards (the
            ranker's `seen_weight`, re-ranking) happens to this part and the next alike.
        from_graph: the part of the item graph.
        from_popularity: the whole score, where the history is empty and popularity is known.
        rank: place in the ranking, from 1; None if the item is in the history and seen items are
            left out.
        num_candidates: items that were ranked.
        influences: what each item of the history did, oldest first.
        neighbours: items that share the longest beginning of the semantic ID.
        spoken_for_by: trained items whose mean score stands for this one, if it was added after
            training.
    """

    item_id: str
    title: str | None
    semantic_id: str
    score: float
    from_model: float
    from_graph: float
    from_popularity: float
    rank: int | None
    num_candidates: int
    influences: list[HistoryInfluence]
    neighbours: list[PrefixNeighbour]
    spoken_for_by: list[str]


class ExplainedRanking:
    """`explain` and `code_tree` of a `Recommender`."""

    items: ItemCatalog
    ranker: Ranker
    domain: str
    exclude_seen: bool
    new_items: NewItemIds

    @property
    def code_tree(self) -> CodeTree:
        """The tree that the semantic IDs of the domain form; built when it is first asked for."""
        tree: CodeTree | None = self.__dict__.get("_code_tree")
        if tree is None or tree.catalog is not self.items:
            tree = CodeTree(self.items)
            self.__dict__["_code_tree"] = tree
        return tree

    def explain(
        self,
        history: Sequence[str],
        item_id: str,
        *,
        exclude_seen: bool | None = None,
        unknown: Literal["error", "skip"] = "error",
        neighbours: int = 5,
    ) -> Explanation:
        """Says why an item stands where it stands in `recommend(history)`.

        Every item of the history is left out once and all is scored again, so an effect is what
        would really happen without that item, in model and item graph together.

        Args:
            history: item ids of one user, oldest first.
            item_id: the item in question, recommended or not.
            exclude_seen: as in `recommend`.
            unknown: as in `recommend`, for the items of the history.
            neighbours: how many items with a similar semantic ID to name; 0 for none.

        Raises:
            QBert4RecError: an unknown item id, or something that is no history.

        Example:
            ```python
            why = recommender.explain(["ITEM-1", "ITEM-2"], "ITEM-7")
            for influence in why.influences:
                print(f"{influence.item_id}: {influence.effect:+.3f}")
            ```
        """
        if isinstance(history, str) or not all(isinstance(entry, str) for entry in history):
            raise QBert4RecError(f"history must be a list of item ids, got {history!r}")
        if neighbours < 0:
            raise QBert4RecError(f"neighbours must be 0 or more, got {neighbours}")
        rows = self.items.rows(history, missing=unknown)
        row = int(self.items.rows([item_id])[0])
        exclude_seen = self.exclude_seen if exclude_seen is None else exclude_seen
        protocol = UNSEEN_ITEMS if exclude_seen else ALL_ITEMS
        found = self._scores_and_ranks(
            Sequences.from_lists([rows, *(np.delete(rows, step) for step in range(len(rows)))]),
            row,
            protocol,
            exclude_seen,
        )
        score, rank = found[0]
        seen = len(set(rows.tolist())) if exclude_seen else 0
        codes = self.items.codes
        influences = [
            HistoryInfluence(
                item_id=self.items.item_ids[entry],
                title=self.items.titles[entry],
                semantic_id=self.items.encode(self.items.item_ids[entry]),
                effect=score - without,
                score_without=without,
                rank_without=rank_without,
                attention=attention,
                shared_levels=shared_levels(codes[entry].tolist(), codes[row].tolist()),
            )
            for entry, attention, (without, rank_without) in zip(
                rows.tolist(), self._attention(rows), found[1:], strict=True
            )
        ]
        nearest = self.code_tree.nearest(item_id, count=neighbours) if neighbours else []
        from_model, from_graph, from_popularity = self._parts_of(rows, row, protocol, score)
        return Explanation(
            item_id=item_id,
            title=self.items.titles[row],
            semantic_id=self.items.encode(item_id),
            score=score,
            from_model=from_model,
            from_graph=from_graph,
            from_popularity=from_popularity,
            rank=rank,
            num_candidates=len(self.items) - seen,
            influences=influences,
            neighbours=nearest,
            spoken_for_by=list(self.new_items.of(self.domain).get(item_id, [])),
        )

    def _scores_and_ranks(
        self, histories: Sequences, row: int, protocol: str, exclude_seen: bool
    ) -> list[tuple[float, int | None]]:
        """Score and place of one item after each history."""
        found: list[tuple[float, int | None]] = []
        for start in range(0, len(histories), _BATCH_SIZE):
            stop = min(start + _BATCH_SIZE, len(histories))
            batch = histories.take(np.arange(start, stop))
            scores = self.ranker.scores(batch, protocol)
            ranked = mask_items(scores, batch) if exclude_seen else scores
            at_item = ranked[:, row, None]
            # Of equal scores the item that stands first in the catalogue comes first, as in top_k.
            ahead = (ranked > at_item).sum(dim=1) + (ranked[:, :row] == at_item).sum(dim=1)
            for value, place, candidate in zip(
                scores[:, row].tolist(),
                ahead.tolist(),
                (at_item[:, 0] > -torch.inf).tolist(),
                strict=True,
            ):
                found.append((value, place + 1 if candidate else None))
        return found

    def _parts_of(
        self, rows: np.ndarray, row: int, protocol: str, score: float
    ) -> tuple[float, float, float]:
        """The shares of model, item graph and popularity in a score."""
        prior = self.ranker.prior
        if prior is not None and not len(rows):
            return 0.0, 0.0, score
        if prior is None:
            return score, 0.0, 0.0
        history = Sequences.from_lists([rows])
        of_model, of_graph = self.ranker.parts(history, protocol)
        mixed = float(of_model[0, row] + of_graph[0, row])
        from_model = score * (float(of_model[0, row]) / mixed) if mixed else 0.0
        return from_model, score - from_model, 0.0

    def _attention(self, rows: np.ndarray) -> list[float | None]:
        """The query's attention to each item of a history; None for those that are not read."""
        if not len(rows):
            return []
        model = self.ranker.model
        read = rows[-model.config.max_items :]
        tokens = torch.from_numpy(np.asarray(self.items.tokens())[read])
        weights = query_attention(model, tokens, self.ranker.domain)[:-1].tolist()
        return [None] * (len(rows) - len(read)) + weights

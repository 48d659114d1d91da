"""The tree that semantic IDs form: which items share how much of their ID."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import QBert4RecError
from .tokenization_semantic_id import semantic_id_text

if TYPE_CHECKING:
    from .catalogue import ItemCatalog

_TOKEN = re.compile(r"<([a-z]+)_([0-9]{1,18})>")


@dataclass(frozen=True)
class CodeGroup:
    """The items below one node of the tree.

    Attributes:
        prefix: codes of the first levels.
        text: the same as tokens, such as `<a_2><b_3>`.
        num_items: items whose semantic ID begins so.
    """

    prefix: tuple[int, ...]
    text: str
    num_items: int


@dataclass(frozen=True)
class PrefixNeighbour:
    """An item and how much of a semantic ID it shares.

    Attributes:
        item_id: as the shop writes it.
        title: as in the catalogue, or None.
        semantic_id: the item's own.
        shared_levels: how many of the first codes are equal, one after the other.
    """

    item_id: str
    title: str | None
    semantic_id: str
    shared_levels: int


class CodeTree:
    """The items of one domain as the leaves of a tree, its branches the codes of each level.

    The first code of a semantic ID says most about an item, every further one refines it, so items
    below the same node are alike, the more so the deeper it lies.

    Args:
        catalog: of one domain (`recommender.items`, or `catalog.subset(domain)`).

    Raises:
        QBert4RecError: the catalogue holds several domains.

    Example:
        ```python
        tree = recommender.code_tree
        for group in tree.groups("<a_2>"):
            print(group.text, group.num_items)
        tree.nearest("ITEM-1", count=5)
        ```
    """

    def __init__(self, catalog: ItemCatalog) -> None:
        if len(catalog.domains) > 1:
            raise QBert4RecError(
                f"a code tree is of one domain, this catalogue holds {', '.join(catalog.domains)}; "
                "choose one with catalog.subset(domain)"
            )
        self.catalog = catalog
        self._order = np.lexsort(catalog.codes.T[::-1])
        self._sorted = catalog.codes[self._order]

    def __len__(self) -> int:
        return len(self._order)

    def __repr__(self) -> str:
        return f"CodeTree(items={len(self)}, levels={self.catalog.num_levels})"

    def rows(self, prefix: str | Sequence[int] = ()) -> np.ndarray:
        """Catalogue rows of the items below a node, `[items]` int64, in the order of their IDs.

        Args:
            prefix: codes or tokens of the first levels; none for all items.

        Raises:
            QBert4RecError: the prefix is none of these levels.
        """
        start, stop = self._range(self._codes(prefix))
        return self._order[start:stop]

    def groups(self, prefix: str | Sequence[int] = ()) -> list[CodeGroup]:
        """The nodes right below a node, by their code; none below a whole semantic ID.

        Args:
            prefix: codes or tokens of the first levels; none for the root.

        Raises:
            QBert4RecError: the prefix is none of these levels.
        """
        codes = self._codes(prefix)
        if len(codes) == self.catalog.num_levels:
            return []
        start, stop = self._range(codes)
        found, counts = np.unique(self._sorted[start:stop, len(codes)], return_counts=True)
        return [
            CodeGroup((*codes, code), semantic_id_text((*codes, code)), count)
            for code, count in zip(found.tolist(), counts.tolist(), strict=True)
        ]

    def nearest(
        self, item: str | Sequence[int], *, count: int = 5, exclude: Collection[str] = ()
    ) -> list[PrefixNeighbour]:
        """The items that share the longest beginning of a semantic ID, one code at least.

        Of those that share equally much, the ones come first that agree in more of the later codes
        too, then those that stand first in the catalogue.

        Args:
            item: item id, or the codes of a semantic ID that no item need have.
            count: how many at most.
            exclude: item ids to leave out; an item is never its own neighbour.

        Raises:
            QBert4RecError: an unknown item id, codes that are no whole semantic ID, or a `count`
                below 1.
        """
        if count < 1:
            raise QBert4RecError(f"count must be at least 1, got {count}")
        left_out = set(exclude)
        if isinstance(item, str):
            codes = tuple(self.catalog.codes[self.catalog.rows([item])[0]].tolist())
            left_out.add(item)
        else:
            codes = self._codes(item)
        levels = self.catalog.num_levels
        if len(codes) != levels:
            raise QBert4RecError(f"a semantic ID has {levels} codes, got {len(codes)}: {codes}")
        found: list[PrefixNeighbour] = []
        inner: tuple[int, int] | None = None
        for shared in range(levels, 0, -1):
            start, stop = self._range(codes[:shared])
            # Those that share one code more, if any, are a stretch inside this one and had their
            # turn.
            done_from, done_to = inner or (start, start)
            rows = np.concatenate([self._order[start:done_from], self._order[done_to:stop]])
            equal = (self.catalog.codes[rows] == codes).sum(axis=1)
            for row in rows[np.lexsort((rows, -equal))].tolist():
                if self.catalog.item_ids[row] not in left_out:
                    found.append(self._neighbour(row, shared))
                    if len(found) == count:
                        return found
            if stop > start:
                inner = (start, stop)
        return found

    def _neighbour(self, row: int, shared: int) -> PrefixNeighbour:
        return PrefixNeighbour(
            item_id=self.catalog.item_ids[row],
            title=self.catalog.titles[row],
            semantic_id=semantic_id_text(self.catalog.codes[row].tolist()),
            shared_levels=shared,
        )

    def _range(self, codes: Sequence[int]) -> tuple[int, int]:
        """Where the items below a node begin and end in the order of IDs."""
        start, stop = 0, len(self._order)
        for level, code in enumerate(codes):
            column = self._sorted[start:stop, level]
            left, right = np.searchsorted(column, [code, code + 1])
            start, stop = start + int(left), start + int(right)
        return start, stop

    def _codes(self, prefix: str | Sequence[int]) -> tuple[int, ...]:
        if isinstance(prefix, str):
            codes = parse_prefix(prefix)
        else:
            codes = tuple(int(code) for code in prefix)
        sizes = self.catalog.codebook_sizes
        if len(codes) > len(sizes) or any(
            not 0 <= code < size for code, size in zip(codes, sizes, strict=False)
        ):
            raise QBert4RecError(
                f"{prefix!r} is no beginning of a semantic ID of this catalogue; its codebooks "
                f"hold {', '.join(map(str, sizes))} codes"
            )
        return codes


def parse_prefix(text: str) -> tuple[int, ...]:
    """Tokens of the first levels as codes; the empty text is the root.

    Raises:
        QBert4RecError: the text is no row of tokens from the first level on.

    Example:
        >>> parse_prefix("<a_2><b_3>")
        (2, 3)
    """
    text = text.strip()
    codes = tuple(int(code) for _, code in _TOKEN.findall(text))
    # Written again, so that levels out of order and text between tokens are noticed.
    if semantic_id_text(codes) != text:
        raise QBert4RecError(
            f"{text!r} is no beginning of a semantic ID; write tokens from the first level on, "
            "such as <a_2><b_3>"
        )
    return codes


def shared_levels(first: Sequence[int], second: Sequence[int]) -> int:
    """How many of the first codes two semantic IDs share, one after the other.

    Example:
        >>> shared_levels([2, 3, 1], [2, 3, 4])
        2
    """
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count

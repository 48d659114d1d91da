"""What a new item would be, without adding it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns import ITEM_ID, TITLE
from ..errors import QBert4RecError
from ..semantic_ids.code_tree import PrefixNeighbour
from ..semantic_ids.tokenization_semantic_id import semantic_id_text
from .explain import ExplainedRanking
from .living_catalogue import LivingCatalogue
from .new_items import NEIGHBOURS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ItemPreview:
    """What `add_items` would make of a new item.

    Attributes:
        item_id: as given.
        title: as given, or None.
        semantic_id: the free semantic ID that it would get.
        codes: the same as codes.
        wanted_codes: what the quantizer says before IDs that are taken are avoided; the same unless
            another item stands there already.
        modalities: which of the model's encoders found something to read, by modality. Where none
            did, the semantic ID says nothing of the item.
        speaking: trained items whose mean score would stand for it until the next training, nearest
            content first; none where nothing was read.
        neighbours: present items that share the longest beginning of the semantic ID; none where
            nothing was read.
    """

    item_id: str
    title: str | None
    semantic_id: str
    codes: tuple[int, ...]
    wanted_codes: tuple[int, ...]
    modalities: dict[str, bool]
    speaking: list[str]
    neighbours: list[PrefixNeighbour]

    @property
    def known(self) -> bool:
        """Whether any encoder found something to read."""
        return any(self.modalities.values())


class PreviewedCatalogue(LivingCatalogue, ExplainedRanking):
    """`preview_items` of a `Recommender`: `add_items` as a question."""

    def preview_items(
        self,
        items: pd.DataFrame | Sequence[Mapping[str, Any]],
        *,
        images_root: str | os.PathLike | None = None,
        neighbours: int = NEIGHBOURS,
    ) -> list[ItemPreview]:
        """Says which semantic IDs new items would get, and beside which items, changing nothing.

        The catalogue stays as it is, so one loaded model can answer many visitors at once. What
        `add_items` does with the same items afterwards is what is said here.

        Args:
            items: as in `add_items`.
            images_root: folder that image paths are relative to.
            neighbours: how many items to name in `speaking` and in `neighbours`.

        Raises:
            QBert4RecError: as `add_items`, or `neighbours` below 1.

        Example:
            ```python
            (preview,) = recommender.preview_items([{"item_id": "new", "title": "Enamel bowl"}])
            print(preview.semantic_id, preview.speaking)
            ```
        """
        if neighbours < 1:
            raise QBert4RecError(f"neighbours must be at least 1, got {neighbours}")
        frame = self._table_of_new(items)
        features = self.coder.read(frame, images_root)
        read = {name: part.present for name, part in features.modalities.items()}
        known = np.logical_or.reduce(list(read.values()))
        embeddings = self.coder.fuse(*features.as_tensors())
        wanted, _ = self.coder.quantizer.encode(embeddings.to(self.coder.quantizer.device))
        codes = self.coder.assign(embeddings, self.items.codes)
        speaking = self._neighbours(embeddings, known, neighbours)
        return [
            ItemPreview(
                item_id=item_id,
                title=title,
                semantic_id=semantic_id_text(codes[row].tolist()),
                codes=tuple(codes[row].tolist()),
                wanted_codes=tuple(wanted[row].tolist()),
                modalities={name: bool(present[row]) for name, present in read.items()},
                speaking=speaking[row],
                neighbours=self.code_tree.nearest(codes[row].tolist(), count=neighbours)
                if known[row]
                else [],
            )
            for row, (item_id, title) in enumerate(
                zip(frame[ITEM_ID].tolist(), frame[TITLE].tolist(), strict=True)
            )
        ]

"""From a new item's text and images to its semantic ID: encoders, fusion and quantizer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..columns import IMAGES, ITEM_ID, TEXT, TITLE
from ..errors import QBert4RecError
from ..features.encoder_set import EncoderSet
from ..fusion.modeling_fusion import QBert4RecFusionModel
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from ..semantic_ids.collisions import reallocate

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class ItemCoder:
    """The frozen stages 1 and 2 of a model folder.

    Attributes:
        encoders: fitted text and image encoders.
        fusion: used with its shared ID query.
        quantizer: turns fused embeddings into codes.
    """

    encoders: EncoderSet
    fusion: QBert4RecFusionModel
    quantizer: QBert4RecQuantizerModel

    @staticmethod
    def table(items: pd.DataFrame | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """New items as an items table; absent columns are empty.

        Raises:
            QBert4RecError: a row without `item_id`, or an id that occurs twice.
        """
        import pandas as pd

        from ..data.tables import check_items, table_of_frame

        frame = items.copy() if isinstance(items, pd.DataFrame) else pd.DataFrame(list(items))
        if ITEM_ID not in frame or not len(frame):
            raise QBert4RecError(f"new items need rows with {ITEM_ID!r}, got {list(frame.columns)}")
        if TITLE not in frame:
            frame[TITLE] = None
        for column in (TEXT, IMAGES):
            if column not in frame:
                frame[column] = [[] for _ in range(len(frame))]
            frame[column] = [
                [value] if isinstance(value, str) else list(value) if _is_list(value) else []
                for value in frame[column]
            ]
        return check_items(table_of_frame(frame, "new items"))

    def code(
        self, items: pd.DataFrame, images_root: str | os.PathLike | None, *, taken: np.ndarray
    ) -> np.ndarray:
        """Semantic IDs that no item has yet.

        Args:
            items: as `table` gives them.
            images_root: folder that image paths are relative to.
            taken: `[present items, levels]`, IDs of the domain, which stay as they are.

        Returns:
            `[items, levels]` int64.
        """
        root = None if images_root is None else Path(images_root)
        features = self.encoders.encode_items(items, root)
        codes, distances = self.encode(*features.as_tensors())
        return reallocate(codes, distances, list(self.quantizer.codebook_sizes), fixed=taken).codes

    @torch.no_grad()
    def encode(
        self, vectors: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Codes `[items, levels]` and distances `[items, levels, codes]` before reallocation."""
        device = self.fusion.device
        names = list(self.fusion.config.modalities)
        count = len(next(iter(vectors.values())))
        absent = {
            name: torch.zeros(count, 1, self.fusion.config.modalities[name])
            for name in names
            if name not in vectors
        }
        vectors = {name: vectors.get(name, absent.get(name)).to(device) for name in names}
        masks = {
            name: masks.get(name, torch.zeros(count, 1, dtype=torch.bool)).to(device)
            for name in names
        }
        fused = self.fusion.embed(vectors, masks).fused
        codes, distances = self.quantizer.encode(fused.to(self.quantizer.device))
        return codes.cpu().numpy(), distances.cpu().numpy()


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)

"""From a new item's text and images to its semantic ID: encoders, fusion and quantizer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.utils import logging

from ..columns import IMAGES, ITEM_ID, TEXT, TITLE
from ..errors import QBert4RecError
from ..features.encoder_set import EncoderSet
from ..fusion.modeling_fusion import QBert4RecFusionModel
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from ..semantic_ids.collisions import reallocate

if TYPE_CHECKING:
    import pandas as pd

    from ..features.store import ItemFeatures

logger = logging.get_logger(__name__)

# New items and present items that are compared at a time, which bounds memory.
_NEW_ROWS, _PRESENT_ROWS = 1024, 16384


@dataclass
class ItemCoder:
    """The frozen stages 1 and 2 of a model folder.

    Attributes:
        encoders: fitted text and image encoders; none for a model of interactions alone.
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

    def read(
        self, items: pd.DataFrame, images_root: str | os.PathLike | None = None
    ) -> ItemFeatures:
        """What the encoders make of new items, modality by modality.

        Args:
            items: as `table` gives them.
            images_root: folder that image paths are relative to.

        Raises:
            QBert4RecError: the model has no encoder, because it knows interactions only.
        """
        if not len(self.encoders):
            raise QBert4RecError(
                "this model was trained on interactions alone, without texts or images, so there "
                "is nothing to code a new item from; train it again once the item has interactions"
            )
        root = None if images_root is None else Path(images_root)
        return self.encoders.encode_items(items, root)

    def embed(
        self, items: pd.DataFrame, images_root: str | os.PathLike | None = None
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Fuses what is known of new items, by the shared query.

        Args:
            items: as `table` gives them.
            images_root: folder that image paths are relative to.

        Returns:
            Embeddings `[items, hidden]`, and which items have any content `[items]`; the embedding
            of the others says nothing.

        Raises:
            QBert4RecError: the model has no encoder, because it knows interactions only.
        """
        features = self.read(items, images_root)
        known = np.zeros(len(items), dtype=bool)
        for part in features.modalities.values():
            known |= part.present
        if not known.all():
            names = items[ITEM_ID][~known].tolist()
            logger.warning(
                f"{len(names)} new items have none of {', '.join(self.encoders)}, such as "
                f"{names[0]!r}; their semantic IDs say nothing of them"
            )
        return self.fuse(*features.as_tensors()), known

    @torch.no_grad()
    def fuse(
        self, vectors: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Embeddings `[items, hidden]` of features; modalities that are not given are masked.

        Args:
            vectors: `[items, vectors, features]` by modality, one at least.
            masks: `[items, vectors]` by modality.
        """
        device = self.fusion.device
        return self.fusion.embed(
            {name: values.to(device) for name, values in vectors.items()},
            {name: mask.to(device) for name, mask in masks.items()},
        ).fused

    def assign(self, embeddings: torch.Tensor, taken: np.ndarray) -> np.ndarray:
        """Semantic IDs that no item has yet.

        Args:
            embeddings: `[items, hidden]`, as `embed` gives them.
            taken: `[present items, levels]`, IDs of the domain, which stay as they are.

        Returns:
            `[items, levels]` int64.

        Raises:
            QBert4RecError: no free semantic ID is left.
        """
        codes, distances = self.quantizer.encode(embeddings.to(self.quantizer.device))
        return reallocate(
            codes.cpu().numpy(),
            distances.cpu().numpy(),
            list(self.quantizer.codebook_sizes),
            fixed=taken,
        ).codes

    @torch.no_grad()
    def nearest(
        self, embeddings: torch.Tensor, codes: np.ndarray, candidates: np.ndarray, count: int
    ) -> np.ndarray:
        """The present items whose semantic IDs stand for the most similar content.

        Compared are directions from the mean item: the new item's embedding, and what the quantizer
        makes of a present item's codes. So nothing but its codes need be known of an old item.

        Args:
            embeddings: `[items, hidden]`, as `embed` gives them.
            codes: `[present items, levels]`.
            candidates: `[candidates]`, rows of the present items that may be chosen.
            count: how many; fewer where there are fewer candidates.

        Returns:
            `[items, count]` int64, rows of present items, nearest first.
        """
        device, centre = self.quantizer.device, self.quantizer.input_mean
        count = min(count, len(candidates))
        found = []
        for start in range(0, len(embeddings), _NEW_ROWS):
            new = _directions(embeddings[start : start + _NEW_ROWS].to(device) - centre)
            best = new.new_full((len(new), count), -torch.inf)
            rows = torch.zeros(len(new), count, dtype=torch.long, device=device)
            for first in range(0, len(candidates), _PRESENT_ROWS):
                part = np.asarray(candidates[first : first + _PRESENT_ROWS], dtype=np.int64)
                present = self.quantizer.decode(torch.from_numpy(codes[part]).to(device))
                both = torch.cat([best, new @ _directions(present - centre).T], dim=1)
                part_rows = torch.from_numpy(part).to(device).expand(len(new), -1)
                best, chosen = both.topk(count, dim=1)
                rows = torch.cat([rows, part_rows], dim=1).gather(1, chosen)
            found.append(rows.cpu().numpy())
        return np.concatenate(found) if found else np.zeros((0, count), dtype=np.int64)


def _directions(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)

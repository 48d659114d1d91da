"""Vectors from codes that were published with a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..columns import CODES_FOLDER, ITEM_ID, ITEMS, TEXT_MODALITY
from ..data.codes import load_codes
from ..data.tables import check_items, read_tables
from ..errors import QBert4RecError
from ..files import fingerprint, inside
from .base import FeatureEncoder, register_encoder
from .progress import Bar, progress_bar
from .store import ModalityFeatures
from .structural import unit


def code_vectors(
    codes: np.ndarray,
    dim: int,
    *,
    decay: float = 0.5,
    normalize: bool = True,
    seed: int = 0,
    name: str = "",
) -> np.ndarray:
    """Turns tuples of codes into vectors.

    Every code of every level has a random codeword of unit length that depends on seed, name,
    level and code only, so the same code means the same in every domain and run. The codewords of
    an item are scaled by `decay` per level and summed: as in a residual quantizer, a lower level
    refines the one above.

    Args:
        codes: `[items, levels]`, int64.
        dim: length of a vector.
        decay: factor from one level to the next.
        normalize: scale the sums to unit length.
        seed: of the codewords.
        name: of the set of codes; sets of different names get different codewords.

    Returns:
        `[items, dim]`, float32.
    """
    total = np.zeros((len(codes), dim))
    words = int(fingerprint(name), 16)
    for level in range(codes.shape[1]):
        generator = np.random.default_rng([seed, words, level])
        # Drawn row after row: a larger codebook leaves the first codewords as they were.
        codewords = generator.standard_normal((int(codes[:, level].max(initial=0)) + 1, dim))
        total += decay**level * unit(codewords)[codes[:, level]]
    return (unit(total) if normalize else total).astype(np.float32)


@register_encoder
class CodesEncoder(FeatureEncoder):
    """Imported codes as features: stands in for content that was published as codes only.

    Reads `codes/<key>.parquet` of the domain folder (see `import_published`). Items that join
    later have no codes and so no vector.

    Args:
        key: name of the code file, for instance "lemb".
        modality: what the codes were made from; "text" or "image".
        dim: length of a vector.
        decay: factor from one level of codes to the next.
        normalize: scale vectors to unit length.
        seed: of the codewords.

    Raises:
        QBert4RecError: a setting out of range.
    """

    kind = "codes"

    def __init__(
        self,
        *,
        key: str,
        modality: str = TEXT_MODALITY,
        dim: int = 128,
        decay: float = 0.5,
        normalize: bool = True,
        seed: int = 0,
    ) -> None:
        if dim < 1 or not 0 < decay <= 1:
            raise QBert4RecError(
                f"dim must be 1 or more and decay above 0 and up to 1, got {dim} and {decay}"
            )
        self.key = key
        self.modality = modality
        self._dim = dim
        self.decay = decay
        self.normalize = normalize
        self.seed = seed
        self._read: tuple[Path, dict[str, int], np.ndarray] | None = None

    @property
    def dim(self) -> int:
        return self._dim

    def config(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "modality": self.modality,
            "dim": self._dim,
            "decay": self.decay,
            "normalize": self.normalize,
            "seed": self.seed,
        }

    def available(self, root: Path | None) -> bool:
        return root is not None and self._path(root).is_file()

    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | Bar = True
    ) -> ModalityFeatures:
        codes, known = self._codes(items, root)
        with progress_bar(progress, len(items), f"{self.key} codes") as advance:
            vectors = code_vectors(
                codes,
                self._dim,
                decay=self.decay,
                normalize=self.normalize,
                seed=self.seed,
                name=self.key,
            )
            advance(len(items))
        return ModalityFeatures(vectors[:, None], known[:, None])

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        self._read = None  # the file may have changed since
        return fingerprint(*self._codes(items, root))

    def _path(self, root: Path) -> Path:
        return inside(Path(root) / CODES_FOLDER, f"{self.key}.parquet", "the codes encoder")

    def _codes(self, items: pd.DataFrame, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        """Codes `[items, levels]` and which items have some `[items]`."""
        if root is None:
            return np.zeros((len(items), 1), np.int64), np.zeros(len(items), bool)
        if self._read is None or self._read[0] != Path(root):
            found = load_codes(root)
            if self.key not in found:
                raise QBert4RecError(
                    f"{self._path(root)} does not exist; the domain "
                    f"has {', '.join(sorted(found)) or 'no'} codes"
                )
            ids = check_items(read_tables(Path(root), ITEMS))[ITEM_ID].tolist()
            rows = {item_id: row for row, item_id in enumerate(ids)}
            self._read = (Path(root), rows, found[self.key].codes)
        _, rows, codes = self._read
        index = np.array([rows.get(item_id, -1) for item_id in items[ITEM_ID]], dtype=np.int64)
        known = index >= 0
        if not len(codes):
            return np.zeros((len(items), 1), np.int64), known
        return np.where(known[:, None], codes[index], 0), known

"""Ready embeddings from a Parquet file, so that a user's own encoder needs no code here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..columns import ITEM_ID, TEXT_MODALITY
from ..errors import QBert4RecError
from ..files import fingerprint, inside
from .base import FeatureEncoder, not_fitted, register_encoder
from .progress import Bar, progress_bar
from .store import ModalityFeatures
from .structural import unit

if TYPE_CHECKING:
    from ..data.domain import Domain

_HASHED_BLOCK = 1 << 20


@register_encoder
class ParquetEncoder(FeatureEncoder):
    """Embeddings that were made elsewhere, keyed by item_id.

    The file has a column item_id and one or several columns that hold lists of numbers, all of the
    same length. Items that it lacks, and nulls, are items without a vector; its rows for items
    that the domain lacks are ignored.

    Args:
        path: the file, or a folder of shards. A relative path is one inside the domain folder, so
            that each domain can bring its own; it is never looked for in the working directory.
        columns: the columns; each gives one vector an item.
        modality: name of the modality.
        normalize: scale vectors to unit length.
        dim: length of a vector, where it is known; `fit` reads it from the file.

    Raises:
        QBert4RecError: no columns.
    """

    kind = "parquet"

    def __init__(
        self,
        *,
        path: str,
        columns: Sequence[str] = ("embedding",),
        modality: str = TEXT_MODALITY,
        normalize: bool = False,
        dim: int | None = None,
    ) -> None:
        columns = (columns,) if isinstance(columns, str) else tuple(columns)
        if not columns:
            raise QBert4RecError("ready embeddings need a column; the usual name is embedding")
        self.path = str(path)
        self.columns = columns
        self.modality = modality
        self.normalize = normalize
        self._dim = dim
        self._read: tuple[Path, dict[str, int], np.ndarray, np.ndarray] | None = None

    @property
    def dim(self) -> int:
        if self._dim is None:
            raise not_fitted(self)
        return self._dim

    def config(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "columns": list(self.columns),
            "modality": self.modality,
            "normalize": self.normalize,
            "dim": self._dim,
        }

    def fit(self, domains: list[Domain]) -> None:
        """Reads the files of the domains, for their dimension and their mistakes.

        Raises:
            QBert4RecError: a file is missing or malformed, or dimensions differ between files.
        """
        for domain in domains:
            self._table(domain.path)

    def available(self, root: Path | None) -> bool:
        if root is None and not Path(self.path).is_absolute():
            return False
        path = self._path(root)
        return path.is_dir() or path.is_file()

    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | Bar = True
    ) -> ModalityFeatures:
        rows, vectors, mask = self._table(root)
        index = np.array([rows.get(item_id, -1) for item_id in items[ITEM_ID]], dtype=np.int64)
        with progress_bar(progress, len(items), "ready embeddings") as advance:
            advance(len(items))
        features = ModalityFeatures(vectors, mask).take(index)
        if self.normalize:
            features = ModalityFeatures(unit(features.vectors), features.mask)
        return features

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        self._read = None  # the file may have changed since
        files = self._files(root)
        return fingerprint(*(_hash(file) for file in files))

    def _path(self, root: Path | None) -> Path:
        path = Path(self.path)
        if path.is_absolute():
            return path
        if root is None:
            raise QBert4RecError(
                f"ready embeddings {self.path} are to lie in the domain folder, and these items "
                "have none; give an absolute path"
            )
        return inside(root, self.path, "the parquet encoder")

    def _files(self, root: Path | None) -> list[Path]:
        path = self._path(root)
        files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            place = "" if Path(self.path).is_absolute() else " in the domain folder"
            raise QBert4RecError(
                f"{path} does not exist{place}; give ready embeddings as a Parquet file with the "
                f"columns {ITEM_ID} and {', '.join(self.columns)}"
            )
        return files

    def _table(self, root: Path | None) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
        """Row of each item_id, vectors `[rows, columns, dim]` and mask `[rows, columns]`."""
        files = self._files(root)
        if self._read is None or self._read[0] != files[0]:
            rows: dict[str, int] = {}
            vectors, masks = [], []
            for file in files:
                ids, found, mask = self._read_file(file)
                for row, item_id in enumerate(ids):
                    if item_id in rows:
                        raise QBert4RecError(
                            f"{file}, row {row}: item {item_id!r} is there twice; keep one row an "
                            "item"
                        )
                    rows[item_id] = len(rows)
                vectors.append(found)
                masks.append(mask)
            self._read = (files[0], rows, np.concatenate(vectors), np.concatenate(masks))
        return self._read[1:]

    def _read_file(self, file: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
        try:
            # ParquetFile, not read_table: a folder named key=value must not become a column.
            table = pq.ParquetFile(file).read()
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise QBert4RecError(
                f"{file} cannot be read as Parquet ({reason}); write it again"
            ) from None
        for column in (ITEM_ID, *self.columns):
            if column not in table.column_names:
                raise QBert4RecError(
                    f"{file} lacks column {column}; it has {', '.join(table.column_names)}"
                )
        ids = [str(item_id) for item_id in table.column(ITEM_ID).to_pylist()]
        pairs = [self._read_column(file, name, table.column(name)) for name in self.columns]
        return (
            ids,
            np.stack([vectors for vectors, _ in pairs], axis=1),
            np.stack([mask for _, mask in pairs], axis=1),
        )

    def _read_column(
        self, file: Path, name: str, column: pa.ChunkedArray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vectors `[rows, dim]` and which are there `[rows]`."""
        where = f"{file}, column {name}"
        kind = column.type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and not (
            pa.types.is_fixed_size_list(kind)
        ):
            raise QBert4RecError(f"{where} must hold lists of numbers, found {kind}")
        try:
            column = column.cast(pa.large_list(pa.float32()))
        except pa.ArrowException:
            raise QBert4RecError(f"{where} must hold lists of numbers, found {kind}") from None
        array = column.combine_chunks()
        present = np.asarray(array.is_valid())
        # A null entry has no values; its length counts as none.
        lengths = np.where(present, np.diff(np.asarray(array.offsets)), 0)
        present &= lengths > 0
        if self._dim is None:
            if not present.any():
                raise QBert4RecError(f"{where} has no embedding at all; fill it in")
            self._dim = int(lengths[present][0])
        wrong = np.flatnonzero(present & (lengths != self._dim))
        if len(wrong):
            raise QBert4RecError(
                f"{where}, row {wrong[0]}: {lengths[wrong[0]]} numbers where {self._dim} are "
                "expected; all embeddings need the same length"
            )
        values = np.asarray(array.filter(pa.array(present)).flatten(), np.float32)
        filled = values.reshape(-1, self._dim)
        broken = ~np.isfinite(filled).all(axis=1)
        if broken.any():
            row = int(np.flatnonzero(present)[np.flatnonzero(broken)[0]])
            raise QBert4RecError(
                f"{where}, row {row}: a number is missing or not finite; write null for an item "
                "without embedding"
            )
        vectors = np.zeros((len(present), self._dim), np.float32)
        vectors[present] = filled
        return vectors, present


def _hash(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_HASHED_BLOCK):
            digest.update(block)
    return digest.hexdigest()

"""Feature vectors of items, by modality, and the folder that keeps them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file

from ..columns import MODALITIES
from ..errors import QBert4RecError
from ..files import atomic_folder, fingerprint, inside, read_json, write_json
from .reading import check_format_version, read_tensors

if TYPE_CHECKING:
    import torch

INDEX_FILE = "index.json"
FORMAT_VERSION = 1


@dataclass
class ModalityFeatures:
    """Vectors of one modality; an item may have several, or none.

    Args:
        vectors: `[items, vectors, dim]`, float32. What the mask hides is set to zero.
        mask: `[items, vectors]`, bool, which vectors are there.

    Raises:
        QBert4RecError: shapes that do not fit, or a vector that is not finite.

    Example:
        >>> import numpy as np
        >>> from qbert4rec_hf import ModalityFeatures
        >>> vectors = np.ones((3, 2, 4))  # three items, up to two pictures each
        >>> mask = np.array([[True, True], [True, False], [False, False]])
        >>> ModalityFeatures(vectors, mask)
        ModalityFeatures(3 items, 2 vectors of 4 numbers, 2 items have some)
    """

    vectors: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
        mask = np.ascontiguousarray(self.mask, dtype=bool)
        if vectors.ndim != 3 or mask.shape != vectors.shape[:2]:
            raise QBert4RecError(
                "feature vectors must be [items, vectors, dim] with a mask [items, vectors], "
                f"got {list(vectors.shape)} and {list(mask.shape)}"
            )
        bad = ~np.isfinite(vectors).all(axis=2) & mask
        if bad.any():
            row = int(np.argwhere(bad)[0, 0])
            raise QBert4RecError(
                f"the feature vector of item row {row} has values that are not finite; "
                "encode it in float32, or repair the source of the vectors"
            )
        if vectors[~mask].any():
            vectors = np.where(mask[:, :, None], vectors, np.float32(0))
        self.vectors = vectors
        self.mask = mask

    @classmethod
    def empty(cls, num_items: int, dim: int, num_vectors: int = 1) -> ModalityFeatures:
        """Features that no item has."""
        return cls(
            np.zeros((num_items, num_vectors, dim), np.float32),
            np.zeros((num_items, num_vectors), bool),
        )

    @classmethod
    def concat(cls, parts: Sequence[ModalityFeatures]) -> ModalityFeatures:
        """Puts the items of all parts below each other; items with fewer vectors are masked.

        Raises:
            QBert4RecError: no parts, or parts of different dimensions.
        """
        dims = sorted({part.dim for part in parts})
        if len(dims) != 1:
            raise QBert4RecError(
                f"features of {len(dims)} different dimensions {dims} cannot be joined; "
                "encode all domains with the same encoder"
            )
        num_vectors = max(part.num_vectors for part in parts)
        padded = [part.pad(num_vectors) for part in parts]
        return cls(
            np.concatenate([part.vectors for part in padded]),
            np.concatenate([part.mask for part in padded]),
        )

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        return (
            f"ModalityFeatures({len(self)} items, {self.num_vectors} vectors of {self.dim} "
            f"numbers, {int(self.present.sum())} items have some)"
        )

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.vectors.shape[2]

    @property
    def num_vectors(self) -> int:
        """Number of vectors that an item has room for."""
        return self.vectors.shape[1]

    @property
    def present(self) -> np.ndarray:
        """Which items have any vector, `[items]`, bool."""
        return self.mask.any(axis=1)

    def take(self, rows: np.ndarray) -> ModalityFeatures:
        """The items of the given rows; a row of -1 gives an item without vectors."""
        rows = np.asarray(rows, dtype=np.int64)
        if not len(self):
            return ModalityFeatures.empty(len(rows), self.dim, self.num_vectors)
        known = rows >= 0
        return ModalityFeatures(self.vectors[rows], self.mask[rows] & known[:, None])

    def pad(self, num_vectors: int) -> ModalityFeatures:
        """Makes room for `num_vectors` vectors an item; the new ones are masked."""
        extra = num_vectors - self.num_vectors
        if extra <= 0:
            return self
        return ModalityFeatures(
            np.pad(self.vectors, ((0, 0), (0, extra), (0, 0))),
            np.pad(self.mask, ((0, 0), (0, extra))),
        )


@dataclass
class ItemFeatures:
    """Features of all items of a domain, or of several domains one after the other.

    Args:
        item_ids: `[items]`, in the order of the rows.
        modalities: features by name of the modality; all have a row an item.
        fingerprints: for each modality, what its vectors were made of (encoder, template, inputs).

    Raises:
        QBert4RecError: a modality with another number of rows.

    Example:
        >>> import numpy as np
        >>> from qbert4rec_hf import ItemFeatures, ModalityFeatures
        >>> text = ModalityFeatures(np.ones((2, 1, 4)), np.array([[True], [False]]))
        >>> features = ItemFeatures(["tea", "pot"], {"text": text})
        >>> features
        ItemFeatures(2 items; text: 4 numbers for 1)
        >>> ItemFeatures.load(features.save("features")).dims
        {'text': 4}
    """

    item_ids: list[str]
    modalities: dict[str, ModalityFeatures]
    fingerprints: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.item_ids = list(self.item_ids)
        for name, part in self.modalities.items():
            if len(part) != len(self.item_ids):
                raise QBert4RecError(
                    f"{name} features have {len(part)} rows for {len(self.item_ids)} items"
                )
        self.modalities = {name: self.modalities[name] for name in _in_order(self.modalities)}

    def __len__(self) -> int:
        return len(self.item_ids)

    def __repr__(self) -> str:
        inside = ", ".join(
            f"{name}: {part.dim} numbers for {int(part.present.sum())}"
            for name, part in self.modalities.items()
        )
        return f"ItemFeatures({len(self)} items; {inside or 'no modality'})"

    @property
    def dims(self) -> dict[str, int]:
        """Length of the vectors of each modality."""
        return {name: part.dim for name, part in self.modalities.items()}

    @property
    def fingerprint(self) -> str:
        """One name for all that the features hold."""
        parts = [(name, part.vectors, part.mask) for name, part in self.modalities.items()]
        return fingerprint(self.item_ids, *(value for part in parts for value in part))

    @cached_property
    def _rows(self) -> dict[str, int]:
        rows = {item_id: row for row, item_id in enumerate(self.item_ids)}
        if len(rows) != len(self.item_ids):
            seen: set[str] = set()
            twice = next(i for i in self.item_ids if i in seen or seen.add(i))
            raise QBert4RecError(
                f"item {twice!r} has two rows of features; align each domain before stacking them"
            )
        return rows

    def align(self, item_ids: Iterable[str], *, missing: str = "error") -> ItemFeatures:
        """Rows of the given items, in the given order.

        Args:
            item_ids: the items wanted.
            missing: "error", or "mask" to give items that are not here no vectors.

        Raises:
            QBert4RecError: names the first item that has no row here.
        """
        item_ids = list(item_ids)
        if item_ids == self.item_ids:
            return self
        rows = np.array([self._rows.get(item_id, -1) for item_id in item_ids], dtype=np.int64)
        if missing == "error" and (rows < 0).any():
            unknown = np.flatnonzero(rows < 0)
            raise QBert4RecError(
                f"item {item_ids[unknown[0]]!r} has no features ({len(unknown)} such items); "
                "encode the domain that holds it"
            )
        return ItemFeatures(
            item_ids,
            {name: part.take(rows) for name, part in self.modalities.items()},
            dict(self.fingerprints),
        )

    def select(self, names: Iterable[str]) -> ItemFeatures:
        """Only the given modalities.

        Raises:
            QBert4RecError: names a modality that is not here.
        """
        names = list(names)
        for name in names:
            if name not in self.modalities:
                raise QBert4RecError(
                    f"there are no {name} features; there are {', '.join(self.modalities)}"
                )
        return ItemFeatures(
            self.item_ids,
            {name: self.modalities[name] for name in names},
            {name: value for name, value in self.fingerprints.items() if name in names},
        )

    def with_modality(
        self, name: str, features: ModalityFeatures, source: str | None = None
    ) -> ItemFeatures:
        """These features and one modality more.

        Args:
            name: the modality; one of that name is replaced.
            features: its vectors, rows as here.
            source: fingerprint of what they were made of; of the vectors by default.
        """
        source = source or fingerprint(features.vectors, features.mask)
        return ItemFeatures(
            self.item_ids,
            {**self.modalities, name: features},
            {**self.fingerprints, name: source},
        )

    @classmethod
    def stack(cls, parts: Sequence[ItemFeatures]) -> ItemFeatures:
        """Puts domains one after the other.

        A modality that a domain lacks is masked for all its items. Item ids may repeat between
        domains.

        Raises:
            QBert4RecError: no parts, or a modality whose vectors differ in length.
        """
        if not parts:
            raise QBert4RecError("no features to stack; give those of at least one domain")
        modalities = {}
        for name in _in_order({name for part in parts for name in part.modalities}):
            dims = sorted({part.dims[name] for part in parts if name in part.modalities})
            if len(dims) > 1:
                raise QBert4RecError(
                    f"{name} features have different dimensions {dims} in different domains; "
                    "encode all domains with the same encoder"
                )
            modalities[name] = ModalityFeatures.concat(
                [
                    part.modalities.get(name) or ModalityFeatures.empty(len(part), dims[0])
                    for part in parts
                ]
            )
        if len(parts) == 1:
            prints = dict(parts[0].fingerprints)
        else:
            prints = {
                name: fingerprint([part.fingerprints.get(name) for part in parts])
                for name in modalities
            }
        return cls([i for part in parts for i in part.item_ids], modalities, prints)

    def as_tensors(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Vectors and masks as tensors that share memory with the arrays.

        Returns:
            Vectors `[items, vectors, dim]` and masks `[items, vectors]`, by modality.
        """
        import torch

        vectors = {name: torch.from_numpy(part.vectors) for name, part in self.modalities.items()}
        masks = {name: torch.from_numpy(part.mask) for name, part in self.modalities.items()}
        return vectors, masks

    def coverage(self) -> dict[str, int]:
        """How many items have each modality."""
        return {name: int(part.present.sum()) for name, part in self.modalities.items()}

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes the feature folder: a safetensors file a modality and `index.json`.

        The folder appears complete or not at all.

        Raises:
            QBert4RecError: the folder cannot be written.
        """
        folder = Path(folder)
        with atomic_folder(folder) as temporary:
            index = {}
            for name, part in self.modalities.items():
                file = f"{name}.safetensors"
                save_file({"vectors": part.vectors, "mask": part.mask}, temporary / file)
                index[name] = {
                    "file": file,
                    "dim": part.dim,
                    "vectors_per_item": part.num_vectors,
                    "items": int(part.present.sum()),
                    "fingerprint": self.fingerprints.get(name),
                }
            content = {"format_version": FORMAT_VERSION, "modalities": index}
            write_json(temporary / INDEX_FILE, {**content, "item_ids": self.item_ids})
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike) -> ItemFeatures:
        """Reads a feature folder.

        Raises:
            QBert4RecError: names the file that is missing or malformed.
        """
        folder = Path(folder)
        index = read_json(folder / INDEX_FILE)
        listed = index.get("modalities") if isinstance(index, dict) else None
        if (
            not isinstance(listed, dict)
            or not isinstance(index.get("item_ids"), list)
            or not all(
                isinstance(about, dict) and isinstance(about.get("file"), str)
                for about in listed.values()
            )
        ):
            raise QBert4RecError(
                f"{folder / INDEX_FILE} is not the index of a feature folder; encode the items "
                "again"
            )
        check_format_version(folder / INDEX_FILE, index, FORMAT_VERSION)
        modalities = {}
        for name, about in listed.items():
            modalities[name] = read_modality(inside(folder, about["file"], folder / INDEX_FILE))
            if len(modalities[name]) != len(index["item_ids"]):
                raise QBert4RecError(
                    f"{folder / about['file']} has {len(modalities[name])} rows for "
                    f"{len(index['item_ids'])} items in {INDEX_FILE}; encode the items again"
                )
        prints = {name: about.get("fingerprint") for name, about in listed.items()}
        prints = {name: value for name, value in prints.items() if value}
        return cls(index["item_ids"], modalities, prints)


def read_modality(path: Path) -> ModalityFeatures:
    """Reads one modality's safetensors file.

    Raises:
        QBert4RecError: the file is missing or malformed.
    """
    tensors = read_tensors(path)
    if not {"vectors", "mask"} <= tensors.keys():
        raise QBert4RecError(f"{path} lacks vectors or mask; encode the items again")
    return ModalityFeatures(tensors["vectors"], tensors["mask"])


def _in_order(names: Iterable[str]) -> list[str]:
    """Text, image, structural, then any others by name."""
    names = set(names)
    return [name for name in MODALITIES if name in names] + sorted(names - set(MODALITIES))

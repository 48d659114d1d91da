"""The catalogue: which item has which semantic ID."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
from transformers.utils import logging

from ..columns import CATALOG_FILE, CATALOG_INFO_FILE, CODES, COLLIDES, DOMAIN, ITEM_ID, TITLE
from ..errors import QBert4RecError
from ..files import make_folder
from .catalogue_checks import check_item_ids, check_lengths
from .catalogue_html import catalogue_html
from .catalogue_info import CatalogInfo
from .catalogue_table import read_table, write_table
from .collisions import check_codes
from .tokenization_semantic_id import SPECIALS, level_name, semantic_id_text

logger = logging.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class ItemCatalog:
    """Items and their semantic IDs, one domain after the other.

    A semantic ID belongs to one item of a domain and may recur in other domains: that is what
    transfers between them.

    Args:
        item_ids: `[items]`, as the shop writes them; unique within a domain.
        titles: `[items]`, None where an item has none.
        codes: `[items, levels]` int64.
        codebook_sizes: codes of each level.
        domains: name of each domain.
        domain_sizes: items of each domain, in the same order.
        allow_shared: imported IDs may be shared within a domain; such items are flagged in
            `collides`, and only per-item terms of the model tell them apart.

    Attributes:
        collides: `[items]`, whether another item of the domain has the same semantic ID.

    Raises:
        QBert4RecError: lengths that differ, a code out of range, an item id that occurs twice in a
            domain, or a shared ID where that is not allowed.

    Example:
        >>> import numpy as np
        >>> from qbert4rec_hf import ItemCatalog
        >>> codes = np.array([[0, 0], [0, 1], [3, 2]])
        >>> catalog = ItemCatalog(
        ...     ["tea", "pot", "mug"], ["Tea", "Pot", None], codes, [4, 4], ["teashop"], [3]
        ... )
        >>> catalog
        ItemCatalog(teashop: 3; codebooks [4, 4])
        >>> catalog.encode("mug"), catalog.decode("<a_0><b_1>")
        ('<a_3><b_2>', ['pot'])
    """

    item_ids: list[str]
    titles: list[str | None]
    codes: np.ndarray
    codebook_sizes: list[int]
    domains: list[str]
    domain_sizes: list[int]
    allow_shared: bool = False
    collides: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        set_field = partial(object.__setattr__, self)
        set_field("item_ids", list(self.item_ids))
        # Pandas writes an absent title as NaN.
        set_field("titles", [t if isinstance(t, str) else None for t in self.titles])
        set_field("codes", np.ascontiguousarray(self.codes))
        set_field("codebook_sizes", [int(size) for size in self.codebook_sizes])
        set_field("domains", list(self.domains))
        set_field("domain_sizes", [int(size) for size in self.domain_sizes])
        check_lengths(self)
        check_item_ids(self)
        check_codes(self.codes, self.codebook_sizes, "catalogue")
        set_field("codes", self.codes.astype(np.int64, copy=False))
        set_field("collides", self._shared())

    def _shared(self) -> np.ndarray:
        domain = np.repeat(np.arange(len(self.domains)), self.domain_sizes)
        keys = np.concatenate([domain[:, None], self.codes], axis=1)
        _, number, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        number = number.reshape(-1)
        collides = counts[number] > 1
        if collides.any() and not self.allow_shared:
            row = int(collides.argmax())
            other = row + 1 + int((number[row + 1 :] == number[row]).argmax())
            raise QBert4RecError(
                f"catalogue rows {row} and {other}: items {self.item_ids[row]!r} and "
                f"{self.item_ids[other]!r} of domain {self.domains[domain[row]]!r} share a "
                "semantic ID; reallocate the IDs, or pass allow_shared=True"
            )
        return collides

    def __len__(self) -> int:
        return len(self.item_ids)

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{name}: {size}" for name, size in zip(self.domains, self.domain_sizes, strict=True)
        )
        return f"ItemCatalog({sizes}; codebooks {self.codebook_sizes})"

    def _repr_html_(self) -> str:
        return catalogue_html(self)

    @property
    def num_levels(self) -> int:
        """K, the tokens of one item."""
        return len(self.codebook_sizes)

    @cached_property
    def fingerprint(self) -> str:
        """Names codes and codebook sizes, as the model's `config.catalog_fingerprint` does."""
        digest = hashlib.sha256(repr(self.codebook_sizes).encode())
        digest.update(self.codes.astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    # -- look-ups --------------------------------------------------------------------------------

    def domain_slice(self, domain: str | None = None) -> slice:
        """Rows of a domain; all rows without one.

        Raises:
            QBert4RecError: there is no such domain.
        """
        if domain is None:
            return slice(0, len(self))
        if domain not in self.domains:
            raise QBert4RecError(
                f"the catalogue has no domain {domain!r}, only {', '.join(self.domains)}"
            )
        number = self.domains.index(domain)
        start = sum(self.domain_sizes[:number])
        return slice(start, start + self.domain_sizes[number])

    def rows(
        self,
        item_ids: Sequence[str],
        *,
        domain: str | None = None,
        missing: Literal["error", "skip"] = "error",
    ) -> np.ndarray:
        """Rows of items.

        Args:
            item_ids: as the shop writes them.
            domain: where to look; needed where domains share item ids.
            missing: what to do with an unknown id: stop, or leave it out with a warning.

        Returns:
            `[found]` int64.

        Raises:
            QBert4RecError: an unknown id, or one that several domains have.
        """
        if isinstance(item_ids, str):
            raise QBert4RecError(f"item_ids must be a list of ids, got the text {item_ids!r}")
        index = self._index(domain)
        found, unknown = [], []
        for item_id in item_ids:
            row = index.get(item_id)
            if row is None:
                unknown.append(item_id)
            elif row < 0:
                raise QBert4RecError(
                    f"item {item_id!r} occurs in several domains ({', '.join(self.domains)}); "
                    "say which"
                )
            else:
                found.append(row)
        if unknown and missing == "error":
            raise QBert4RecError(
                f"item {unknown[0]!r} is not in the catalogue of {len(self)} items; check the id, "
                "or leave unknown items out"
            )
        if unknown:
            logger.warning(
                f"left out {len(unknown)} items that are not in the catalogue, such as "
                f"{unknown[0]!r}"
            )
        return np.array(found, dtype=np.int64)

    def encode(self, item_id: str, *, domain: str | None = None) -> str:
        """An item's semantic ID, such as `<a_2><b_3><c_1><d_6>`.

        Raises:
            QBert4RecError: an unknown id.
        """
        codes = self.codes[self.rows([item_id], domain=domain)[0]]
        return semantic_id_text(codes.tolist())

    def decode(self, semantic_id: str, *, domain: str | None = None) -> list[str]:
        """The items that have a semantic ID: none, one, or several where IDs are shared.

        Raises:
            QBert4RecError: the text is no semantic ID of these levels.
        """
        pattern = "".join(f"<{level_name(level)}_([0-9]+)>" for level in range(self.num_levels))
        match = re.fullmatch(pattern, semantic_id.strip())
        codes = np.array([int(code) for code in match.groups()]) if match else None
        if codes is None or (codes >= self.codebook_sizes).any():
            last = semantic_id_text([size - 1 for size in self.codebook_sizes])
            raise QBert4RecError(
                f"{semantic_id!r} is no semantic ID of this catalogue; they go up to {last}"
            )
        rows = self.domain_slice(domain)
        hits = np.flatnonzero((self.codes[rows] == codes).all(axis=1)) + rows.start
        return [self.item_ids[row] for row in hits]

    def tokens(self) -> np.ndarray:
        """Token ids of every item, `[items, levels]` int64, as the tokenizer numbers them."""
        offsets = np.cumsum([len(SPECIALS), *self.codebook_sizes[:-1]])
        return self.codes + offsets

    # -- other catalogues ------------------------------------------------------------------------

    def subset(self, domain: str) -> ItemCatalog:
        """The items of one domain."""
        rows = self.domain_slice(domain)
        return ItemCatalog(
            self.item_ids[rows],
            self.titles[rows],
            self.codes[rows],
            self.codebook_sizes,
            [domain],
            [rows.stop - rows.start],
            self.allow_shared,
        )

    def add(
        self,
        item_ids: Sequence[str],
        titles: Sequence[str | None],
        codes: np.ndarray,
        domain: str,
    ) -> ItemCatalog:
        """A catalogue with further items at the end of a domain; those present keep their IDs.

        Raises:
            QBert4RecError: an id or semantic ID that is taken, or codes of another shape or range.
        """
        stop = self.domain_slice(domain).stop
        check_codes(codes := np.asarray(codes), self.codebook_sizes, "codes of new items")
        number = self.domains.index(domain)
        sizes = list(self.domain_sizes)
        sizes[number] += len(item_ids)
        return ItemCatalog(
            [*self.item_ids[:stop], *item_ids, *self.item_ids[stop:]],
            [*self.titles[:stop], *titles, *self.titles[stop:]],
            np.concatenate([self.codes[:stop], codes, self.codes[stop:]]),
            self.codebook_sizes,
            self.domains,
            sizes,
            self.allow_shared,
        )

    @classmethod
    def concat(cls, catalogs: Sequence[ItemCatalog]) -> ItemCatalog:
        """Several catalogues of the same codebooks, one domain after the other.

        Raises:
            QBert4RecError: codebooks differ.
        """
        sizes = catalogs[0].codebook_sizes
        for catalog in catalogs[1:]:
            if catalog.codebook_sizes != sizes:
                raise QBert4RecError(
                    f"catalogues of codebooks {sizes} and {catalog.codebook_sizes} do not go "
                    "together"
                )
        return cls(
            [i for catalog in catalogs for i in catalog.item_ids],
            [t for catalog in catalogs for t in catalog.titles],
            np.concatenate([catalog.codes for catalog in catalogs]),
            sizes,
            [name for catalog in catalogs for name in catalog.domains],
            [size for catalog in catalogs for size in catalog.domain_sizes],
            any(catalog.allow_shared for catalog in catalogs),
        )

    def save(self, folder: str | os.PathLike) -> None:
        """Writes `catalog.parquet` and `catalog.json` into a folder.

        Raises:
            QBert4RecError: the folder cannot be written to.
        """
        folder = make_folder(folder)
        write_table(
            folder / CATALOG_FILE,
            {
                ITEM_ID: self.item_ids,
                TITLE: self.titles,
                DOMAIN: np.repeat(self.domains, self.domain_sizes).tolist(),
                CODES: self.codes,
                COLLIDES: self.collides,
            },
        )
        CatalogInfo(
            codebook_sizes=self.codebook_sizes,
            domains=self.domains,
            domain_sizes=self.domain_sizes,
            allow_shared=self.allow_shared,
            fingerprint=self.fingerprint,
        ).save(folder / CATALOG_INFO_FILE)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> ItemCatalog:
        """Reads a catalogue and checks it.

        Raises:
            QBert4RecError: a file is missing or damaged, or the two do not belong together.
        """
        folder = Path(folder)
        info_path, path = folder / CATALOG_INFO_FILE, folder / CATALOG_FILE
        info = CatalogInfo.load(info_path)
        item_ids, titles, domains, codes = read_table(path, len(info.codebook_sizes))
        try:
            shape = (info.codebook_sizes, info.domains, info.domain_sizes)
            catalog = cls(item_ids, titles, codes, *shape, info.allow_shared)
        except QBert4RecError as error:
            raise QBert4RecError(f"{path}: {error}") from None
        except (TypeError, ValueError) as error:
            raise QBert4RecError(f"{info_path} is damaged ({error}); copy it again") from None
        names = np.repeat(catalog.domains, catalog.domain_sizes).tolist()
        if domains != names:
            row = next(
                i for i, pair in enumerate(zip(domains, names, strict=True)) if len({*pair}) > 1
            )
            raise QBert4RecError(
                f"{path} row {row}: domain {domains[row]!r}, expected {names[row]!r}; the items of "
                f"a domain stand together, in the order of {info_path}"
            )
        if catalog.fingerprint != info.fingerprint:
            raise QBert4RecError(
                f"{path} and {info_path} do not belong together: the codes have the fingerprint "
                f"{catalog.fingerprint}, expected {info.fingerprint}; copy both from the same "
                "folder"
            )
        return catalog

    def _index(self, domain: str | None) -> dict[str, int]:
        """Row of each item id; -1 for ids that several domains have."""
        if domain not in self._indices:
            rows = self.domain_slice(domain)
            index: dict[str, int] = {}
            for row in range(rows.start, rows.stop):
                item_id = self.item_ids[row]
                index[item_id] = -1 if item_id in index else row
            self._indices[domain] = index
        return self._indices[domain]

    @cached_property
    def _indices(self) -> dict[str | None, dict[str, int]]:
        return {}

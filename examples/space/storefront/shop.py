"""What all visitors share: the loaded model, its catalogue and its pictures. Nothing changes it."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qbert4rec_hf import Recommender
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.runs.config import read_yaml

from .markup import esc
from .pictures import Pictures, tile


@dataclass(frozen=True)
class Shop:
    """A model behind a window.

    Args:
        recommender: loaded once; the app only asks it, so visitors cannot disturb each other.
        pictures: of its items.
    """

    recommender: Recommender
    pictures: Pictures = field(default_factory=Pictures)

    def __post_init__(self) -> None:
        items = self.recommender.items
        rows = {item_id: row for row, item_id in enumerate(items.item_ids)}
        texts = [
            _folded(f"{title or ''} {item_id}")
            for item_id, title in zip(items.item_ids, items.titles, strict=True)
        ]
        prior = self.recommender.ranker.prior
        counts = np.zeros(len(rows), dtype=np.int64) if prior is None else prior.popularity
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_texts", texts)
        object.__setattr__(self, "_by_popularity", np.argsort(-counts, kind="stable").tolist())

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows

    @property
    def name(self) -> str:
        return self.recommender.domain

    @property
    def code_sizes(self) -> list[int]:
        return self.recommender.items.codebook_sizes

    def title(self, item_id: str) -> str:
        """What to call an item; HTML. Its id, where it has no title."""
        return f"<bdi>{esc(self.plain_title(item_id))}</bdi>"

    def plain_title(self, item_id: str) -> str:
        return self.recommender.items.titles[self._rows[item_id]] or f"Item {item_id}"

    def codes(self, item_id: str) -> list[int]:
        return self.recommender.items.codes[self._rows[item_id]].tolist()

    def picture(self, item_id: str) -> str:
        """An item's picture, or the tile that stands for it; HTML."""
        uri = self.pictures.uri(item_id)
        # The title stands beside it, so there is nothing for a screen reader to add.
        drawn = f'<img src="{uri}" alt="">' if uri else tile(self.codes(item_id), self.code_sizes)
        return f'<span class="q-pic">{drawn}</span>'

    def item_id(self, row: int) -> str:
        return self.recommender.items.item_ids[row]

    def search(self, query: str, limit: int) -> tuple[list[str], int]:
        """Items whose title or id holds every word of a query, and how many there are in all.

        An id written out comes first, then titles that begin with the query, then those where a
        word does; the popular ones first among equals. Without a query: the popular ones.
        """
        wanted = _folded(query)
        words = wanted.split()
        if not words:
            return [self.item_id(row) for row in self._by_popularity[:limit]], len(self)
        found = [
            (self._order(row, wanted, words), place, row)
            for place, row in enumerate(self._by_popularity)
            if all(word in self._texts[row] for word in words)
        ]
        return [self.item_id(row) for _, _, row in sorted(found)[:limit]], len(found)

    def _order(self, row: int, wanted: str, words: list[str]) -> int:
        text = self._texts[row]
        if _folded(self.item_id(row)) == wanted:
            return 0
        if text.startswith(wanted):
            return 1
        return 2 if all(f" {word}" in f" {text}" for word in words) else 3


def open_shop(
    model: str | os.PathLike,
    *,
    domain: str | os.PathLike | None = None,
    catalogue: str | None = None,
    trust_remote_code: bool = False,
) -> Shop:
    """Loads a model and, where there are any, the pictures of its items.

    Args:
        model: model folder, or id of a repository of the Hub.
        domain: domain folder, or id of a dataset repository, with the pictures. Without it the one
            that the model's own run names is taken, if it is still there.
        catalogue: which domain to show, where the model's catalogue holds several.
        trust_remote_code: as in `Recommender.from_pretrained`.

    Raises:
        QBert4RecError: no such model or domain, or something is wrong with it.
    """
    recommender = Recommender.from_pretrained(
        model, domain=catalogue, trust_remote_code=trust_remote_code
    )
    if domain is None:
        domain = _domain_of_run(Path(model), recommender.domain)
    return Shop(recommender, Pictures() if domain is None else Pictures.of_domain(domain))


def _domain_of_run(model: Path, name: str) -> Path | None:
    """The domain folder that a model was trained on, if it lies in its run folder."""
    try:
        named = read_yaml(model.resolve().parent / "config.yaml").get("domain")
    except QBert4RecError:
        return None
    if not isinstance(named, str):
        return None
    folder = Path(named)
    return folder if folder.is_dir() and folder.name == name else None


def _folded(text: str) -> str:
    """Lower case, without accents: what people type."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in parts if not unicodedata.combining(c)).split())

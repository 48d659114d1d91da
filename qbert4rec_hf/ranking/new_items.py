"""Items that joined after training, and the trained items that speak for them until then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..columns import NEW_ITEMS_FILE
from ..errors import QBert4RecError
from ..files import read_json, write_json

FORMAT_VERSION = 1
NEIGHBOURS = 5
"""How many trained items speak for a new one.

Measured by `examples/benchmarks/cold_items.py --share 0.1 --without_images 0.3` on the demo shops
outdoor and home: a tenth of the items held out of everything and added afterwards, HR@10 of the
users whose next item is one of them, item graph mixed in, the whole catalogue ranked. By its
semantic ID alone 0.050 and 0.028, the
nearest texts 0.075 and 0.085; through 3 neighbours 0.231 and 0.234, 5 0.238 and 0.255, 10 0.181 and
0.199. All other users have 0.368 and 0.392 by ID, 0.359 and 0.376 with 5. Of all first ten places
new items, a tenth of the catalogue, then get 0.087 and 0.078. What did not help: the neighbours'
item bias, which is near zero, and rows of the item graph for new items in a history.
"""


@dataclass(frozen=True, eq=False)
class NewItems:
    """New items of one domain, as rows of its catalogue.

    Args:
        rows: `[new]` int64.
        neighbours: `[new, width]` int64, rows of trained items.
        weights: `[new, width]` float32, the share of each; shares of an item sum to one.
    """

    rows: np.ndarray
    neighbours: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def from_lists(cls, rows: Sequence[int], neighbours: Sequence[Sequence[int]]) -> NewItems:
        """New items with any number of neighbours, which count alike; one at least."""
        width = max(map(len, neighbours), default=1)
        padded = [[*of_item, *[of_item[0]] * (width - len(of_item))] for of_item in neighbours]
        lengths = np.array([len(of_item) for of_item in neighbours], dtype=np.int64)[:, None]
        return cls(
            np.array(rows, dtype=np.int64),
            np.array(padded, dtype=np.int64).reshape(-1, width),
            ((np.arange(width) < lengths) / np.maximum(lengths, 1)).astype(np.float32),
        )

    def take(self, chosen: np.ndarray) -> NewItems:
        """Some of them: `chosen` `[new]` is a boolean mask."""
        return NewItems(self.rows[chosen], self.neighbours[chosen], self.weights[chosen])

    def fill(self, scores: torch.Tensor) -> torch.Tensor:
        """Gives each new item the mean score of its neighbours.

        Args:
            scores: `[batch, items]`, no logarithms; not changed.

        Returns:
            `[batch, items]`.
        """
        total = scores.new_zeros(len(scores), len(self))
        for chosen, weight in self._columns(scores):
            total += scores[:, chosen] * weight
        return self._filled(scores, total)

    def fill_log(self, scores: torch.Tensor) -> torch.Tensor:
        """The same for logarithms: that of the mean of what they stand for."""
        total = scores.new_full((len(scores), len(self)), -torch.inf)
        for chosen, weight in self._columns(scores):
            total = torch.logaddexp(total, scores[:, chosen] + weight.log())
        return self._filled(scores, total)

    def _columns(self, scores: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """First neighbours and their shares, second ones, ...; all at once may not fit in."""
        for column, weight in zip(self.neighbours.T, self.weights.T, strict=True):
            chosen = torch.from_numpy(column.copy()).to(scores.device)
            yield chosen, torch.from_numpy(weight.copy()).to(scores)

    def _filled(self, scores: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        filled = scores.clone()
        filled[:, torch.from_numpy(self.rows).to(scores.device)] = values
        return filled


@dataclass
class NewItemIds:
    """New items of all domains of a catalogue, by item id.

    Args:
        domains: domain -> new item -> the trained items that speak for it, nearest first.
    """

    domains: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def of(self, domain: str) -> dict[str, list[str]]:
        """Those of one domain; none for one that has none."""
        return self.domains.get(domain, {})

    def add(self, domain: str, neighbours: Mapping[str, Sequence[str]]) -> None:
        """Adds new items of a domain."""
        known = self.domains.setdefault(domain, {})
        known.update({item_id: list(ids) for item_id, ids in neighbours.items()})

    def rows(self, domain: str, item_ids: Sequence[str]) -> NewItems | None:
        """The new items of a domain as rows of its catalogue; None where it has none.

        Args:
            domain: its name.
            item_ids: `[items]`, its catalogue.

        Raises:
            QBert4RecError: an item that the catalogue lacks.
        """
        # An item without neighbours (nothing is known of it) is scored by its ID.
        listed = {item_id: ids for item_id, ids in self.of(domain).items() if ids}
        if not listed:
            return None
        row = {item_id: number for number, item_id in enumerate(item_ids)}
        for item_id in (i for new, ids in listed.items() for i in (new, *ids)):
            if item_id not in row:
                raise QBert4RecError(
                    f"{NEW_ITEMS_FILE} names item {item_id!r} of domain {domain!r}, which the "
                    "catalogue lacks; copy both from the same model folder"
                )
        return NewItems.from_lists(
            [row[item_id] for item_id in listed],
            [[row[item_id] for item_id in ids] for ids in listed.values()],
        )

    def save(self, folder: Path) -> None:
        """Writes `new_items.json`, unless there are none."""
        if any(self.domains.values()):
            write_json(
                folder / NEW_ITEMS_FILE,
                {"format_version": FORMAT_VERSION, "neighbours": self.domains},
            )

    @classmethod
    def load(cls, folder: Path) -> NewItemIds:
        """Reads what `save` wrote; a folder without the file has no new items.

        Raises:
            QBert4RecError: the file is damaged, or of another format.
        """
        path = folder / NEW_ITEMS_FILE
        if not path.exists():
            return cls()
        value = read_json(path)
        domains = value.get("neighbours") if isinstance(value, dict) else None
        if not _is_table(domains) or value.get("format_version") != FORMAT_VERSION:
            raise QBert4RecError(
                f"{path} does not list new items in format {FORMAT_VERSION}; fetch the folder "
                "again, or update qbert4rec_hf"
            )
        return cls(domains)


def _is_table(domains: Any) -> bool:
    return isinstance(domains, dict) and all(
        isinstance(items, dict)
        and all(
            isinstance(ids, list) and all(isinstance(item_id, str) for item_id in ids)
            for ids in items.values()
        )
        for items in domains.values()
    )

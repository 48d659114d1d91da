"""What the recommendation pipeline reads of a model folder beside the model, with plain libraries.

This file is uploaded with every model, so it imports nothing of the package.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from transformers.utils import logging

logger = logging.get_logger(__name__)

FORMAT_VERSION = 1
CATALOG, CATALOG_INFO = "catalog.parquet", "catalog.json"
SETTINGS = "recommender.json"
NEW_ITEMS = "new_items.json"
GRAPH_FOLDER, GRAPH_INFO = "item_graph", "item_graph.json"
# Whose ranking keeps the items of the history, and whose leaves them out.
ALL_ITEMS, UNSEEN_ITEMS = "all_items", "unseen_items"


class PipelineCatalog:
    """Items of one domain: what they are called, and which semantic ID each one has.

    Args:
        find: gives the local path of a file of the model folder, None where it has none.
        model: the sequence model; the catalogue must be the one that it ranks.
        domain: name of the domain; by default the one that the folder recommends in.
        tokenizer: reads semantic IDs.

    Attributes:
        item_ids, titles: `[items]` of the domain.
        codes: `[items, levels]` int64.
        rows: where the domain stands in the model's catalogue.
        number: of the domain, as the model counts them.
        domain: its name.
        settings: the folder's `recommender.json`, empty where it has none.

    Raises:
        ValueError: files are missing or newer than this code, the catalogue is not the model's, or
            there is no such domain.
    """

    def __init__(
        self, find: Callable[[str], str | None], model: Any, domain: str | None, tokenizer: Any
    ):
        import pyarrow.parquet as pq

        self.settings = read_json(find, SETTINGS) or {}
        info = read_json(find, CATALOG_INFO)
        path = find(CATALOG)
        if info is None or path is None:
            raise ValueError(
                f"{CATALOG} and {CATALOG_INFO} are not beside the model, which alone does not know "
                "the names of its items; give the folder that has them as folder="
            )
        table = pq.read_table(path, columns=["item_id", "title", "codes"])
        flat = table["codes"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        codes = flat.astype(np.int64).reshape(table.num_rows, -1)
        domains, sizes = info["domains"], info["domain_sizes"]
        expected = model.config.catalog_fingerprint
        if sizes != list(model.config.num_items) or expected != model.fingerprint_catalog(
            model.catalog_codes.new_tensor(codes)
        ):
            raise ValueError(
                f"{path} holds {table.num_rows} items that are not those which the model ranks; "
                "take both from the same folder"
            )
        self.domain = domain or self.settings.get("domain") or domains[0]
        if self.domain not in domains:
            raise ValueError(f"there is no domain {self.domain!r}, only {', '.join(domains)}")
        self.number = domains.index(self.domain)
        start = sum(sizes[: self.number])
        self.rows = slice(start, start + sizes[self.number])
        self.item_ids = table["item_id"][self.rows].to_pylist()
        self.titles = table["title"][self.rows].to_pylist()
        self.codes = codes[self.rows]
        self._tokenizer = tokenizer
        self._offsets = np.asarray(model.config.level_offsets)

    def find(self, entries: list[str], unknown: str) -> list[int]:
        """Rows of what a user wrote; a string may hold several semantic IDs.

        Args:
            entries: item ids, titles or semantic IDs, in any mixture.
            unknown: `"error"`, or `"skip"` to leave out what is none of them.

        Raises:
            ValueError: an unknown entry, or one that means several items; names them.
        """
        if unknown not in ("error", "skip"):
            raise ValueError(f"unknown must be 'error' or 'skip', got {unknown!r}")
        found: list[int] = []
        skipped = []
        for entry in entries:
            rows = self._rows_of(entry)
            found += rows
            if not rows:
                skipped.append(entry)
        if skipped and unknown == "error":
            raise ValueError(
                f"{skipped[0]!r} is no item id, title or semantic ID of the {len(self.item_ids)} "
                "items; check it, or pass unknown='skip' to leave such entries out"
            )
        if skipped:
            logger.warning(f"left out {len(skipped)} unknown entries, such as {skipped[0]!r}")
        return found

    def tokens(self, rows: list[int]) -> np.ndarray:
        """Token ids of items, `[items, levels]`."""
        return self.codes[rows] + self._offsets

    def semantic_id(self, row: int) -> str:
        """An item's tokens as text, such as `<a_2><b_3><c_1><d_6>`."""
        tokens = self._tokenizer.convert_ids_to_tokens(self.tokens([row])[0].tolist())
        return "".join(tokens)

    def _rows_of(self, entry: Any) -> list[int]:
        if not isinstance(entry, str):
            raise ValueError(f"a history is a list of texts, got {entry!r} in it")
        if entry in self.row_of:
            return [self.row_of[entry]]
        by_title = self._by_title.get(_folded(entry))
        if by_title is not None:
            return [self._only(by_title, f"the title {entry!r}")]
        if not entry.lstrip().startswith("<"):
            return []
        try:
            tokens = self._tokenizer(entry, malformed="error")["input_ids"]
        except ValueError:
            return []
        tokens = np.asarray(tokens).reshape(-1, self.codes.shape[1])
        found = []
        for semantic_id in map(tuple, (tokens - self._offsets).tolist()):
            if semantic_id not in self._by_codes:
                return []
            found.append(self._only(self._by_codes[semantic_id], f"the semantic ID in {entry!r}"))
        return found

    def _only(self, rows: list[int], what: str) -> int:
        if len(rows) > 1:
            ids = ", ".join(repr(self.item_ids[row]) for row in rows[:5])
            more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
            raise ValueError(f"{what} belongs to several items: {ids}{more}; give an item id")
        return rows[0]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each item id."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    @cached_property
    def _by_title(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row, title in enumerate(self.titles):
            if title:
                found.setdefault(_folded(title), []).append(row)
        return found

    @cached_property
    def _by_codes(self) -> dict[tuple[int, ...], list[int]]:
        found: dict[tuple[int, ...], list[int]] = {}
        for row, codes in enumerate(self.codes.tolist()):
            found.setdefault(tuple(codes), []).append(row)
        return found


class PipelineNewItems:
    """Items that joined after training; each scores like the mean of trained items near it.

    Args:
        neighbours: rows of those that speak for a new item, by its own row.
    """

    def __init__(self, neighbours: dict[int, list[int]]):
        self.neighbours = neighbours
        self._rows = torch.tensor(list(neighbours), dtype=torch.long)
        width = max(map(len, neighbours.values()), default=0)
        # `[width, new]`: first neighbours, second ones, ..., and the share of each.
        self._near = torch.zeros(width, len(neighbours), dtype=torch.long)
        self._shares = torch.zeros(width, len(neighbours))
        for column, rows in enumerate(neighbours.values()):
            self._near[: len(rows), column] = torch.tensor(rows)
            self._shares[: len(rows), column] = 1 / len(rows)

    @classmethod
    def load(
        cls, find: Callable[[str], str | None], catalog: PipelineCatalog
    ) -> PipelineNewItems | None:
        """The new items of the catalogue's domain, None where it has none.

        Raises:
            ValueError: an item that the catalogue lacks.
        """
        found = (read_json(find, NEW_ITEMS) or {}).get("neighbours", {}).get(catalog.domain, {})
        try:
            neighbours = {
                catalog.row_of[item_id]: [catalog.row_of[neighbour] for neighbour in of_item]
                for item_id, of_item in found.items()
                if of_item
            }
        except KeyError as error:
            raise ValueError(
                f"{NEW_ITEMS} names item {error}, which the catalogue lacks; take both from the "
                "same folder"
            ) from None
        return cls(neighbours) if neighbours else None

    def without_interactions(self, popularity: np.ndarray) -> PipelineNewItems:
        """Those that the item graph knows nothing of either."""
        return PipelineNewItems(
            {row: rows for row, rows in self.neighbours.items() if popularity[row] == 0}
        )

    def fill(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores `[batch, items]` (no logarithms) with the new items' own in their place."""
        total = scores.new_zeros(len(scores), len(self._rows))
        # One after the other: all of them at once may not fit into memory.
        for near, share in zip(self._near.to(scores.device), self._shares.to(scores), strict=True):
            total += scores[:, near] * share
        return self._filled(scores, total)

    def fill_log(self, scores: torch.Tensor) -> torch.Tensor:
        """The same for logarithms: that of the mean of what they stand for."""
        total = scores.new_full((len(scores), len(self._rows)), -torch.inf)
        for near, share in zip(self._near.to(scores.device), self._shares.to(scores), strict=True):
            total = torch.logaddexp(total, scores[:, near] + share.log())
        return self._filled(scores, total)

    def _filled(self, scores: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        filled = scores.clone()
        filled[:, self._rows.to(scores.device)] = values
        return filled


class PipelineGraph:
    """The item graph: what the items of a history say about all others.

    Args:
        arrays: `weights`, `columns`, `row_starts` (compressed sparse rows) and `popularity`.
        recency: weight of one step back in a history, for each protocol.
    """

    def __init__(self, arrays: dict[str, np.ndarray], recency: dict[str, float]):
        self.weights, self.columns = arrays["weights"], arrays["columns"]
        self.row_starts, self.popularity = arrays["row_starts"], arrays["popularity"]
        self.recency = recency

    @classmethod
    def load(cls, find: Callable[[str], str | None], num_items: int) -> PipelineGraph | None:
        """The folder's graph, None where it has none.

        Raises:
            ValueError: a part is missing, or the graph is about other items.
        """
        from safetensors.numpy import load_file

        info = read_json(find, f"{GRAPH_FOLDER}/{GRAPH_INFO}")
        if info is None:
            return None
        parts: dict[str, list[np.ndarray]] = {}
        for name in graph_files(info):
            path = find(name)
            if path is None:
                raise ValueError(f"{name} is missing; copy the whole model folder")
            for key, array in load_file(path).items():
                parts.setdefault(key, []).append(array)
        arrays = {key: np.concatenate(list_) for key, list_ in parts.items()}
        if len(arrays["popularity"]) != num_items:
            raise ValueError(
                f"the item graph covers {len(arrays['popularity'])} items, the catalogue has "
                f"{num_items}; take both from the same folder"
            )
        return cls(arrays, info["recency"])

    def score(self, histories: list[np.ndarray], recency: float) -> np.ndarray:
        """What each history says of every item, `[batch, items]` float32.

        Args:
            histories: `[batch]` arrays of item rows, oldest first.
            recency: weight of one step back; `self.recency` holds that of each protocol.
        """
        scores = np.zeros((len(histories), len(self.popularity)), dtype=np.float32)
        for row, history in enumerate(histories):
            powers = np.power(recency, np.arange(len(history))[::-1], dtype=np.float64)
            items, place = np.unique(history, return_inverse=True)
            weights = np.zeros(len(items), dtype=np.float32)
            np.add.at(weights, place, powers.astype(np.float32))
            for item, weight in zip(items.tolist(), weights, strict=True):
                span = slice(self.row_starts[item], self.row_starts[item + 1])
                scores[row, self.columns[span]] += weight * self.weights[span]
        return scores


def read_json(find: Callable[[str], str | None], name: str) -> Any:
    """A JSON file of the folder, None where it has none.

    Raises:
        ValueError: the file is damaged, or of a newer format than this code knows.
    """
    path = find(name)
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); fetch it again") from None
    version = found.get("format_version", FORMAT_VERSION) if isinstance(found, dict) else None
    if not isinstance(version, int):
        raise ValueError(f"{path} does not hold what belongs there; fetch it again")
    if version > FORMAT_VERSION:
        raise ValueError(f"{path} is newer than this pipeline; fetch the folder's code again")
    return found


def graph_files(info: dict[str, Any]) -> list[str]:
    """The files of an item graph, as its JSON file names them; a large graph has several.

    Raises:
        ValueError: a name leads out of the folder.
    """
    names = info.get("files", ["item_graph.safetensors"])
    if any(PurePosixPath(name).name != name for name in names):
        raise ValueError(f"{GRAPH_INFO} names files that are not beside it: {names}")
    return [f"{GRAPH_FOLDER}/{name}" for name in names]


def _folded(title: str) -> str:
    return " ".join(title.split()).casefold()

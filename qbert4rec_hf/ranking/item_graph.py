"""The item-graph prior: which items go with which, from the training histories alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from transformers.utils import logging

from ..errors import QBert4RecError
from ..files import atomic_folder, read_json, write_json
from .item_graph_files import GRAPH_FILE, MAX_SHARD_SIZE, read_arrays, write_arrays
from .item_graph_solvers import MAX_CLOSED_FORM_ITEMS, closed_form, restricted
from .ranks import ALL_ITEMS, PROTOCOLS, UNSEEN_ITEMS

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from ..data.sequences import Sequences

logger = logging.get_logger(__name__)

INFO_FILE = "item_graph.json"
FORMAT_VERSION = 1


class ItemGraphPrior:
    r"""A linear item-to-item model whose scores are mixed with those of the sequence model.

    Weights B are the ridge regression of every item on all others over the binary user-item
    matrix X of the training histories, with a zero diagonal:

    \[ \min_B ||X - XB||^2 + \lambda ||B||^2, \quad diag(B) = 0 \]

    A history scores item j by the sum over its items i of \( recency^{steps back} B_{ij} \), where
    the latest item is 0 steps back. Up to about 20,000 items the solution is the closed form
    \( B = -P / diag(P) \), \( P = (X^T X + \lambda I)^{-1} \); above that each item is regressed on
    its nearest neighbours only (`method="sparse"`), which equals the closed form when every item
    is a neighbour.

    Of each row the largest weights are kept, and positive ones only: a negative weight says that
    two items are taken together less often than their other companions suggest, which in sparse
    data is mostly chance. `info["mass_kept"]` says which share of the sum of positive weights is
    kept. An item without interactions scores 0 and changes nothing.

    Attributes:
        weights: `[items, items]` float32 CSR; row i holds what item i says about the others.
        popularity: `[items]` int64, interactions in the training histories; what remains to go by
            for an empty history.
        recency: the weight of one step back for each protocol. Where seen items stay in the
            ranking, looking back less far is better; the two are tuned apart.
        info: settings and facts of the fit, as they stand in the JSON file.

    Source:
        Steck, Embarrassingly Shallow Autoencoders for Sparse Data, 2019 (the closed form); Ning
        and Karypis, SLIM, 2011, section IV.B (restriction to neighbours chosen beforehand).

    Example:
        >>> from qbert4rec_hf import ItemGraphPrior, Sequences
        >>> histories = Sequences.from_lists([[0, 1], [0, 1, 2], [1, 0], [2, 3]])
        >>> prior = ItemGraphPrior.fit(histories, num_items=4, regularization=1.0)
        >>> prior
        ItemGraphPrior(4 items, 8 weights, closed_form)
        >>> int(prior.score(Sequences.from_lists([[0]])).argmax())  # who takes 0 takes 1
        1
    """

    def __init__(
        self,
        weights: csr_array,
        popularity: np.ndarray,
        *,
        recency: dict[str, float],
        info: dict[str, Any],
    ) -> None:
        self.weights = weights
        self.popularity = popularity
        self.recency = recency
        self.info = info

    def __repr__(self) -> str:
        method = self.info.get("method", "made by hand")
        return f"ItemGraphPrior({self.num_items} items, {self.weights.nnz} weights, {method})"

    @property
    def num_items(self) -> int:
        """How many items the graph covers."""
        return self.weights.shape[0]

    @classmethod
    def fit(
        cls,
        histories: Sequences,
        num_items: int,
        *,
        regularization: float = 100.0,
        recency: float | dict[str, float] = 0.6,
        method: Literal["auto", "closed_form", "sparse"] = "auto",
        max_per_row: int = 300,
        neighbours: int = 100,
        progress: bool = False,
    ) -> ItemGraphPrior:
        """Fits the graph to training histories.

        Args:
            histories: training interactions only, never validation or test targets.
            num_items: items of the catalogue; may exceed those that occur.
            regularization: λ. Larger for sparser data; 50 to 400 is the range worth trying.
            recency: weight of one step back, above 0 to 1; one number or one a protocol
                (`{"all_items": 0.6, "unseen_items": 1.0}`).
            method: `closed_form` needs `4 * num_items ** 2` bytes; `auto` takes it up to 20,000
                items.
            max_per_row: weights kept of each row.
            neighbours: items that each item is regressed on by `sparse`.
            progress: show a progress bar (the sparse method only).

        Raises:
            QBert4RecError: a setting is out of range, or histories hold items outside the
                catalogue.
        """
        recency = _checked_recency(recency)
        if regularization <= 0:
            raise QBert4RecError(f"regularization must be above 0, got {regularization}")
        if max_per_row < 1 or neighbours < 1:
            raise QBert4RecError(
                f"max_per_row and neighbours must be at least 1, got {max_per_row}, {neighbours}"
            )
        if method not in ("auto", "closed_form", "sparse"):
            raise QBert4RecError(f"method must be auto, closed_form or sparse, got {method!r}")
        interactions = interaction_matrix(histories, num_items)
        popularity = np.bincount(histories.items, minlength=num_items).astype(np.int64)
        if method == "auto":
            method = "closed_form" if num_items <= MAX_CLOSED_FORM_ITEMS else "sparse"
        if method == "closed_form":
            weights, mass_kept = closed_form(interactions, regularization, max_per_row)
        else:
            weights, mass_kept = restricted(
                interactions, regularization, neighbours, max_per_row, progress=progress
            )
        info = {
            "format_version": FORMAT_VERSION,
            "method": method,
            "regularization": float(regularization),
            "max_per_row": max_per_row,
            "neighbours": neighbours if method == "sparse" else None,
            "mass_kept": round(mass_kept, 6),
            "num_items": num_items,
            "num_weights": int(weights.nnz),
            "num_histories": len(histories),
            "num_interactions": int(len(histories.items)),
            "items_without_interactions": int((popularity == 0).sum()),
        }
        return cls(weights, popularity, recency=recency, info=info)

    def score(
        self,
        histories: Sequences,
        *,
        protocol: str = ALL_ITEMS,
        recency: float | None = None,
    ) -> np.ndarray:
        """Scores every item for each history.

        Args:
            histories: item rows in time order, `batch` of them; an empty one scores 0 everywhere.
            protocol: `all_items` or `unseen_items`: whose recency to use. Seen items are scored
                either way, leaving them out is the ranking's business.
            recency: overrides the stored one.

        Returns:
            `[batch, items]` float32.

        Raises:
            QBert4RecError: an item outside the graph, or an unknown protocol.
        """
        if recency is None:
            if protocol not in self.recency:
                raise QBert4RecError(
                    f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}"
                )
            recency = self.recency[protocol]
        weighted = weighted_histories(histories, self.num_items, recency)
        return (weighted @ self.weights).toarray()

    @property
    def own_recency(self) -> dict[str, float]:
        """The recency that suits the graph by itself, where another one was set to mix it."""
        return self.info.get("own_recency", self.recency)

    def with_recency(self, recency: float | dict[str, float]) -> ItemGraphPrior:
        """The same graph with another weight of one step back, one number or one a protocol.

        What it was fitted or tuned with stays known as `own_recency`: the graph alone is compared
        at its own best, not at what suits a mixture.
        """
        info = {**self.info, "own_recency": self.own_recency}
        return ItemGraphPrior(
            self.weights, self.popularity, recency=_checked_recency(recency), info=info
        )

    def extended(self, count: int) -> ItemGraphPrior:
        """The same graph with `count` further items at the end, which nobody has yet.

        They score 0 until the graph is fitted again to histories that hold them.
        """
        from scipy.sparse import csr_array

        size = self.num_items + count
        ends = np.full(count, self.weights.indptr[-1], dtype=self.weights.indptr.dtype)
        row_starts = np.concatenate([self.weights.indptr, ends])
        weights = csr_array((self.weights.data, self.weights.indices, row_starts), (size, size))
        popularity = np.concatenate([self.popularity, np.zeros(count, dtype=np.int64)])
        info = {**self.info, "num_items": size}
        return ItemGraphPrior(weights, popularity, recency=self.recency, info=info)

    def save(
        self, folder: str | os.PathLike, *, max_shard_size: int | str = MAX_SHARD_SIZE
    ) -> None:
        """Writes the graph (safetensors) and its settings (JSON); scores stay bit-equal.

        Args:
            folder: replaced where it stands.
            max_shard_size: above this, weights go into several files.

        Raises:
            QBert4RecError: the folder cannot be written to.
        """
        arrays = {
            "weights": self.weights.data,
            "columns": self.weights.indices,
            "row_starts": self.weights.indptr.astype(np.int64),
            "popularity": self.popularity,
        }
        with atomic_folder(folder) as temporary:
            files = write_arrays(temporary, arrays, max_shard_size)
            info = {**self.info, "recency": self.recency}
            if len(files) > 1:
                info["files"] = files
            write_json(temporary / INFO_FILE, info)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> ItemGraphPrior:
        """Reads what `save` wrote.

        Raises:
            QBert4RecError: a file is missing, damaged or of another format.
        """
        from safetensors import SafetensorError
        from scipy.sparse import csr_array

        folder = Path(folder)
        info = read_json(folder / INFO_FILE)
        if not isinstance(info, dict) or info.get("format_version") != FORMAT_VERSION:
            raise QBert4RecError(
                f"{folder / INFO_FILE} is not an item graph of format {FORMAT_VERSION}; "
                "fit and save the graph again"
            )
        files = info.pop("files", [GRAPH_FILE])
        path = folder / next(iter(files), GRAPH_FILE)
        try:
            tensors = read_arrays(folder, files)
            num_items = info["num_items"]
            weights = csr_array(
                (tensors["weights"], tensors["columns"], tensors["row_starts"]),
                shape=(num_items, num_items),
            )
            weights.check_format(full_check=True)
            popularity = tensors["popularity"]
            recency = _checked_recency(info.pop("recency"))
            if popularity.shape != (num_items,):
                raise ValueError(f"{len(popularity)} popularities for {num_items} items")
        except FileNotFoundError:
            missing = next((name for name in files if not (folder / name).exists()), files[0])
            raise QBert4RecError(
                f"{folder / missing} does not exist; fit and save the graph again"
            ) from None
        except (SafetensorError, KeyError, ValueError) as error:
            raise QBert4RecError(
                f"{path} is damaged or does not fit {INFO_FILE} ({error}); "
                "fit and save the graph again"
            ) from None
        return cls(weights, popularity, recency=recency, info=info)


def interaction_matrix(histories: Sequences, num_items: int) -> csr_array:
    """The binary user-item matrix X `[users, items]` float32 of some histories.

    Raises:
        QBert4RecError: an item outside the catalogue; names the history.
    """
    from scipy.sparse import csr_array

    _check_items(histories, num_items)
    matrix = csr_array(
        (
            np.ones(len(histories.items), dtype=np.float32),
            # Copied: summing duplicates sorts in place, which would shuffle the histories.
            histories.items.copy(),
            histories.offsets.copy(),
        ),
        shape=(len(histories), num_items),
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def weighted_histories(histories: Sequences, num_items: int, recency: float) -> csr_array:
    """`[batch, items]`: an item's weight is recency to the power of its steps back, summed."""
    from scipy.sparse import csr_array

    _check_items(histories, num_items)
    ends = np.repeat(histories.offsets[1:], histories.lengths)
    steps_back = ends - 1 - np.arange(len(histories.items))
    weights = np.power(recency, steps_back, dtype=np.float64).astype(np.float32)
    matrix = csr_array(
        (weights, histories.items.copy(), histories.offsets.copy()),
        shape=(len(histories), num_items),
    )
    matrix.sum_duplicates()
    return matrix


def _check_items(histories: Sequences, num_items: int) -> None:
    items = histories.items
    if len(items) and (items.min() < 0 or items.max() >= num_items):
        position = int(np.flatnonzero((items < 0) | (items >= num_items))[0])
        row = int(np.searchsorted(histories.offsets, position, side="right")) - 1
        raise QBert4RecError(
            f"history {row} holds item row {items[position]}, but the item graph covers rows 0 to "
            f"{num_items - 1}; fit it on the same catalogue"
        )


def _checked_recency(recency: float | dict[str, float]) -> dict[str, float]:
    if not isinstance(recency, dict):
        recency = dict.fromkeys(PROTOCOLS, recency)
    if set(recency) != {ALL_ITEMS, UNSEEN_ITEMS}:
        raise QBert4RecError(
            f"recency must be one number or one for each of {', '.join(PROTOCOLS)}, "
            f"got {sorted(recency)}"
        )
    for protocol, value in recency.items():
        if not 0 < value <= 1:
            raise QBert4RecError(
                f"recency must be above 0 and at most 1, got {value} for {protocol}"
            )
    return {protocol: float(recency[protocol]) for protocol in PROTOCOLS}

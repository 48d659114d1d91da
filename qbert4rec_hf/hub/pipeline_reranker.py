"""The re-ranker of the recommendation pipeline: re-orders the first items of the mixture.

This file is uploaded with every model, so it imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from .pipeline_folder import PipelineGraph, PipelineNewItems, read_json

RERANKER_FOLDER, RERANKER_INFO = "reranker", "reranker.json"
RERANKER_WEIGHTS = "reranker.safetensors"
# What the network reads of each item, in this order.
FEATURES = (
    "model",
    "model_rank",
    "graph",
    "graph_rank",
    "graph_of_last",
    "popularity",
    "history_length",
    "model_best",
)
NETWORK = tuple(
    f"{layer}.{part}" for layer in ("first", "second", "out") for part in ("weight", "bias")
)


class PipelineReranker:
    """A small network that re-orders the first unseen items of the mixture.

    Args:
        state: tensors of the network by name: `mean` and `scale` `[features]`, weights and biases.
        length: how many items are re-ordered.
    """

    def __init__(self, state: dict[str, torch.Tensor], length: int):
        self.state, self.length = state, length

    @classmethod
    def load(cls, find: Callable[[str], str | None]) -> PipelineReranker | None:
        """The folder's re-ranker, None where it has none.

        Raises:
            ValueError: a part is missing, or the re-ranker reads other things.
        """
        from safetensors.torch import load_file

        info = read_json(find, f"{RERANKER_FOLDER}/{RERANKER_INFO}")
        if info is None:
            return None
        if info.get("features") != list(FEATURES):
            raise ValueError(
                f"{RERANKER_INFO} names features that this pipeline does not know; fetch the "
                "folder's code again"
            )
        name = f"{RERANKER_FOLDER}/{RERANKER_WEIGHTS}"
        path = find(name)
        if path is None:
            raise ValueError(f"{name} is missing; copy the whole model folder")
        state = load_file(path)
        missing = [part for part in ("mean", "scale", *NETWORK) if part not in state]
        if missing or "length" not in info:
            raise ValueError(
                f"{name} or {RERANKER_INFO} lacks {', '.join(missing or ['length'])}; fetch the "
                "folder again"
            )
        return cls(state, info["length"])

    def reorder(
        self,
        scores: torch.Tensor,
        log_probabilities: torch.Tensor,
        of_graph: torch.Tensor,
        seen: torch.Tensor,
        histories: list[np.ndarray],
        graph: PipelineGraph,
        new_items: PipelineNewItems | None,
    ) -> torch.Tensor:
        """The mixture's scores with the share of the first unseen items dealt out anew.

        Args:
            scores: `[batch, items]`, probabilities of the mixture.
            log_probabilities: `[batch, items]` of the model.
            of_graph: `[batch, items]`, what the graph gave to the mixture, none below zero.
            seen: `[batch, items]`, True for items of the history.
            histories: `[batch]` arrays of item rows.
            graph: the item graph.
            new_items: those that the graph knows nothing of.

        Returns:
            `[batch, items]` with the same sum a row.
        """
        count = min(self.length, scores.shape[1])
        first, items = scores.masked_fill(seen, -torch.inf).topk(count, dim=1)
        # Where the catalogue is short, items of the history fill up the row.
        left_alone = first == -torch.inf
        share = first.masked_fill(left_alone, 0.0).sum(dim=1, keepdim=True)
        features = self._features(
            log_probabilities, of_graph, histories, graph, new_items, items, ~left_alone
        )
        logits = self._logits(features).masked_fill(left_alone, -torch.inf)
        dealt = torch.softmax(logits, dim=1) * share
        return scores.scatter(1, items, torch.where(left_alone, scores.gather(1, items), dealt))

    def _logits(self, features: torch.Tensor) -> torch.Tensor:
        """`[batch, length]` of features `[batch, length, features]`."""
        state = {name: value.to(features.device) for name, value in self.state.items()}
        hidden = (features - state["mean"]) / state["scale"]
        for layer in ("first", "second"):
            hidden = functional.linear(hidden, state[f"{layer}.weight"], state[f"{layer}.bias"])
            hidden = functional.gelu(hidden)
        return functional.linear(hidden, state["out.weight"], state["out.bias"])[..., 0]

    def _features(
        self,
        log_probabilities: torch.Tensor,
        of_graph: torch.Tensor,
        histories: list[np.ndarray],
        graph: PipelineGraph,
        new_items: PipelineNewItems | None,
        items: torch.Tensor,
        unseen: torch.Tensor,
    ) -> torch.Tensor:
        """`[batch, length, features]` of `items` `[batch, length]`, in the order of `FEATURES`."""
        last = [history[-1:] for history in histories]

        def known(values: np.ndarray) -> torch.Tensor:
            """`[batch, length]` of values `[batch, items]` that new items lack."""
            found = torch.from_numpy(values).to(items.device).clamp(min=0)
            found = found if new_items is None else new_items.fill(found)
            return found.expand(len(items), -1).gather(1, items)

        model = log_probabilities.gather(1, items).clamp(min=-20)
        total = of_graph.sum(dim=1, keepdim=True)
        share = of_graph.gather(1, items) / total.clamp(min=1e-9)
        of_items = (share + 1e-5).log()
        lengths = torch.tensor([len(history) for history in histories], device=items.device)
        of_history = (
            lengths.float().clamp(min=1).log(),
            log_probabilities.amax(dim=1),
        )
        features = [
            model,
            torch.log1p(_ranks(model, unseen)),
            of_items,
            torch.log1p(_ranks(of_items, unseen)),
            (known(graph.score(last, 1.0)) + 1e-3).log(),
            torch.log1p(known(graph.popularity[None].astype(np.float32))),
            *(values[:, None].expand(items.shape) for values in of_history),
        ]
        return torch.stack(features, dim=2).float()


def _ranks(logarithms: torch.Tensor, unseen: torch.Tensor) -> torch.Tensor:
    """How many of the row's unseen items are larger, `[batch, length]`.

    Rounded to a thousandth before: between nearly equal items, such as new ones with the same
    neighbours, the last digits are chance, and must not decide.
    """
    rounded = (logarithms * 1000).round().masked_fill(~unseen, -torch.inf)
    ordered = rounded.sort(dim=1).values
    return rounded.shape[1] - torch.searchsorted(ordered, rounded, right=True).float()

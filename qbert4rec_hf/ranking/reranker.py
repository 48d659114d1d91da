"""Re-ordering the first items of the mixture by all that is known of each beside a history."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import QBert4RecError
from ..files import atomic_folder, read_json, write_json
from .ranks import mask_items

if TYPE_CHECKING:
    from ..data.sequences import Sequences
    from .item_graph import ItemGraphPrior
    from .new_items import NewItems

INFO_FILE = "reranker.json"
WEIGHTS_FILE = "reranker.safetensors"
FORMAT_VERSION = 1
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
"""What the network reads of each item, in this order (`shortlist_features`)."""


@dataclass(frozen=True)
class Evidence:
    """What is known of every item beside each history of a batch.

    Args:
        log_probabilities: `[batch, items]` of the sequence model.
        graph: `[batch, items]`, the prior's scores at the recency of the mixture.
        graph_of_last: the same, of the last item alone.
        popularity: `[items]`, training interactions.
        history_length: `[batch]`.
    """

    log_probabilities: Tensor
    graph: Tensor
    graph_of_last: Tensor
    popularity: Tensor
    history_length: Tensor


class Reranker(nn.Module):
    r"""A small network that re-orders the first unseen items of the mixture.

    The mixture adds up model and item graph with one weight for everybody. The network sees for
    each of the first `length` items what either says of it and how sure, what the graph says of
    the last item alone, and how popular the item is (`FEATURES`), and gives it a logit. The items'
    share of the whole is dealt out anew:

    \[ p'_j = \Big(\sum_{k \in S} p_k\Big) \cdot softmax(f(x))_j, \quad j \in S \]

    Items further down, and items of the history, keep what the mixture gave them.

    Which item came right after which one before is left out on purpose. Where a log was sorted by
    item within a day or an order, that would teach the network the sorting, on validation and test
    users alike, and nothing of what people take next (`examples/benchmarks/what_did_not_help.md`
    has figures).

    Args:
        hidden_size: units of the two hidden layers.
        length: how many of the first items are re-ordered.

    Source:
        Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, 2007 (the loss
        that it is fitted with, see `fit_reranker`).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, *, hidden_size: int = 32, length: int = 100) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.length = length
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("scale", torch.ones(len(FEATURES)))
        self.first = nn.Linear(len(FEATURES), hidden_size)
        self.second = nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, 1)
        self.dropout = nn.Dropout(0.1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits `[batch, length]` of features `[batch, length, features]`."""
        hidden = nn.functional.gelu(self.first((features - self.mean) / self.scale))
        hidden = nn.functional.gelu(self.second(self.dropout(hidden)))
        return self.out(hidden)[..., 0]

    def first_unseen(self, scores: Tensor, histories: Sequences) -> tuple[Tensor, Tensor]:
        """The first unseen items of each row, best first.

        Args:
            scores: `[batch, items]`.
            histories: `[batch]`.

        Returns:
            Scores and item rows, `[batch, length]` each. Where the catalogue has not so many unseen
            items, items of the history with minus infinity fill up the row.
        """
        unseen = mask_items(scores, histories)
        first, items = unseen.topk(min(self.length, scores.shape[1]), dim=1)
        return first, items

    def reorder(self, scores: Tensor, evidence: Evidence, histories: Sequences) -> Tensor:
        """The mixture's scores with those of the first unseen items dealt out anew.

        Args:
            scores: `[batch, items]` probabilities of the mixture; not changed.
            evidence: of the same histories.
            histories: `[batch]`.

        Returns:
            `[batch, items]` with the same sum a row.
        """
        first, items = self.first_unseen(scores, histories)
        left_alone = first == -torch.inf
        features = shortlist_features(evidence, items, ~left_alone)
        logits = self(features).masked_fill(left_alone, -torch.inf)
        share = first.masked_fill(left_alone, 0.0).sum(dim=1, keepdim=True)
        dealt = torch.softmax(logits, dim=1) * share
        return scores.scatter(1, items, torch.where(left_alone, scores.gather(1, items), dealt))

    def evidence(
        self,
        log_probabilities: Tensor,
        graph: Tensor,
        histories: Sequences,
        prior: ItemGraphPrior,
        new_items: NewItems | None = None,
    ) -> Evidence:
        """What the network's features are made of.

        Args:
            log_probabilities: `[batch, items]` of the sequence model.
            graph: `[batch, items]`, scores of the prior as they are mixed.
            histories: `[batch]`.
            prior: the item graph.
            new_items: items that the graph does not know; the mean of their neighbours stands for
                each.
        """
        device = log_probabilities.device

        def known(values: np.ndarray) -> Tensor:
            found = torch.from_numpy(values).to(device).clamp(min=0)
            return found if new_items is None else new_items.fill(found)

        return Evidence(
            log_probabilities=log_probabilities,
            graph=graph.to(device),
            graph_of_last=known(prior.score(histories.last(1), recency=1.0)),
            popularity=known(prior.popularity[None].astype(np.float32))[0],
            history_length=torch.from_numpy(histories.lengths).to(device),
        )

    def save(self, folder: str | os.PathLike) -> None:
        """Writes the network (safetensors) and its settings (JSON).

        Raises:
            QBert4RecError: the folder cannot be written to.
        """
        from safetensors.torch import save_file

        info = {
            "format_version": FORMAT_VERSION,
            "features": list(FEATURES),
            "hidden_size": self.hidden_size,
            "length": self.length,
        }
        with atomic_folder(folder) as temporary:
            state = {name: value.cpu().contiguous() for name, value in self.state_dict().items()}
            save_file(state, temporary / WEIGHTS_FILE)
            write_json(temporary / INFO_FILE, info)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Reranker:
        """Reads what `save` wrote.

        Raises:
            QBert4RecError: a file is missing, damaged or of another format.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(folder)
        info: Any = read_json(folder / INFO_FILE)
        if (
            not isinstance(info, dict)
            or info.get("format_version") != FORMAT_VERSION
            or info.get("features") != list(FEATURES)
        ):
            raise QBert4RecError(
                f"{folder / INFO_FILE} is not a re-ranker of format {FORMAT_VERSION}; "
                "fetch the folder again, or update qbert4rec_hf"
            )
        path = folder / WEIGHTS_FILE
        try:
            state = load_file(path)
            # Before anything of the size that the settings claim is made.
            if state["first.weight"].shape != (info["hidden_size"], len(FEATURES)):
                raise ValueError(f"hidden_size is {info['hidden_size']!r}")
            if not isinstance(info["length"], int) or info["length"] < 1:
                raise ValueError(f"length is {info['length']!r}")
            made = cls(hidden_size=info["hidden_size"], length=info["length"])
            made.load_state_dict(state)
        except FileNotFoundError:
            raise QBert4RecError(f"{path} does not exist; fetch the folder again") from None
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise QBert4RecError(
                f"{path} is damaged or does not fit {INFO_FILE} ({reason}); fetch the folder again"
            ) from None
        return made.eval()


def shortlist_features(evidence: Evidence, items: Tensor, unseen: Tensor) -> Tensor:
    """What the network reads of some items of each history.

    Args:
        evidence: of the batch.
        items: `[batch, length]` item rows.
        unseen: `[batch, length]`, False for what only fills up a row.

    Returns:
        `[batch, length, features]` float32, in the order of `FEATURES`.
    """
    model = evidence.log_probabilities.gather(1, items).float().clamp(min=-20)
    total = evidence.graph.clamp(min=0).sum(dim=1, keepdim=True)
    share = evidence.graph.gather(1, items).clamp(min=0) / total.clamp(min=1e-9)
    graph = (share + 1e-5).log()
    of_history = (
        evidence.history_length.float().clamp(min=1).log(),
        evidence.log_probabilities.amax(dim=1),
    )
    return torch.stack(
        [
            model,
            torch.log1p(_ranks(model, unseen)),
            graph,
            torch.log1p(_ranks(graph, unseen)),
            (evidence.graph_of_last.gather(1, items) + 1e-3).log(),
            torch.log1p(evidence.popularity)[items],
            *(values[:, None].expand(items.shape) for values in of_history),
        ],
        dim=2,
    ).float()


def _ranks(logarithms: Tensor, unseen: Tensor) -> Tensor:
    """How many of the row's unseen items are larger, `[batch, length]`.

    Rounded to a thousandth before: between nearly equal items, such as new ones with the same
    neighbours, the last digits are chance, and must not decide.
    """
    rounded = (logarithms * 1000).round().masked_fill(~unseen, -torch.inf)
    ordered = rounded.sort(dim=1).values
    return rounded.shape[1] - torch.searchsorted(ordered, rounded, right=True).float()

"""The pipeline `next-item-recommendation`: a history in, ranked items out.

This file is uploaded with every model folder and runs there without the package: it imports nothing
of it. With and without the package the ranking is that of `Recommender.recommend`, item graph,
re-ranker and popular items for an empty history included.

    from transformers import pipeline

    recommend = pipeline("next-item-recommendation", model="demo/run/model")
    recommend(["WK-20516", "WK-36874"], top_k=5)

Where `qbert4rec_hf` is imported, that is all; elsewhere add `trust_remote_code=True`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Pipeline

from .pipeline_folder import (
    ALL_ITEMS,
    CATALOG,
    CATALOG_INFO,
    GRAPH_FOLDER,
    GRAPH_INFO,
    NEW_ITEMS,
    SETTINGS,
    UNSEEN_ITEMS,
    PipelineCatalog,
    PipelineGraph,
    PipelineNewItems,
    graph_files,
    read_json,
)
from .pipeline_reranker import (
    RERANKER_FOLDER,
    RERANKER_INFO,
    RERANKER_WEIGHTS,
    PipelineReranker,
)

# What a folder's config.json says of this pipeline.
ENTRY = {
    "impl": "pipeline_recommendation.NextItemRecommendationPipeline",
    "pt": ["AutoModelForMaskedLM"],
    "type": "text",
}
HISTORY = "history"


class NextItemRecommendationPipeline(Pipeline):
    """Recommends the items that most likely come next after a history.

    A history is a list of texts, the oldest first. Each is an item id, a title (white space and
    case do not matter) or a semantic ID such as `<a_2><b_3><c_1><d_6>`; they may be mixed, and are
    looked up in this order. One text may also hold several semantic IDs. A list of such lists is
    several histories, `batch_size=` of which are scored at a time; a dataset or generator of
    histories streams, and a row may be `{"history": [...]}`.

    Each history gets a list of `{"item_id", "title", "score", "semantic_id"}`, best first; a list
    of histories gets a list of such lists. The score is the probability of being next. Model and
    item graph are mixed and re-ranked as the folder says, items that joined after training score
    like those near them, and an empty history gets the popular items.

    Args of a call (or of `pipeline(...)`, as its defaults):
        top_k: items to return, 10 by default; fewer where fewer are candidates.
        exclude_seen: leave out the items of the history; the folder knows its domain's habit.
        allowed_items: the only items that may be returned, written like those of a history.
        blocked_items: items that must not be returned.
        unknown: `"error"`, or `"skip"` to leave out what the catalogue lacks, with a warning.

    Args of `pipeline(...)` only:
        folder: where catalogue and item graph lie, for a model that was not loaded from its folder.
        domain: which domain to recommend in, where the catalogue holds several.

    Raises:
        ValueError: something that is no history, an unknown item, a title that several items have,
            or a folder whose parts do not fit.
    """

    _load_tokenizer = True
    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False

    def __init__(
        self,
        model: Any,
        *args: Any,
        folder: str | os.PathLike | None = None,
        domain: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(model, *args, **kwargs)
        self._folder = None if folder is None else Path(folder)
        self.catalog = PipelineCatalog(self._find, self.model, domain, self.tokenizer)
        self.graph = PipelineGraph.load(self._find, len(self.catalog.item_ids))
        self.reranker = PipelineReranker.load(self._find)
        self.new_items = PipelineNewItems.load(self._find, self.catalog)
        self.weights = self.catalog.settings.get("prior_weights") or {}
        self.seen_weight = self.catalog.settings.get("seen_weight", 1.0)

    def _find(self, name: str) -> str | None:
        """The local path of a file of the model folder."""
        if self._folder is not None:
            path = self._folder / name
            return str(path) if path.is_file() else None
        origin = getattr(self.model, "origin", None)
        if origin is None:
            raise ValueError(
                "this model was not loaded from a folder, so its catalogue is not known; give the "
                "model folder as folder="
            )
        return origin.find(name)

    def __call__(self, histories: Any, *args: Any, **kwargs: Any) -> Any:
        """Recommends for one history or several; see the class."""
        if isinstance(histories, str):
            histories = {HISTORY: [histories]}
        elif isinstance(histories, list | tuple):
            # A list of texts is one history, the empty one too. To the base class it is a batch.
            if all(isinstance(entry, str) for entry in histories):
                histories = {HISTORY: list(histories)}
            else:
                histories = [self._row(history) for history in histories]
        elif type(histories).__module__.partition(".")[0] == "datasets":
            # The base class streams torch's datasets and generators, and knows no others.
            histories = (row for row in histories)
        return super().__call__(histories, *args, **kwargs)

    @staticmethod
    def _row(history: Any) -> dict[str, list[str]]:
        """One input as `{"history": [...]}`."""
        if isinstance(history, Mapping) and HISTORY in history:
            history = history[HISTORY]
        if isinstance(history, str):
            history = [history]
        if not isinstance(history, Sequence):
            raise ValueError(
                "a history must be a list of item ids, titles or semantic IDs, or a row with such "
                f"a list under {HISTORY!r}; got {history!r}"
            )
        return {HISTORY: list(history)}

    def _sanitize_parameters(
        self,
        top_k: int | None = None,
        exclude_seen: bool | None = None,
        allowed_items: Sequence[str] | None = None,
        blocked_items: Sequence[str] | None = None,
        unknown: str | None = None,
    ) -> tuple[dict, dict, dict]:
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        preprocess = {"unknown": unknown}
        forward = {
            "top_k": top_k,
            "exclude_seen": exclude_seen,
            "allowed_items": allowed_items,
            "blocked_items": blocked_items,
        }
        # What is not given must not hide what was given when the pipeline was made.
        return _given(preprocess), _given(forward), {}

    def preprocess(self, row: Any, unknown: str = "error") -> dict[str, torch.Tensor]:
        """One history as `input_ids`, `attention_mask` (`[1, items * levels]`) and `rows`.

        `rows` (`[1, all items]`) are catalogue rows plus one, so that padding is 0.
        """
        rows = self.catalog.find(self._row(row)[HISTORY], unknown)
        latest = rows[-self.model.config.max_items :]
        tokens = torch.from_numpy(self.catalog.tokens(latest)).reshape(1, -1)
        mask = torch.ones_like(tokens)
        if not rows:
            # A padded item stands for no item: it can be batched, and changes nothing.
            tokens = tokens.new_full((1, self.model.config.num_levels), self.tokenizer.pad_token_id)
            mask = torch.zeros_like(tokens)
            rows = [-1]
        return {
            "input_ids": tokens,
            "attention_mask": mask,
            "rows": torch.tensor([rows], dtype=torch.long) + 1,
        }

    def _forward(
        self,
        inputs: dict[str, torch.Tensor],
        top_k: int = 10,
        exclude_seen: bool | None = None,
        allowed_items: Sequence[str] | None = None,
        blocked_items: Sequence[str] | None = None,
    ) -> dict[str, torch.Tensor]:
        rows = inputs.pop("rows")
        if exclude_seen is None:
            exclude_seen = self.catalog.settings.get("exclude_seen", True)
        domain_ids = rows.new_full((len(rows),), self.catalog.number)
        scores = self.model.score_items(**inputs, domain_ids=domain_ids)[:, self.catalog.rows]
        # One column in front takes the padding.
        seen = torch.zeros(len(rows), scores.shape[1] + 1, dtype=bool, device=scores.device)
        seen = seen.scatter(1, rows, True)[:, 1:]
        scores = self._mixed(scores, rows, seen, UNSEEN_ITEMS if exclude_seen else ALL_ITEMS)
        if exclude_seen:
            scores = scores.masked_fill(seen, -torch.inf)
        else:
            scores = torch.where(seen, scores * self.seen_weight, scores)
        forbidden = self._forbidden(allowed_items, blocked_items)
        if forbidden is not None:
            scores = scores.masked_fill(forbidden.to(scores.device), -torch.inf)
        items, best = _best(scores, min(top_k, scores.shape[1]))
        return {"items": items, "scores": best}

    def _mixed(
        self,
        log_probabilities: torch.Tensor,
        rows: torch.Tensor,
        seen: torch.Tensor,
        protocol: str,
    ) -> torch.Tensor:
        """Model and item graph together, re-ranked, `[batch, items]`.

        Args:
            log_probabilities: `[batch, items]` of the model.
            rows: `[batch, all items]` of the histories, plus one; 0 is padding.
            seen: `[batch, items]`, True for items of the history.
            protocol: whose weight and recency to use.
        """
        # Computed as the package does, to the last digit: the re-ranker reads ranks, and which of
        # two nearly equal items is the better one must not depend on the way to their scores.
        if self.new_items is not None:
            log_probabilities = self.new_items.fill_log(log_probabilities).log_softmax(dim=1)
        probabilities = log_probabilities.exp()
        if self.graph is None:
            return probabilities
        histories = [of_user[of_user > 0].cpu().numpy() - 1 for of_user in rows]
        weight = self.weights.get(protocol, 0.0)
        if weight > 0 or self.reranker is not None:
            new_items = self.new_items
            # Negatives count as zero in the mixture, so they do in the mean of new items.
            graph = torch.from_numpy(self.graph.score(histories, self.graph.recency[protocol]))
            graph = graph.to(probabilities.device).clamp(min=0)
            if new_items is not None:
                new_items = new_items.without_interactions(self.graph.popularity)
                graph = new_items.fill(graph)
            total = graph.sum(dim=1, keepdim=True)
            shares = graph / torch.where(total > 0, total, torch.ones_like(total))
            probabilities = torch.lerp(torch.softmax(log_probabilities, dim=1), shares, weight)
            if self.reranker is not None:
                probabilities = self.reranker.reorder(
                    probabilities, log_probabilities, graph, seen, histories, self.graph, new_items
                )
        empty = torch.tensor([not len(history) for history in histories], device=rows.device)
        popularity = torch.from_numpy(self.graph.popularity).to(probabilities) + 1
        return torch.where(empty[:, None], popularity / popularity.sum(), probabilities)

    def _forbidden(
        self, allowed: Sequence[str] | None, blocked: Sequence[str] | None
    ) -> torch.Tensor | None:
        """`[items]`, True for those that must not be returned."""
        if allowed is None and blocked is None:
            return None
        forbidden = torch.full((len(self.catalog.item_ids),), allowed is not None)
        for entries, value in ((allowed, False), (blocked, True)):
            if entries is not None:
                forbidden[self.catalog.find(self._row(entries)[HISTORY], "error")] = value
        return forbidden

    def postprocess(self, outputs: dict[str, torch.Tensor]) -> list[dict[str, Any]]:
        """The items of one history as plain values."""
        return [
            {
                "item_id": self.catalog.item_ids[row],
                "title": self.catalog.titles[row],
                "score": score,
                "semantic_id": self.catalog.semantic_id(row),
            }
            for row, score in zip(
                outputs["items"][0].tolist(), outputs["scores"][0].tolist(), strict=True
            )
            if score > float("-inf")
        ]

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Saves model, tokenizer and all that the pipeline needs, its code included.

        Fusion, quantizer and encoders stay behind; `Recommender.save_pretrained` takes them along.
        """
        target = Path(save_directory)
        names = [CATALOG, CATALOG_INFO, SETTINGS, NEW_ITEMS]
        graph = read_json(self._find, f"{GRAPH_FOLDER}/{GRAPH_INFO}")
        if graph is not None:
            names += [f"{GRAPH_FOLDER}/{GRAPH_INFO}", *graph_files(graph)]
        names += [f"{RERANKER_FOLDER}/{name}" for name in (RERANKER_INFO, RERANKER_WEIGHTS)]
        files = {name: self._find(name) for name in names}
        for name in (Path(__file__).name, "pipeline_folder.py", "pipeline_reranker.py"):
            files[name] = Path(__file__).with_name(name)
        for name, path in files.items():
            if path is not None and (target / name).resolve() != Path(path).resolve():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / name)
        # Named in the folder, and not in the model, which may be saved by itself afterwards.
        config = self.model.config
        before = getattr(config, "custom_pipelines", None)
        config.custom_pipelines = {self.task: dict(ENTRY)}
        try:
            super().save_pretrained(save_directory, **kwargs)
        finally:
            del config.custom_pipelines
            if before is not None:
                config.custom_pipelines = before


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _best(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The best items of each row of `[batch, items]`, equal ones in the order of their rows."""
    last = torch.topk(scores, count, dim=1).values[:, -1]
    items, best = [], []
    for of_row, border in zip(scores, last, strict=True):
        # Which of several equal items enter at the border is left open by torch: settle it here.
        candidates = (of_row >= border).nonzero()[:, 0]
        order = of_row[candidates].sort(descending=True, stable=True)
        items.append(candidates[order.indices[:count]])
        best.append(order.values[:count])
    return torch.stack(items), torch.stack(best)

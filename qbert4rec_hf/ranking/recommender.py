"""The front door: item ids in, ranked items out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from transformers.utils import logging

from ..data.sequences import Sequences
from ..errors import QBert4RecError
from ..hub_files.folders import MODEL
from ..hub_files.plan import plan_folder
from ..hub_files.upload import upload
from ..semantic_ids.catalogue import ItemCatalog
from ..semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from .item_coder import ItemCoder
from .item_graph import ItemGraphPrior
from .item_graph_files import MAX_SHARD_SIZE
from .model_folder import ModelFolder, open_model_folder, write_model_folder, write_parts
from .new_items import NewItemIds
from .previewed_catalogue import PreviewedCatalogue
from .ranker import Ranker
from .ranks import ALL_ITEMS, UNSEEN_ITEMS
from .recommendation import Recommendation, RecommendationLists, Recommendations
from .recommender_html import recommender_html
from .reranker import Reranker
from .top_k import NO_ITEM
from .top_k import top_k as best_items

logger = logging.get_logger(__name__)

BATCH_SIZE = 256


class Recommender(PreviewedCatalogue):
    """Recommends what people take next: item ids in, ranked items out.

    It holds a model, its catalogue and everything needed to code new items. A finished run has one
    in its folder `model/`, and `Recommender.from_pretrained("run/model")` opens it.

    Example:
        >>> from qbert4rec_hf import ItemGraphPrior, QBert4RecConfig, QBert4RecForMaskedLM
        >>> from qbert4rec_hf import ItemCatalog, Recommender, Sequences
        >>> import torch
        >>> titles, codes = ["Tea", "Pot", "Mug"], torch.tensor([[0, 0], [0, 1], [1, 1]])
        >>> catalog = ItemCatalog(
        ...     ["tea", "pot", "mug"], titles, codes.numpy(), [2, 2], ["teashop"], [3]
        ... )
        >>> model = QBert4RecForMaskedLM(QBert4RecConfig(codebook_sizes=[2, 2], hidden_size=8))
        >>> model.set_catalog(codes)
        >>> log = Sequences.from_lists([[0, 1], [0, 1, 2], [1, 0]])
        >>> prior = ItemGraphPrior.fit(log, num_items=3)
        >>> made = Recommender(model, catalog, prior=prior, weights={"unseen_items": 1.0})
        >>> recommender = Recommender.from_pretrained(made.save_pretrained("teashop-model"))
        >>> recommender
        Recommender(domain='teashop', items=3, levels=2, exclude_seen=True)
        >>> for item in recommender.recommend(["tea"], top_k=2):
        ...     print(item.item_id, item.title, item.semantic_id)
        pot Pot <a_0><b_1>
        mug Mug <a_1><b_1>

    Args:
        model: sequence model with its catalogue set.
        catalog: items of the same catalogue, in the same rows.
        tokenizer: of the catalogue's codebooks.
        prior: item graph of the domain; optional.
        weights: share of the prior for each protocol.
        seen_weight: what the scores of a history's items are multiplied by where they are ranked.
        reranker: re-orders the first items of the mixture; optional.
        domain: name of the domain to recommend in; the catalogue's only one by default.
        exclude_seen: default of `recommend`.
        coder: encoders, fusion and quantizer, for `add_items`; optional.
        info: further facts that are kept with the model folder.
        card: text of the model card; it goes along wherever the model is saved or pushed.
        new_items: items that were added since the model was trained.

    Raises:
        QBert4RecError: parts that do not belong together.
    """

    def __init__(
        self,
        model: QBert4RecForMaskedLM,
        catalog: ItemCatalog,
        *,
        tokenizer: QBert4RecTokenizer | None = None,
        prior: ItemGraphPrior | None = None,
        weights: dict[str, float] | None = None,
        seen_weight: float = 1.0,
        reranker: Reranker | None = None,
        domain: str | None = None,
        exclude_seen: bool = True,
        coder: ItemCoder | None = None,
        info: dict[str, Any] | None = None,
        card: str | None = None,
        new_items: NewItemIds | None = None,
    ) -> None:
        if domain is None:
            if len(catalog.domains) > 1:
                raise QBert4RecError(
                    f"the catalogue holds the domains {', '.join(catalog.domains)}; "
                    "say which with domain="
                )
            domain = catalog.domains[0]
        if domain not in catalog.domains:
            raise QBert4RecError(
                f"there is no domain {domain!r} in the catalogue, only {', '.join(catalog.domains)}"
            )
        self.model = model
        self.catalog = catalog
        if tokenizer is None:
            tokenizer = QBert4RecTokenizer.from_codebook_sizes(catalog.codebook_sizes)
        self.tokenizer = tokenizer
        self.domain = domain
        self.exclude_seen = exclude_seen
        self.coder = coder
        self.info = dict(info or {})
        self.card = card
        self.new_items = NewItemIds() if new_items is None else new_items
        self._set_ranker(prior, weights, seen_weight, reranker)

    def _set_ranker(
        self,
        prior: ItemGraphPrior | None,
        weights: dict[str, float] | None,
        seen_weight: float,
        reranker: Reranker | None,
    ) -> None:
        self.items = self.catalog.subset(self.domain)
        self.ranker = Ranker(
            self.model,
            prior,
            weights,
            domain=self.catalog.domains.index(self.domain),
            seen_weight=seen_weight,
            new_items=self.new_items.rows(self.domain, self.items.item_ids),
            reranker=reranker,
        )

    # -- folders ---------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike,
        *,
        domain: str | None = None,
        trust_remote_code: bool = False,
        **hub_arguments: Any,
    ) -> Recommender:
        """Opens a model folder or a repository of the Hub.

        Args:
            model: folder, or id of a repository.
            domain: which domain to recommend in, where the catalogue holds several.
            trust_remote_code: whether an encoder whose model brings code of its own may run it, to
                code new items (`add_items`). Granted to this object, never saved.
            hub_arguments: `revision`, `token`, `cache_dir`, `local_files_only`, `force_download`,
                as in `huggingface_hub.snapshot_download`.

        Raises:
            QBert4RecError: no such model, or its parts do not belong together.
        """
        folder = open_model_folder(model, trust_remote_code=trust_remote_code, **hub_arguments)
        return cls(
            folder.model,
            folder.catalog,
            tokenizer=folder.tokenizer,
            prior=folder.prior,
            weights=folder.weights,
            seen_weight=folder.seen_weight,
            reranker=folder.reranker,
            domain=domain or folder.info.get("domain"),
            exclude_seen=folder.info.get("exclude_seen", True),
            coder=folder.coder,
            info=folder.info,
            card=folder.card,
            new_items=folder.new_items,
        )

    def save_pretrained(
        self, folder: str | os.PathLike, *, max_shard_size: int | str = MAX_SHARD_SIZE
    ) -> Path:
        """Writes the model folder: complete, or not at all.

        Args:
            folder: replaced where it stands.
            max_shard_size: above this, weights of model and item graph go into several files each.

        Returns:
            The folder.

        Raises:
            QBert4RecError: the folder is a stage of a run, or cannot be written.
        """
        return write_model_folder(folder, self._parts(), max_shard_size=max_shard_size)

    def write_into(self, folder: str | os.PathLike) -> None:
        """Writes the files of a model folder into an existing folder (see `save_pretrained`)."""
        write_parts(Path(folder), self._parts())

    def _parts(self) -> ModelFolder:
        return ModelFolder(
            model=self.model,
            catalog=self.catalog,
            tokenizer=self.tokenizer,
            prior=self.ranker.prior,
            weights=self.ranker.weights,
            seen_weight=self.ranker.seen_weight,
            reranker=self.ranker.reranker,
            coder=self.coder,
            info={**self.info, "domain": self.domain, "exclude_seen": self.exclude_seen},
            card=self.card,
            new_items=self.new_items,
        )

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        commit_message: str | None = None,
        token: str | bool | None = None,
    ) -> str:
        """Uploads the model folder to a repository of the Hub: what changed, and no pickles.

        Pushing the same model again makes no commit. The command line does the same with a folder:
        `qbert4rec push FOLDER --repo-id OWNER/NAME`.

        Args:
            repo_id: owner and name; made if it does not exist.
            private: for a new repository.
            revision: branch to write to, made if it does not exist; the main one by default.
            create_pr: open a pull request instead.
            commit_message: of the commit.
            token: of the Hub; by default the one that `hf auth login` stored, or HF_TOKEN.

        Returns:
            The address of the commit or pull request; of the repository where nothing changed.

        Raises:
            QBert4RecError: the Hub refuses or cannot be reached; trying again goes on.
        """
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.save_pretrained(Path(temporary) / "model")
            plan = plan_folder(folder, repo_id, MODEL, revision=revision, token=token)
            done = upload(
                plan, private=private, create_pr=create_pr, message=commit_message, token=token
            )
        return done.url

    # -- recommendations -------------------------------------------------------------------------

    # A text is a sequence of texts too, which a checker of types cannot tell from a history.
    @overload
    def recommend(  # type: ignore[overload-overlap]
        self,
        histories: Sequence[str],
        *,
        top_k: int = ...,
        exclude_seen: bool | None = ...,
        allowed_items: Sequence[str] | None = ...,
        blocked_items: Sequence[str] | None = ...,
        unknown: Literal["error", "skip"] = ...,
    ) -> Recommendations: ...

    @overload
    def recommend(
        self,
        histories: Sequence[Sequence[str]],
        *,
        top_k: int = ...,
        exclude_seen: bool | None = ...,
        allowed_items: Sequence[str] | None = ...,
        blocked_items: Sequence[str] | None = ...,
        unknown: Literal["error", "skip"] = ...,
    ) -> RecommendationLists: ...

    def recommend(
        self,
        histories: Sequence[str] | Sequence[Sequence[str]],
        *,
        top_k: int = 10,
        exclude_seen: bool | None = None,
        allowed_items: Sequence[str] | None = None,
        blocked_items: Sequence[str] | None = None,
        unknown: Literal["error", "skip"] = "error",
    ) -> Recommendations | RecommendationLists:
        """The items that most likely come next.

        An empty history gets the most popular items, with `cold_start` set.

        Args:
            histories: item ids of one user, oldest first, or a list of such histories.
            top_k: items to return; fewer where fewer are candidates.
            exclude_seen: leave out the items of the history; the domain's habit by default.
            allowed_items: the only items that may be returned.
            blocked_items: items that must not be returned.
            unknown: what to do with an id that the catalogue lacks: stop, or leave it out with a
                warning.

        Returns:
            Items, best first; a list of such lists for several histories. A notebook shows either
            as a table.

        Raises:
            QBert4RecError: an unknown item id, something that is none, or `top_k` below 1.
        """
        if isinstance(histories, str):
            raise QBert4RecError(
                f"histories must be a list of item ids, got the text {histories!r}; "
                f"write [{histories!r}]"
            )
        single = all(isinstance(entry, str) for entry in histories)
        several = [histories] if single else histories
        for history in several:
            if not isinstance(history, Iterable):
                raise QBert4RecError(
                    f"histories must be item ids, which are texts, or lists of them; got "
                    f"{history!r}"
                )
        rows = Sequences.from_lists([self._rows(history, unknown) for history in several])
        exclude_seen = self.exclude_seen if exclude_seen is None else exclude_seen
        allowed = self._allowed(allowed_items, blocked_items)
        found = RecommendationLists()
        for start in range(0, len(rows), BATCH_SIZE):
            batch = rows.take(np.arange(start, min(start + BATCH_SIZE, len(rows))))
            scores = self.ranker.scores(batch, UNSEEN_ITEMS if exclude_seen else ALL_ITEMS)
            items, best = best_items(
                scores, top_k, exclude=batch if exclude_seen else None, allowed=allowed
            )
            for history, of_items, of_scores in zip(batch, items, best, strict=True):
                found.append(self._listed(of_items, of_scores, cold_start=not len(history)))
        return found[0] if single else found

    def similar_items(self, item_id: str, *, top_k: int = 10) -> Recommendations:
        """Items whose semantic IDs mean the most similar things to the model.

        Compared are the sums of the code embeddings, which is what the encoder reads of an item;
        an item that was added a minute ago has one too.

        Raises:
            QBert4RecError: an unknown item id.
        """
        row = self._rows([item_id], "error")[0]
        tokens = torch.from_numpy(np.asarray(self.items.tokens()))
        with torch.no_grad():
            words = self.model.get_input_embeddings()
            vectors = words(tokens.to(self.model.device)).sum(dim=1)
            vectors = torch.nn.functional.normalize(vectors, dim=1)
            scores = (vectors @ vectors[row])[None]
        items, best = best_items(scores, top_k, exclude=Sequences.from_lists([[row]]))
        return self._listed(items[0], best[0])

    def _rows(self, item_ids: Sequence[str], unknown: str) -> np.ndarray:
        if unknown not in ("error", "skip"):
            raise QBert4RecError(f"unknown must be 'error' or 'skip', got {unknown!r}")
        return self.items.rows(item_ids, missing=unknown)

    def _allowed(
        self, allowed: Sequence[str] | None, blocked: Sequence[str] | None
    ) -> np.ndarray | None:
        if allowed is None and blocked is None:
            return None
        mask = np.full(len(self.items.item_ids), allowed is None)
        if allowed is not None:
            mask[self._rows(allowed, "error")] = True
        if blocked is not None:
            mask[self._rows(blocked, "error")] = False
        return mask

    def _listed(
        self, items: torch.Tensor, scores: torch.Tensor, *, cold_start: bool = False
    ) -> Recommendations:
        found = Recommendations()
        for row, score in zip(items.tolist(), scores.tolist(), strict=True):
            if row == NO_ITEM:
                break
            item_id = self.items.item_ids[row]
            found.append(
                Recommendation(
                    item_id=item_id,
                    title=self.items.titles[row],
                    score=score,
                    semantic_id=self.items.encode(item_id),
                    cold_start=cold_start,
                )
            )
        return found

    def __repr__(self) -> str:
        return (
            f"Recommender(domain={self.domain!r}, items={len(self.items.item_ids)}, "
            f"levels={len(self.catalog.codebook_sizes)}, exclude_seen={self.exclude_seen})"
        )

    def _repr_html_(self) -> str:
        return recommender_html(self)

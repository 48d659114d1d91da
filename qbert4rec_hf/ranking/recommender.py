"""The front door: item ids in, ranked items out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from transformers.utils import logging

from ..columns import ITEM_ID, TITLE
from ..data.domain import Domain
from ..data.sequences import Sequences
from ..errors import QBert4RecError
from ..semantic_ids.catalogue import ItemCatalog
from ..semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from .item_coder import ItemCoder
from .item_graph import ItemGraphPrior
from .model_folder import ModelFolder, open_model_folder, write_model_folder
from .ranker import Ranker
from .ranks import ALL_ITEMS, UNSEEN_ITEMS
from .recommendation import Recommendation
from .top_k import NO_ITEM
from .top_k import top_k as best_items

if TYPE_CHECKING:
    import pandas as pd

logger = logging.get_logger(__name__)

BATCH_SIZE = 256


class Recommender:
    """A model, its catalogue and everything needed to code new items.

    Example:
        ```python
        from qbert4rec_hf import Recommender

        recommender = Recommender.from_pretrained("demo/run/model")
        for item in recommender.recommend(["ITEM-1", "ITEM-2"], top_k=5):
            print(f"{item.score:.3f}  {item.item_id}  {item.title}")
        ```

    Args:
        model: sequence model with its catalogue set.
        catalog: items of the same catalogue, in the same rows.
        tokenizer: of the catalogue's codebooks.
        prior: item graph of the domain; optional.
        weights: share of the prior for each protocol.
        domain: name of the domain to recommend in; the catalogue's only one by default.
        exclude_seen: default of `recommend`.
        coder: encoders, fusion and quantizer, for `add_items`; optional.
        info: further facts that are kept with the model folder.
        card: text of the model card; it goes along wherever the model is saved or pushed.

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
        domain: str | None = None,
        exclude_seen: bool = True,
        coder: ItemCoder | None = None,
        info: dict[str, Any] | None = None,
        card: str | None = None,
    ):
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
        self.tokenizer = tokenizer or QBert4RecTokenizer.from_codebook_sizes(catalog.codebook_sizes)
        self.domain = domain
        self.exclude_seen = exclude_seen
        self.coder = coder
        self.info = dict(info or {})
        self.card = card
        self._set_ranker(prior, weights)

    def _set_ranker(self, prior: ItemGraphPrior | None, weights: dict[str, float] | None) -> None:
        number = self.catalog.domains.index(self.domain)
        self.ranker = Ranker(self.model, prior, weights, domain=number)
        self.items = self.catalog.subset(self.domain)

    # -- folders ---------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls, model: str | os.PathLike, *, domain: str | None = None, **hub_arguments: Any
    ) -> Recommender:
        """Opens a model folder or a repository of the Hub.

        Args:
            model: folder, or id of a repository.
            domain: which domain to recommend in, where the catalogue holds several.
            hub_arguments: `revision`, `token`, `cache_dir`, as in `snapshot_download`.

        Raises:
            QBert4RecError: no such model, or its parts do not belong together.
        """
        folder = open_model_folder(model, **hub_arguments)
        return cls(
            folder.model,
            folder.catalog,
            tokenizer=folder.tokenizer,
            prior=folder.prior,
            weights=folder.weights,
            domain=domain or folder.info.get("domain"),
            exclude_seen=folder.info.get("exclude_seen", True),
            coder=folder.coder,
            info=folder.info,
            card=folder.card,
        )

    def save_pretrained(self, folder: str | os.PathLike) -> Path:
        """Writes the model folder: complete, or not at all.

        Args:
            folder: replaced where it stands.

        Returns:
            The folder.
        """
        info = {**self.info, "domain": self.domain, "exclude_seen": self.exclude_seen}
        return write_model_folder(
            folder,
            ModelFolder(
                model=self.model,
                catalog=self.catalog,
                tokenizer=self.tokenizer,
                prior=self.ranker.prior,
                weights=self.ranker.weights,
                coder=self.coder,
                info=info,
                card=self.card,
            ),
        )

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, **arguments: Any) -> str:
        """Uploads the model folder to a repository of the Hub.

        Args:
            repo_id: made if it does not exist.
            private: for a new repository.
            arguments: `token`, `revision`, `commit_message`, as in `HfApi.upload_folder`.

        Returns:
            The address of the commit.
        """
        import tempfile

        from huggingface_hub import HfApi

        api = HfApi(token=arguments.pop("token", None))
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.save_pretrained(Path(temporary) / "model")
            api.create_repo(repo_id, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repo_id, folder_path=folder, **arguments)
        return str(commit)

    # -- recommendations -------------------------------------------------------------------------

    def recommend(
        self,
        histories: Sequence[str] | Sequence[Sequence[str]],
        *,
        top_k: int = 10,
        exclude_seen: bool | None = None,
        allowed_items: Sequence[str] | None = None,
        blocked_items: Sequence[str] | None = None,
        unknown: Literal["error", "skip"] = "error",
    ) -> list[Recommendation] | list[list[Recommendation]]:
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
            Items, best first; a list of lists for several histories.

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
        found: list[list[Recommendation]] = []
        for start in range(0, len(rows), BATCH_SIZE):
            batch = rows.take(np.arange(start, min(start + BATCH_SIZE, len(rows))))
            scores = self.ranker.scores(batch, UNSEEN_ITEMS if exclude_seen else ALL_ITEMS)
            items, best = best_items(
                scores, top_k, exclude=batch if exclude_seen else None, allowed=allowed
            )
            for history, of_items, of_scores in zip(batch, items, best, strict=True):
                found.append(self._listed(of_items, of_scores, cold_start=not len(history)))
        return found[0] if single else found

    def similar_items(self, item_id: str, *, top_k: int = 10) -> list[Recommendation]:
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
    ) -> list[Recommendation]:
        found = []
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

    # -- a living catalogue ----------------------------------------------------------------------

    def add_items(
        self,
        items: pd.DataFrame | Sequence[Mapping[str, Any]],
        *,
        images_root: str | os.PathLike | None = None,
    ) -> list[str]:
        """Adds items to the catalogue; they can be recommended at once, without training.

        They get semantic IDs from their features alone: the encoders, fusion (shared ID query) and
        quantizer of the model folder. No ID that was there before changes.

        Args:
            items: rows with `item_id` and, where known, `title`, `text` (list of str), `images`
                (list of paths) and the further columns that the text template uses.
            images_root: folder that image paths are relative to.

        Returns:
            The semantic ID of each new item.

        Raises:
            QBert4RecError: the model folder has no encoders, an id is in the catalogue already,
                or no free semantic ID is left.
        """
        if self.coder is None:
            raise QBert4RecError(
                "this model has no fusion and quantizer (its semantic IDs were imported), so it "
                "cannot code new items; train it through all stages to add items"
            )
        frame = self.coder.table(items)
        present = set(self.items.item_ids)
        known = [item_id for item_id in frame[ITEM_ID] if item_id in present]
        if known:
            raise QBert4RecError(f"item {known[0]!r} is in the catalogue already")
        codes = self.coder.code(frame, images_root, taken=self.items.codes)
        titles = frame[TITLE].tolist()
        old_ids = self._global_ids()
        self.catalog = self.catalog.add(frame[ITEM_ID].tolist(), titles, codes, self.domain)
        old_row = {key: row for row, key in enumerate(old_ids)}
        self.model.set_catalog(
            torch.from_numpy(self.catalog.codes),
            item_map=torch.tensor([old_row.get(key, -1) for key in self._global_ids()]),
            num_items=self.catalog.domain_sizes,
        )
        prior = self.ranker.prior
        if prior is not None:
            prior = prior.extended(len(frame))
        self._set_ranker(prior, self.ranker.weights)
        return [self.items.encode(item_id) for item_id in frame[ITEM_ID]]

    def _global_ids(self) -> list[tuple[str, str]]:
        names = np.repeat(self.catalog.domains, self.catalog.domain_sizes)
        return list(zip(names.tolist(), self.catalog.item_ids, strict=True))

    def update(self, interactions: pd.DataFrame) -> None:
        """Refits the item graph and the popularity to the shop's present log, without training.

        Args:
            interactions: `user_id`, `item_id` and, where known, `timestamp`; the whole log that
                the graph shall be fitted to, not only what is new.

        Raises:
            QBert4RecError: an item that the catalogue lacks (`add_items` first), or wrong columns.
        """
        import pandas as pd

        items = pd.DataFrame({ITEM_ID: self.items.item_ids, TITLE: self.items.titles})
        items["text"] = [[] for _ in range(len(items))]
        items["images"] = [[] for _ in range(len(items))]
        domain = Domain.from_tables(items, interactions, name=self.domain)
        _, histories = domain.sequences()
        prior = self.ranker.prior
        settings = (
            {}
            if prior is None
            else {
                "regularization": prior.info["regularization"],
                "recency": prior.own_recency,
                "max_per_row": prior.info["max_per_row"],
            }
        )
        refitted = ItemGraphPrior.fit(histories, len(self.items.item_ids), **settings)
        if prior is not None:
            refitted = refitted.with_recency(prior.recency)
        self._set_ranker(refitted, self.ranker.weights)

    def __repr__(self) -> str:
        return (
            f"Recommender(domain={self.domain!r}, items={len(self.items.item_ids)}, "
            f"levels={len(self.catalog.codebook_sizes)}, exclude_seen={self.exclude_seen})"
        )

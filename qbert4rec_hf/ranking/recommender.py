"""The front door: item ids in, ranked items out."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from transformers.utils import logging

from ..columns import TITLE
from ..data.sequences import Sequences
from ..errors import QBert4RecError
from ..hub_folders import MODEL
from ..hub_upload import plan_folder, upload
from ..semantic_ids.catalogue import ItemCatalog
from ..semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from .item_coder import ItemCoder
from .item_graph import ItemGraphPrior
from .item_graph_files import MAX_SHARD_SIZE
from .living_catalogue import LivingCatalogue
from .model_folder import ModelFolder, open_model_folder, write_model_folder, write_parts
from .new_items import NewItemIds
from .ranker import Ranker
from .ranks import ALL_ITEMS, UNSEEN_ITEMS
from .recommendation import Recommendation
from .top_k import NO_ITEM
from .top_k import top_k as best_items

if TYPE_CHECKING:
    from ..data.domain import Domain

logger = logging.get_logger(__name__)

BATCH_SIZE = 256


class Recommender(LivingCatalogue):
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
        domain: str | None = None,
        exclude_seen: bool = True,
        coder: ItemCoder | None = None,
        info: dict[str, Any] | None = None,
        card: str | None = None,
        new_items: NewItemIds | None = None,
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
        if tokenizer is None:
            tokenizer = QBert4RecTokenizer.from_codebook_sizes(catalog.codebook_sizes)
        self.tokenizer = tokenizer
        self.domain = domain
        self.exclude_seen = exclude_seen
        self.coder = coder
        self.info = dict(info or {})
        self.card = card
        self.new_items = NewItemIds() if new_items is None else new_items
        self._set_ranker(prior, weights)

    def _set_ranker(self, prior: ItemGraphPrior | None, weights: dict[str, float] | None) -> None:
        self.items = self.catalog.subset(self.domain)
        self.ranker = Ranker(
            self.model,
            prior,
            weights,
            domain=self.catalog.domains.index(self.domain),
            new_items=self.new_items.rows(self.domain, self.items.item_ids),
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

    def for_domain(self, domain: Domain) -> Recommender:
        """The same model with the items of another domain, coded by their content alone.

        Nothing is trained: the codes mean to the model what they mean to it here. It is the start
        of a fine-tuning, and of use at once. The item graph stays behind; `update` fits one to a
        log of the new domain.

        Args:
            domain: the other domain.

        Raises:
            QBert4RecError: the model has no encoders (its semantic IDs were imported, or it was
                trained on interactions alone), or there are more items than semantic IDs.
        """
        if self.coder is None:
            raise QBert4RecError(
                "this model has no fusion and quantizer (its semantic IDs were imported), so it "
                "cannot code the items of another domain; train it through all stages"
            )
        embeddings, _ = self.coder.embed(domain.items, domain.path)
        none = np.empty((0, len(self.catalog.codebook_sizes)), dtype=np.int64)
        codes = self.coder.assign(embeddings, none)
        catalog = ItemCatalog(
            domain.item_ids,
            domain.items[TITLE].tolist(),
            codes,
            self.catalog.codebook_sizes,
            [domain.name],
            [len(domain)],
        )
        model = copy.deepcopy(self.model)
        model.set_catalog(torch.from_numpy(catalog.codes), num_items=[len(domain)])
        return Recommender(
            model,
            catalog,
            tokenizer=self.tokenizer,
            exclude_seen=domain.info.exclude_seen,
            coder=self.coder,
        )

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

    def __repr__(self) -> str:
        return (
            f"Recommender(domain={self.domain!r}, items={len(self.items.item_ids)}, "
            f"levels={len(self.catalog.codebook_sizes)}, exclude_seen={self.exclude_seen})"
        )

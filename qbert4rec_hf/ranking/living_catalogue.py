"""What happens to a recommender between two trainings: items join, the log grows, a shop opens."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..columns import IMAGES, ITEM_ID, TEXT, TITLE
from ..data.domain import Domain
from ..errors import QBert4RecError
from ..semantic_ids.catalogue import ItemCatalog
from .item_graph import ItemGraphPrior
from .new_items import NEIGHBOURS, NewItemIds

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from ..data.streamed_domain import StreamedDomain
    from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
    from .item_coder import ItemCoder
    from .ranker import Ranker


class LivingCatalogue:
    """`add_items`, `update` and `for_domain` of a `Recommender`."""

    model: QBert4RecForMaskedLM
    catalog: ItemCatalog
    items: ItemCatalog
    ranker: Ranker
    coder: ItemCoder | None
    domain: str
    new_items: NewItemIds

    def add_items(
        self,
        items: pd.DataFrame | Sequence[Mapping[str, Any]],
        *,
        images_root: str | os.PathLike | None = None,
        neighbours: int = NEIGHBOURS,
    ) -> list[str]:
        """Adds items to the catalogue; they can be recommended at once, without training.

        They get semantic IDs from their features alone: the encoders, fusion (shared ID query) and
        quantizer of the model folder. No ID that was there before changes. In a history a new item
        is read by its ID. As a candidate it scores like the mean of its nearest trained items,
        since the model ranks those far better than an ID it never trained on; so it stands among
        them, below the best and above the worst, and never in everyone's list.

        Args:
            items: rows with `item_id` and, where known, `title`, `text` (list of str), `images`
                (list of paths) and the further columns that the text template uses.
            images_root: folder that image paths are relative to.
            neighbours: how many trained items speak for a new one. Fewer let new items rise
                further at the cost of the others; 0 leaves them to their IDs alone, and nothing to
                the item graph, which does not know them.

        Returns:
            The semantic ID of each new item.

        Raises:
            QBert4RecError: the model has no encoders (its semantic IDs were imported, or it was
                trained on interactions alone), an id is in the catalogue already, or no free
                semantic ID is left.

        Example:
            >>> from qbert4rec_hf import Recommender
            >>> recommender = Recommender.from_pretrained("demo/run/model")
            >>> before = len(recommender.items)
            >>> bowl = {"item_id": "bowl-7", "title": "Enamel bowl", "text": ["a bowl for all"]}
            >>> (semantic_id,) = recommender.add_items([bowl])
            >>> len(recommender.items) - before, recommender.items.decode(semantic_id)
            (1, ['bowl-7'])
        """
        if neighbours < 0:
            raise QBert4RecError(f"neighbours must be 0 or more, got {neighbours}")
        frame = self._table_of_new(items)
        item_ids = frame[ITEM_ID].tolist()
        embeddings, has_content = self.coder.embed(frame, images_root)
        codes = self.coder.assign(embeddings, self.items.codes)
        speaking = self._neighbours(embeddings, has_content, neighbours)
        old_row = {key: row for row, key in enumerate(self._global_ids())}
        self.catalog = self.catalog.add(item_ids, frame[TITLE].tolist(), codes, self.domain)
        self.model.set_catalog(
            torch.from_numpy(self.catalog.codes),
            item_map=torch.tensor([old_row.get(key, -1) for key in self._global_ids()]),
            num_items=self.catalog.domain_sizes,
        )
        self.new_items.add(self.domain, dict(zip(item_ids, speaking, strict=True)))
        ranker = self.ranker
        self._set_ranker(
            None if ranker.prior is None else ranker.prior.extended(len(frame)),
            ranker.weights,
            ranker.seen_weight,
            ranker.reranker,
        )
        return [self.items.encode(item_id) for item_id in item_ids]

    def _table_of_new(self, items: pd.DataFrame | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """The table of items that the catalogue does not have yet and the model can code."""
        if self.coder is None:
            raise QBert4RecError(
                "this model has no fusion and quantizer (its semantic IDs were imported), so it "
                "cannot code new items; train it through all stages to add items"
            )
        frame = self.coder.table(items)
        present = set(self.items.item_ids)
        for item_id in frame[ITEM_ID]:
            if item_id in present:
                raise QBert4RecError(f"item {item_id!r} is in the catalogue already")
        return frame

    def _neighbours(
        self, embeddings: torch.Tensor, has_content: np.ndarray, count: int
    ) -> list[list[str]]:
        """Trained items that speak for each new one; none for one that nothing is known of."""
        new = self.new_items.of(self.domain)
        trained = np.array([item_id not in new for item_id in self.items.item_ids])
        prior = self.ranker.prior
        if prior is not None:
            trained &= prior.popularity > 0
        found: list[list[str]] = [[] for _ in range(len(embeddings))]
        rows = np.flatnonzero(has_content)
        nearest = self.coder.nearest(
            embeddings[torch.from_numpy(rows)], self.items.codes, np.flatnonzero(trained), count
        )
        for row, of_item in zip(rows, nearest, strict=True):
            found[row] = [self.items.item_ids[neighbour] for neighbour in of_item]
        return found

    def _global_ids(self) -> list[tuple[str, str]]:
        names = np.repeat(self.catalog.domains, self.catalog.domain_sizes)
        return list(zip(names.tolist(), self.catalog.item_ids, strict=True))

    def update(self, interactions: pd.DataFrame) -> None:
        """Refits the item graph and the popularity to the shop's present log, without training.

        Items that were added speak for themselves in the graph from their first interaction on; to
        the model they are new until it is trained again.

        Args:
            interactions: `user_id`, `item_id` and, where known, `timestamp`; the whole log that
                the graph shall be fitted to, not only what is new.

        Raises:
            QBert4RecError: an item that the catalogue lacks (`add_items` first), or wrong columns.

        Example:
            >>> import pandas as pd
            >>> from qbert4rec_hf import Recommender
            >>> recommender = Recommender.from_pretrained("demo/run/model")
            >>> first, second = recommender.items.item_ids[:2]
            >>> log = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "timestamp": [1, 2, 3]})
            >>> recommender.update(log.assign(item_id=[first, second, first]))
            >>> recommender.recommend([], top_k=1)[0].item_id == first  # the most popular one now
            True
        """
        import pandas as pd

        items = pd.DataFrame({ITEM_ID: self.items.item_ids, TITLE: self.items.titles})
        for column in (TEXT, IMAGES):
            items[column] = [[] for _ in range(len(items))]
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
        self._set_ranker(
            refitted, self.ranker.weights, self.ranker.seen_weight, self.ranker.reranker
        )

    def for_domain(self, domain: Domain | StreamedDomain) -> Self:
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
        return type(self)(
            model,
            catalog,
            tokenizer=self.tokenizer,
            exclude_seen=domain.info.exclude_seen,
            coder=self.coder,
        )

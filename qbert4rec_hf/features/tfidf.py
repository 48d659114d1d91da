"""Text features that need no download: TF-IDF, cut to a few axes by a truncated SVD."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from transformers.utils import logging

from ..columns import TEXT_MODALITY
from ..errors import QBert4RecError
from ..files import fingerprint
from .base import FeatureEncoder, not_fitted, register_encoder
from .progress import Bar, progress_bar
from .store import ModalityFeatures
from .structural import unit
from .text_template import TextTemplate, template_of

if TYPE_CHECKING:
    import scipy.sparse

    from ..data.domain import Domain

logger = logging.get_logger(__name__)


@register_encoder
class TfidfTextEncoder(FeatureEncoder):
    """TF-IDF over words and word pairs, cut to `dim` axes (latent semantic analysis).

    Fitted on the texts of the pre-training domains; another domain is then described with the same
    words and axes. Vectors have unit length. A text none of whose words was fitted has no vector.

    Args:
        dim: number of axes; fewer texts or words than that give fewer axes, with a warning.
        max_words: the most frequent words and word pairs that are kept.
        max_ngram: 1 for words alone, 2 for pairs of words too.
        template: which columns make up the text; a `TextTemplate` or its settings.
        seed: of the randomised SVD.
        modality: name of the modality.

    Source:
        Deerwester et al., Indexing by latent semantic analysis, 1990.
    """

    kind = "tfidf"
    requires_fit = True

    def __init__(
        self,
        *,
        dim: int = 128,
        max_words: int = 20_000,
        max_ngram: int = 2,
        template: TextTemplate | dict[str, Any] | None = None,
        seed: int = 0,
        modality: str = TEXT_MODALITY,
    ) -> None:
        if min(dim, max_words, max_ngram) < 1:
            raise QBert4RecError(
                f"dim, max_words and max_ngram must be 1 or more, got {dim}, {max_words} and "
                f"{max_ngram}"
            )
        self.modality = modality
        self.requested_dim = dim
        self.max_words = max_words
        self.max_ngram = max_ngram
        self.template = template_of(template)
        self.seed = seed
        self._words: list[str] | None = None
        self._idf: np.ndarray | None = None
        self._axes: np.ndarray | None = None

    @property
    def dim(self) -> int:
        if self._axes is None:
            raise not_fitted(self)
        return self._axes.shape[0]

    def config(self) -> dict[str, Any]:
        return {
            "dim": self.requested_dim,
            "max_words": self.max_words,
            "max_ngram": self.max_ngram,
            "template": self.template.to_dict(),
            "seed": self.seed,
            "modality": self.modality,
        }

    def fit(self, domains: list[Domain]) -> None:
        """Fits words, their weights and the axes.

        Raises:
            QBert4RecError: no item of the domains has text.
        """
        from sklearn.utils.extmath import randomized_svd

        rendered = (row for domain in domains for row in self.template.render(domain.items))
        texts = [text for row in rendered for text in row if text]
        try:
            vectorizer = self._counter(max_features=self.max_words)
            counts = vectorizer.fit_transform(texts)
        except ValueError:
            # scikit-learn's word for "nothing left to count".
            raise QBert4RecError(
                f"no item of {', '.join(d.name for d in domains) or 'no domain'} has words in "
                f"{', '.join(self.template.fields)}; leave the {self.modality} modality out"
            ) from None
        self._words = vectorizer.get_feature_names_out().tolist()
        frequency = np.bincount(counts.indices, minlength=len(self._words))
        # Smoothed as in scikit-learn: as if one more text held every word.
        self._idf = np.log((1 + len(texts)) / (1 + frequency)) + 1
        matrix = self._weighted(counts)
        rank = min(self.requested_dim, *matrix.shape)
        if rank < self.requested_dim:
            logger.warning(
                f"TF-IDF features have {rank} axes instead of {self.requested_dim}: there are only "
                f"{matrix.shape[0]} texts with {matrix.shape[1]} different words"
            )
        _, _, axes = randomized_svd(matrix, rank, n_iter=7, random_state=self.seed)
        self._axes = np.ascontiguousarray(axes, np.float64)

    def encode(
        self, items: pd.DataFrame, root: Path | None, *, progress: bool | Bar = True
    ) -> ModalityFeatures:
        if self._axes is None or self._idf is None:
            raise not_fitted(self)
        texts = self.template.render(items)
        flat = [text for row in texts for text in row]
        shape = (len(items), self.template.num_texts)
        with progress_bar(progress, len(items), "TF-IDF") as advance:
            if not flat:
                return ModalityFeatures.empty(0, self.dim, shape[1])
            matrix = self._weighted(self._counter(vocabulary=self._words).transform(flat))
            # Row by row through the sparse matrix: the sum does not depend on the batch.
            vectors = unit(matrix @ self._axes.T)
            advance(len(items))
        mask = (vectors != 0).any(axis=1).reshape(shape)
        return ModalityFeatures(vectors.reshape(*shape, -1), mask)

    def state(self) -> dict[str, np.ndarray]:
        if self._axes is None or self._idf is None:
            return {}
        return {"axes": self._axes, "idf": self._idf}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self._axes, self._idf = state["axes"], state["idf"]

    def vocabulary(self) -> list[str] | None:
        return self._words

    def set_vocabulary(self, words: list[str]) -> None:
        self._words = words

    def input_fingerprint(self, items: pd.DataFrame, root: Path | None) -> str:
        return fingerprint(self.template.render(items))

    def _counter(self, **arguments: Any):
        from sklearn.feature_extraction.text import CountVectorizer

        return CountVectorizer(ngram_range=(1, self.max_ngram), **arguments)

    def _weighted(self, counts: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
        """Damped counts times word weights, rows of unit length."""
        from sklearn.preprocessing import normalize

        weighted = counts.astype(np.float64)
        weighted.data = (1 + np.log(weighted.data)) * self._idf[weighted.indices]
        return normalize(weighted)

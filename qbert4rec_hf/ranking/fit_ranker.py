"""From a trained model and a split to a ranker: item graph, mixture, re-ranker by validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import QBert4RecError
from .fit_reranker import RerankerTrial, fit_reranker
from .item_graph import ItemGraphPrior
from .item_graph_tuning import RECENCIES, REGULARIZATIONS, GraphTrial, tune_item_graph
from .mixture import SEEN_WEIGHTS, TEMPERATURES, WEIGHTS, MixtureChoice
from .ranker import Ranker

if TYPE_CHECKING:
    from ..data.split import Split
    from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM


@dataclass
class RankingSettings:
    """Settings of the item-graph prior, of its share and of the re-ranker.

    Args:
        prior: mix the item graph into the model's probabilities. Without it the graph is fitted
            all the same, for histories that are empty and to compare with, at weight 0.
        regularizations: ridge penalties to try on validation; a single one is taken as it is.
        recencies: weights of one step back to try on validation.
        weights: shares of the prior to try on validation.
        seen_weights: what to multiply seen items' scores by where they are ranked too, to try on
            validation.
        temperatures: what to divide the model's logits by, to try on validation.
        max_per_row: weights that the sparse graph keeps an item.
        max_users: validation users that the search looks at.
        rerank: fit a re-ranker to validation users, and keep it if it helps those of them whom it
            was not fitted to. Without the prior there is none.

    Raises:
        QBert4RecError: a grid that is empty or holds a value that cannot be, or a number below 1.
    """

    prior: bool = True
    regularizations: list[float] = field(default_factory=lambda: list(REGULARIZATIONS))
    recencies: list[float] = field(default_factory=lambda: list(RECENCIES))
    weights: list[float] = field(default_factory=lambda: list(WEIGHTS))
    seen_weights: list[float] = field(default_factory=lambda: list(SEEN_WEIGHTS))
    temperatures: list[float] = field(default_factory=lambda: list(TEMPERATURES))
    max_per_row: int = 300
    max_users: int = 10_000
    rerank: bool = True

    def __post_init__(self) -> None:
        for name, fits, rule in (
            ("regularizations", lambda value: value > 0, "above 0"),
            ("recencies", lambda value: 0 < value <= 1, "above 0 and at most 1"),
            ("weights", lambda value: 0 <= value <= 1, "from 0 to 1"),
            ("seen_weights", lambda value: 0 <= value <= 1, "from 0 to 1"),
            ("temperatures", lambda value: value > 0, "above 0"),
        ):
            values = getattr(self, name)
            if not values or not all(map(fits, values)):
                raise QBert4RecError(f"{name} is {values}; it must hold numbers {rule}")
        for name in ("max_per_row", "max_users"):
            if getattr(self, name) < 1:
                raise QBert4RecError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class FittedRanker:
    """A ranker and how its settings were chosen.

    Attributes:
        ranker: model and prior, mixed, and re-ranked if that helps.
        graph_trials: validation NDCG@10 of every setting of the item graph.
        mixture: validation NDCG@10 of every weight and recency; `None` without validation users.
        reranking: validation NDCG@10 without and with the re-ranker; `None` where none was tried.
    """

    ranker: Ranker
    graph_trials: list[GraphTrial]
    mixture: MixtureChoice | None
    reranking: RerankerTrial | None = None


def fit_item_graph(
    split: Split, num_items: int, settings: RankingSettings, *, seed: int = 0
) -> tuple[ItemGraphPrior, list[GraphTrial]]:
    """Fits the item graph to the training histories, its settings chosen on validation.

    Args:
        split: of the domain; only `train` is fitted, validation only picks the settings.
        num_items: items of the domain.
        settings: the grids.
        seed: of the draw of validation users.
    """
    histories, targets = split.histories("validation"), split.targets("validation")
    if not len(targets):
        prior = ItemGraphPrior.fit(
            split.train,
            num_items,
            regularization=settings.regularizations[0],
            recency=settings.recencies[0],
            max_per_row=settings.max_per_row,
        )
        return prior, []
    return tune_item_graph(
        split.train,
        num_items,
        histories,
        targets,
        regularizations=settings.regularizations,
        recencies=settings.recencies,
        max_users=settings.max_users,
        max_per_row=settings.max_per_row,
        seed=seed,
    )


def fit_ranker(
    model: QBert4RecForMaskedLM,
    split: Split,
    settings: RankingSettings,
    *,
    domain: int = 0,
    graph: tuple[ItemGraphPrior, list[GraphTrial]] | None = None,
) -> FittedRanker:
    """Fits prior and re-ranker and chooses the mixture; the test split is not looked at.

    Args:
        model: trained, with the catalogue of the split's items.
        split: of the domain, items numbered within it.
        settings: the grids.
        domain: number of the domain in the model's catalogue.
        graph: what `fit_item_graph` gave, where it is there already.
    """
    items = model.config.num_items[domain]
    prior, trials = fit_item_graph(split, items, settings) if graph is None else graph
    ranker = Ranker(model, prior, domain=domain)
    mixture = reranking = None
    if settings.prior and len(split.evaluated("validation")):
        mixture = ranker.choose_mixture(
            split.histories("validation"),
            split.targets("validation"),
            weights=settings.weights,
            seen_weights=settings.seen_weights,
            temperatures=settings.temperatures,
            recencies=settings.recencies,
            max_users=settings.max_users,
        )
        if settings.rerank:
            reranker, reranking = fit_reranker(
                ranker, split.histories("validation"), split.targets("validation")
            )
            ranker = ranker.with_reranker(reranker)
    return FittedRanker(ranker, trials, mixture, reranking)

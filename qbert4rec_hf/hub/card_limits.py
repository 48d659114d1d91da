"""What a model card says of limits and biases: measured where the results tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..evaluation.baselines import ITEM_GRAPH
from ..evaluation.metrics import ALL_ITEMS, UNSEEN_ITEMS
from ..evaluation.result import PRIMARY_METRIC, EvaluationResult
from ..evaluation.tables import PROTOCOL_TITLES
from ..markdown import escape

if TYPE_CHECKING:
    from .card_facts import ModelCardFacts


def limits(facts: ModelCardFacts) -> list[str]:
    """Sentences, Markdown, one for each limit."""
    sentences = [
        f"It ranks the {facts.num_items:,} items of this catalogue and nothing else."
        + (
            " Its semantic IDs were imported, so it cannot code new items."
            if facts.imported_ids
            else " It was trained on interactions alone, so it cannot code new items."
            if not facts.codes_new_items
            else " Items that come later need `add_items`, and are judged by content alone until "
            "the next training."
        )
    ]
    if facts.max_items:
        sentences.append(f"Of a history it reads the latest {facts.max_items} items.")
    if facts.results:
        sentences += _measured(facts.results[0])
        sentences += _against_graph(facts.results)
    sentences += [
        "It learned what people took, which depends on what the shop showed them. Popular items "
        "and well-served groups of users come out ahead, and using it without care deepens that.",
        "The figures count whether one held-out item comes back. They do not measure "
        "satisfaction, diversity or effects on sellers; test on live users before relying on them.",
        "Texts and images are used as the shop wrote them; their errors and stereotypes carry over "
        "into semantic IDs.",
    ]
    return sentences + [escape(note) for note in facts.notes]


def _measured(result: EvaluationResult) -> list[str]:
    sentences = []
    found = result.protocols[ALL_ITEMS]
    buckets = found.by_popularity
    if len(buckets) > 1:
        figures = ", ".join(
            f"{escape(bucket.label)}: {bucket.metrics[PRIMARY_METRIC]:.4f}" for bucket in buckets
        )
        sentences.append(
            f"Rare items are found less often than popular ones. {PRIMARY_METRIC} "
            f"by the target's interactions in training: {figures}."
            if buckets[0].metrics[PRIMARY_METRIC] < buckets[-1].metrics[PRIMARY_METRIC]
            else f"{PRIMARY_METRIC} by the target's interactions in training: {figures}."
        )
    if found.coverage < 1:
        sentences.append(
            f"{1 - found.coverage:.0%} of the catalogue is never among the first ten of any user "
            f"of the {escape(result.split)} split."
        )
    if result.num_cold_targets:
        sentences.append(
            f"For {result.num_cold_targets:,} of {result.num_users:,} users the target has no "
            "interaction in training."
        )
    return sentences


def _against_graph(results: Sequence[EvaluationResult]) -> list[str]:
    graph = next((result for result in results if result.name == ITEM_GRAPH), None)
    if graph is None or graph is results[0]:
        return []
    own, theirs = (
        " and ".join(
            f"{result.metric(protocol=protocol):.4f} {PROTOCOL_TITLES[protocol]}"
            for protocol in (ALL_ITEMS, UNSEEN_ITEMS)
        )
        for result in (results[0], graph)
    )
    return [
        f"The item graph alone ({ITEM_GRAPH}), which needs no training, reaches {PRIMARY_METRIC} "
        f"{theirs}; this model {own}."
    ]

"""The model card of a recommender, rendered from facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from ..errors import QBert4RecError
from ..evaluation.metrics import ALL_ITEMS, UNSEEN_ITEMS
from ..evaluation.tables import PROTOCOL_TITLES, metric_names
from ..markdown import code_block, escape, one_line, table
from . import card_parts, card_snippets
from .card_facts import ModelCardFacts
from .card_limits import limits

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

TEMPLATE = "model_card_template.md"
TAGS = (
    "qbert4rec",
    "recommendation",
    "sequential-recommendation",
    "multimodal-recommendation",
    "semantic-ids",
)
# The model class is a masked language model over semantic-ID tokens; the Hub has no task of
# recommendation.
PIPELINE_TAG = "fill-mask"
CITATION = """
@article{huang2025qbert4rec,
  title   = {Q-BERT4Rec: Quantized Semantic-ID Representation Learning for Multimodal
             Recommendation},
  author  = {Huang, Haofeng and Gai, Ling},
  journal = {arXiv preprint arXiv:2512.02474},
  year    = {2025}
}
"""


def render_model_card(facts: ModelCardFacts | Mapping[str, Any]) -> str:
    """Renders the `README.md` of a model folder.

    Args:
        facts: what is known of the model; titles, names and ids in it may hold anything.

    Returns:
        Markdown with the metadata that the Hub reads.

    Raises:
        QBert4RecError: facts that are unknown or missing, or figures of different splits.
    """
    if not isinstance(facts, ModelCardFacts):
        facts = ModelCardFacts.from_dict(facts)
    if len({(result.split, result.num_users) for result in facts.results}) > 1:
        raise QBert4RecError("the results of a card must be of the same users and split")
    from huggingface_hub import ModelCard

    template = resources.files(__package__).joinpath("templates", TEMPLATE)
    card = ModelCard.from_template(
        card_metadata(facts),
        template_str=template.read_text(encoding="utf-8"),
        title=escape(facts.name),
        summary=card_parts.summary(facts),
        recommend_snippet=card_snippets.recommend_snippet(facts),
        example_answer=card_parts.answer(facts),
        further_use=card_parts.further_use(facts),
        pipeline_snippet=card_snippets.pipeline_snippet(facts),
        transformers_snippet=card_snippets.transformers_snippet(facts),
        domain_table=card_parts.domain(facts),
        method=card_parts.method(facts),
        recipe_table=table(["setting", "value"], list(facts.recipe.items())),
        command=code_block(facts.command or "# not recorded", "bash"),
        settings_table=table(["setting", "value"], list(facts.settings.items())),
        circumstances_table=card_parts.circumstances(facts),
        figures=card_parts.figures(facts),
        limits="\n".join(f"- {sentence}" for sentence in limits(facts)),
        citation=code_block(CITATION, "bibtex"),
        licence=escape(facts.licence),
    )
    # Optional parts leave several empty lines in their place.
    return re.sub(r"\n{3,}", "\n\n", str(card)).rstrip() + "\n"


def card_metadata(facts: ModelCardFacts) -> ModelCardData:
    """The card's metadata: licence, library, tags, and every figure of the model."""
    from huggingface_hub import ModelCardData

    return ModelCardData(
        model_name=one_line(facts.name),
        license=facts.licence,
        library_name="transformers",
        pipeline_tag=PIPELINE_TAG,
        tags=[*TAGS],
        base_model=[*facts.base_models] or None,
        datasets=[*facts.datasets] or None,
        metrics=_metric_ids(facts) or None,
        eval_results=eval_results(facts) or None,
    )


def eval_results(facts: ModelCardFacts) -> list[EvalResult]:
    """The figures of the model as the Hub lists them, one a metric and seen-item rule."""
    from huggingface_hub import EvalResult

    if not facts.results:
        return []
    result = facts.results[0]
    found = []
    for protocol in (ALL_ITEMS, UNSEEN_ITEMS):
        metrics = result.protocols[protocol].metrics
        for name in metric_names([result]):
            found.append(
                EvalResult(
                    task_type="recommendation",
                    task_name="Next-item recommendation, the whole catalogue ranked",
                    dataset_type=facts.datasets[0] if facts.datasets else slug(facts.domain),
                    dataset_name=one_line(facts.domain),
                    dataset_split=result.split,
                    metric_type=_metric_id(name),
                    metric_name=f"{name} ({PROTOCOL_TITLES[protocol]})",
                    metric_config=protocol,
                    metric_args={"exclude_seen": protocol == UNSEEN_ITEMS},
                    metric_value=round(float(metrics[name]), 6),
                )
            )
    return found


def slug(text: str) -> str:
    """A name that may stand in an identifier."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", one_line(text)).strip("-.") or "domain"


def _metric_id(name: str) -> str:
    return name.lower().replace("@", "_at_")


def _metric_ids(facts: ModelCardFacts) -> list[str]:
    return [_metric_id(name) for name in metric_names(facts.results[:1])]


__all__ = ["ModelCardFacts", "card_metadata", "eval_results", "render_model_card"]

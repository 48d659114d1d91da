"""The snippets of a model card; a test runs each of them as it is printed."""

from __future__ import annotations

import json

from ..columns import FUSION_FOLDER, QUANTIZER_FOLDER
from ..markdown import code_block
from ..ranking.pipeline_code import TASK
from .card_facts import ModelCardFacts


def recommend_snippet(facts: ModelCardFacts) -> str:
    """The front door, with items of the model."""
    return code_block(
        f"""
from qbert4rec_hf import Recommender

recommender = Recommender.from_pretrained({_literal(facts.model)})
for item in recommender.recommend({_history(facts)}, top_k=5):
    print(f"{{item.score:.3f}}  {{item.item_id}}  {{item.title}}")
""",
        "python",
    )


def pipeline_snippet(facts: ModelCardFacts) -> str:
    """The same recommendations by the pipeline whose code lies in the repository."""
    return code_block(
        f"""
from transformers import pipeline

recommend = pipeline("{TASK}", model={_literal(facts.model)}, trust_remote_code=True)
for item in recommend({_history(facts)}, top_k=5):
    print(f"{{item['score']:.3f}}  {{item['item_id']}}  {{item['title']}}")
""",
        "python",
    )


def transformers_snippet(facts: ModelCardFacts) -> str:
    """The plain classes of transformers."""
    model = _literal(facts.model)
    history = "".join(item.semantic_id for item in facts.history)
    # A model whose semantic IDs were imported has neither.
    parts = [] if facts.imported_ids else [FUSION_FOLDER, QUANTIZER_FOLDER]
    further = "".join(
        f'{name} = AutoModel.from_pretrained({model}, subfolder="{name}", trust_remote_code=True)\n'
        for name in parts
    )
    return code_block(
        f"""
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

model = AutoModelForMaskedLM.from_pretrained({model}, trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained({model}, trust_remote_code=True)
encoder = AutoModel.from_pretrained({model}, trust_remote_code=True)
{further}
# The same history as semantic IDs; catalog.parquet holds those of all items.
history = "{history}"
inputs = tokenizer(history, return_tensors="pt")
scores = model.score_items(**inputs)  # a log-probability for each row of catalog.parquet
""",
        "python",
    )


def _history(facts: ModelCardFacts) -> str:
    return f"[{', '.join(_literal(item.item_id) for item in facts.history)}]"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""Registration of the model families and the pipeline with transformers."""

from __future__ import annotations

import contextlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
)

from .fusion.configuration_fusion import QBert4RecFusionConfig
from .fusion.modeling_fusion import QBert4RecFusionModel
from .quantizer.configuration_quantizer import QBert4RecQuantizerConfig
from .quantizer.modeling_quantizer import QBert4RecQuantizerModel
from .semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from .sequence.configuration_qbert4rec import QBert4RecConfig
from .sequence.modeling_qbert4rec import QBert4RecForMaskedLM, QBert4RecModel

PIPELINES = "transformers.pipelines"


def register_families() -> None:
    """Makes `AutoConfig`, `AutoModel`, `AutoModelForMaskedLM` and `AutoTokenizer` know us.

    The mappings of transformers hold classes, not names, so the families' modelling files are
    imported here; they need torch and transformers only.
    """
    for config, model in (
        (QBert4RecConfig, QBert4RecModel),
        (QBert4RecFusionConfig, QBert4RecFusionModel),
        (QBert4RecQuantizerConfig, QBert4RecQuantizerModel),
    ):
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModel.register(config, model, exist_ok=True)
    AutoModelForMaskedLM.register(QBert4RecConfig, QBert4RecForMaskedLM, exist_ok=True)
    AutoTokenizer.register(QBert4RecConfig, tokenizer_class=QBert4RecTokenizer, exist_ok=True)


def register_pipeline() -> None:
    """Makes `pipeline("next-item-recommendation", ...)` known.

    transformers' pipelines, which load parts of torchvision, are not imported for it: where nobody
    has used them yet, the task is registered when somebody does.
    """
    if PIPELINES in sys.modules:
        _register_now()
    elif not any(isinstance(finder, _WhenPipelinesLoad) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenPipelinesLoad())


def _register_now() -> None:
    from transformers.pipelines import PIPELINE_REGISTRY

    from .hub.pipeline_recommendation import NextItemRecommendationPipeline
    from .ranking.pipeline_code import TASK

    if TASK not in PIPELINE_REGISTRY.supported_tasks:
        PIPELINE_REGISTRY.register_pipeline(
            TASK,
            pipeline_class=NextItemRecommendationPipeline,
            pt_model=AutoModelForMaskedLM,
            type="text",
        )


class _WhenPipelinesLoad(MetaPathFinder):
    """Waits for the import of transformers' pipelines, and registers ours right after it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != PIPELINES:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            # Not before: whoever only looks for the module does not load it.
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self)
            _register_now()

        spec.loader.exec_module = load_and_register
        return spec

"""Registration of the model families with the Auto classes of transformers."""

from __future__ import annotations

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

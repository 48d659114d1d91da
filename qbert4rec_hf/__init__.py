"""Q-BERT4Rec: multimodal sequential recommendation on quantized semantic IDs.

Items with texts and images become short semantic IDs, a masked encoder learns from histories of
such IDs what people take next, and the result is an ordinary Hugging Face model folder.

To use a finished model:

    from qbert4rec_hf import Recommender

    recommender = Recommender.from_pretrained("demo/run/model")  # or "OWNER/NAME" of the Hub
    recommender.recommend(["ITEM-1", "ITEM-2"], top_k=10)

To make one from a domain folder, `run_domain(folder, "run")` does all stages; in the shell,
`qbert4rec --help` lists the commands, and `qbert4rec demo` makes shops to try them on.

Use:        `Recommender`
Data:       `Domain`, `StreamedDomain`, `Sequences`, `Split`, `leave_one_out`, `temporal_split`,
            `import_published`, `make_demo_domains`
Features:   `EncoderSet`, `ItemFeatures`, `ModalityFeatures`
Fusion:     `QBert4RecFusionModel`, `QBert4RecFusionConfig`
Quantizer:  `QBert4RecQuantizerModel`, `QBert4RecQuantizerConfig`
IDs:        `ItemCatalog`, `QBert4RecTokenizer`
Sequences:  `QBert4RecForMaskedLM`, `QBert4RecModel`, `QBert4RecConfig`, `DataCollatorForMultiMask`
Ranking:    `ItemGraphPrior`
Training:   `run_domain`, `RunConfig`, `PushModelFolder`
Errors:     `QBert4RecError`, a ValueError of one line that names what is wrong and the way out

`help(qbert4rec_hf.Recommender)` and so on show arguments and an example that runs. Importing the
package registers its three model families with the Auto classes of transformers (`register`), so
that `AutoModel.from_pretrained(folder)` opens a folder that this package wrote. Public names load
their modules when they are first used; heavy libraries load later still, when they are needed.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import QBert4RecError

if TYPE_CHECKING:
    from .data.demo import make_demo_domains
    from .data.domain import Domain
    from .data.import_published import import_published
    from .data.sequences import Sequences
    from .data.split import Split, leave_one_out, temporal_split
    from .data.streamed_domain import StreamedDomain
    from .features.encoder_set import EncoderSet
    from .features.store import ItemFeatures, ModalityFeatures
    from .fusion.configuration_fusion import QBert4RecFusionConfig
    from .fusion.modeling_fusion import QBert4RecFusionModel
    from .quantizer.configuration_quantizer import QBert4RecQuantizerConfig
    from .quantizer.modeling_quantizer import QBert4RecQuantizerModel
    from .ranking.item_graph import ItemGraphPrior
    from .ranking.recommender import Recommender
    from .runs.config import RunConfig
    from .runs.pipeline import run_domain
    from .semantic_ids.catalogue import ItemCatalog
    from .semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
    from .sequence.configuration_qbert4rec import QBert4RecConfig
    from .sequence.data_collator import DataCollatorForMultiMask
    from .sequence.modeling_qbert4rec import QBert4RecForMaskedLM, QBert4RecModel
    from .training.push_model_folder import PushModelFolder

__version__ = "0.1.0"

# Public name -> module that defines it.
_MODULES = {
    "DataCollatorForMultiMask": "sequence.data_collator",
    "Domain": "data.domain",
    "EncoderSet": "features.encoder_set",
    "ItemCatalog": "semantic_ids.catalogue",
    "ItemFeatures": "features.store",
    "ItemGraphPrior": "ranking.item_graph",
    "ModalityFeatures": "features.store",
    "PushModelFolder": "training.push_model_folder",
    "QBert4RecConfig": "sequence.configuration_qbert4rec",
    "QBert4RecForMaskedLM": "sequence.modeling_qbert4rec",
    "QBert4RecFusionConfig": "fusion.configuration_fusion",
    "QBert4RecFusionModel": "fusion.modeling_fusion",
    "QBert4RecModel": "sequence.modeling_qbert4rec",
    "QBert4RecQuantizerConfig": "quantizer.configuration_quantizer",
    "QBert4RecQuantizerModel": "quantizer.modeling_quantizer",
    "QBert4RecTokenizer": "semantic_ids.tokenization_semantic_id",
    "Recommender": "ranking.recommender",
    "RunConfig": "runs.config",
    "Sequences": "data.sequences",
    "Split": "data.split",
    "StreamedDomain": "data.streamed_domain",
    "import_published": "data.import_published",
    "leave_one_out": "data.split",
    "make_demo_domains": "data.demo",
    "run_domain": "runs.pipeline",
    "temporal_split": "data.split",
}

__all__ = [
    "DataCollatorForMultiMask",
    "Domain",
    "EncoderSet",
    "ItemCatalog",
    "ItemFeatures",
    "ItemGraphPrior",
    "ModalityFeatures",
    "PushModelFolder",
    "QBert4RecConfig",
    "QBert4RecError",
    "QBert4RecForMaskedLM",
    "QBert4RecFusionConfig",
    "QBert4RecFusionModel",
    "QBert4RecModel",
    "QBert4RecQuantizerConfig",
    "QBert4RecQuantizerModel",
    "QBert4RecTokenizer",
    "Recommender",
    "RunConfig",
    "Sequences",
    "Split",
    "StreamedDomain",
    "__version__",
    "import_published",
    "leave_one_out",
    "make_demo_domains",
    "register",
    "run_domain",
    "temporal_split",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


def register() -> None:
    """Registers families, tokenizer and pipeline with transformers; twice is harmless.

    Importing the package calls it.

    Raises:
        QBert4RecError: torch or transformers is older than this package needs.

    Example:
        >>> import qbert4rec_hf
        >>> from transformers import AutoConfig
        >>> qbert4rec_hf.register()
        >>> type(AutoConfig.for_model("qbert4rec")).__name__
        'QBert4RecConfig'
    """
    from ._versions import check_versions

    check_versions()
    from ._registration import register_families, register_pipeline

    register_families()
    register_pipeline()


# The command line program answers `--help` without loading torch: there, and only there, its verbs
# register the families before they work.
if Path(sys.argv[0] if sys.argv else "").stem != "qbert4rec":
    register()

"""What `import qbert4rec_hf` loads, counted in modules and not in seconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    "PIL",
    "datasets",
    "evaluate",
    "matplotlib",
    "open_clip",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "torchvision",
]
# Our own modelling files, the tokenizer's base class and the `tokenizers` library.
MAX_FURTHER_MODULES = 80

COUNT = """
import json, sys
from transformers import AutoModel, PreTrainedModel
before = set(sys.modules)
import qbert4rec_hf
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def run_python(code: str, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, **kwargs
    )


@pytest.fixture(scope="module")
def added() -> list[str]:
    return json.loads(run_python(COUNT).stdout.splitlines()[-1])


@pytest.mark.parametrize("name", HEAVY)
def test_the_import_does_not_load(added, name):
    assert [module for module in added if module.split(".")[0] == name] == []


def test_the_import_adds_few_modules(added):
    foreign = [module for module in added if module.split(".")[0] != "qbert4rec_hf"]
    assert len(foreign) <= MAX_FURTHER_MODULES, foreign


def test_our_own_layers_stay_unloaded(added):
    loaded = {module.split(".")[1] for module in added if module.startswith("qbert4rec_hf.")}
    # Fusion, quantizer, sequence: their modelling files; semantic_ids: the tokenizer.
    assert loaded <= {
        "_registration",
        "_versions",
        "errors",
        "columns",
        "files",
        "fusion",
        "quantizer",
        "semantic_ids",
        "sequence",
    }


def test_importing_registers_the_families_in_either_order():
    code = """
import qbert4rec_hf
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING
from qbert4rec_hf import QBert4RecConfig, QBert4RecForMaskedLM, QBert4RecTokenizer
from qbert4rec_hf.fusion.modeling_fusion import QBert4RecFusionModel
from qbert4rec_hf.quantizer.modeling_quantizer import QBert4RecQuantizerModel
for model in (qbert4rec_hf.QBert4RecModel, QBert4RecFusionModel, QBert4RecQuantizerModel):
    config = AutoConfig.for_model(model.config_class.model_type)
    assert type(config) is model.config_class
    assert AutoModel._model_mapping[type(config)] is model
assert AutoModelForMaskedLM._model_mapping[QBert4RecConfig] is QBert4RecForMaskedLM
assert TOKENIZER_MAPPING[QBert4RecConfig] is QBert4RecTokenizer
qbert4rec_hf.register()
# Pipelines, which load parts of torchvision, are told of ours when somebody uses them, and not when
# somebody only asks whether they are there.
import importlib.util, sys
assert importlib.util.find_spec("transformers.pipelines") is not None
assert "transformers.pipelines" not in sys.modules
from transformers.pipelines import PIPELINE_REGISTRY
task = PIPELINE_REGISTRY.supported_tasks["next-item-recommendation"]
qbert4rec_hf.register()
assert PIPELINE_REGISTRY.supported_tasks["next-item-recommendation"] is task
assert task["impl"].__name__ == "NextItemRecommendationPipeline"
assert not [finder for finder in sys.meta_path if "qbert4rec_hf" in type(finder).__module__]
"""
    run_python(code)


def test_every_public_name_is_there():
    import qbert4rec_hf

    for name in qbert4rec_hf.__all__:
        assert getattr(qbert4rec_hf, name) is not None
        assert name in dir(qbert4rec_hf)
    assert set(qbert4rec_hf._MODULES) <= set(qbert4rec_hf.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = qbert4rec_hf.no_such_name

"""Folders of saved models: what opens from them, with the package and without it."""

from __future__ import annotations

import json
import subprocess
import sys

import torch
from tiny_sequence import make_model, tokens_of
from transformers import AutoModel

from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecModel


def test_the_encoder_of_a_whole_models_folder(model, tmp_path, caplog):
    model.save_pretrained(tmp_path)
    tokens = tokens_of(model, [[1, 2]])
    for loader in (QBert4RecModel, AutoModel):
        encoder, info = loader.from_pretrained(tmp_path, output_loading_info=True)
        assert type(encoder) is QBert4RecModel
        assert not info["missing_keys"] and not info["unexpected_keys"]
        expected = model.qbert4rec(tokens).last_hidden_state
        assert torch.equal(encoder(tokens).last_hidden_state, expected)


REMOTE = """
import json, sys

class NoPackage:
    # Installed or not: as on a machine without it.
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "qbert4rec_hf":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoPackage())
import torch
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM
folder = sys.argv[1]
tokens = torch.tensor(json.loads(sys.argv[2]))
model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
encoder = AutoModel.from_pretrained(folder, trust_remote_code=True)
assert AutoConfig.from_pretrained(folder, trust_remote_code=True).num_items == [10]
assert type(encoder).__name__ == "QBert4RecModel", type(encoder)
with torch.no_grad():
    result = {
        "scores": model.score_items(tokens).tolist(),
        "states": encoder(tokens).last_hidden_state.tolist(),
    }
# What came from a folder can be saved with its code once more.
model.save_pretrained(sys.argv[3])
again = AutoModelForMaskedLM.from_pretrained(sys.argv[3], trust_remote_code=True)
assert torch.equal(again.score_items(tokens), model.score_items(tokens))
assert type(AutoModel.from_pretrained(sys.argv[3], trust_remote_code=True)) is not None
print(json.dumps(result))
"""


def test_a_saved_folder_opens_without_the_package(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_qbert4rec.QBert4RecConfig",
        "AutoModel": "modeling_qbert4rec_encoder.QBert4RecModel",
        "AutoModelForMaskedLM": "modeling_qbert4rec.QBert4RecForMaskedLM",
    }
    tokens = tokens_of(model, [[1, 2, 3]])
    command = [sys.executable, "-I", "-c", REMOTE, "model", json.dumps(tokens.tolist()), "again"]
    environment = {
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    with torch.no_grad():
        assert torch.equal(torch.tensor(found["scores"]), model.score_items(tokens))
        states = model.qbert4rec(tokens).last_hidden_state
    assert torch.equal(torch.tensor(found["states"]), states)


def test_a_bare_encoders_folder_names_no_code_that_it_lacks(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path / "whole")
    QBert4RecModel.from_pretrained(tmp_path / "whole").save_pretrained(tmp_path / "bare")
    auto_map = json.loads((tmp_path / "bare" / "config.json").read_text())["auto_map"]
    for name in auto_map.values():
        assert (tmp_path / "bare" / f"{name.split('.')[0]}.py").exists()


def test_a_save_without_the_pipelines_code_leaves_the_model_as_it_is(tmp_path):
    model = make_model()
    named = {"a-task": {"impl": "a_pipeline.Pipeline", "pt": [], "type": "text"}}
    model.config.custom_pipelines = named
    for folder, expected in (("bare", {}), ("with code", named)):
        (tmp_path / folder).mkdir()
        if expected:
            (tmp_path / folder / "a_pipeline.py").touch()
        model.save_pretrained(tmp_path / folder)
        config = json.loads((tmp_path / folder / "config.json").read_text())
        assert config["custom_pipelines"] == expected
    assert model.config.custom_pipelines == named

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_recommender import NUM_ITEMS, tiny_recommender
from tiny_sequence import SIZES
from tokenizers import Tokenizer

from qbert4rec_hf.cli import main as cli
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.hub import export_onnx as module
from qbert4rec_hf.hub.export_onnx import LevelLogits, export_onnx
from qbert4rec_hf.ranking.model_folder import open_sequence_model
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.semantic_ids.tokenization_semantic_id import QBert4RecTokenizer

for name in module.LIBRARIES:
    pytest.importorskip(name, reason="the extra 'onnx' is not installed")

HISTORIES = [["item-3"], ["item-0", "item-5", "item-2"], [], [f"item-{n}" for n in range(9)]]


@pytest.fixture(scope="module", params=[False, True], ids=["codes", "item embeddings"])
def recommender(request) -> Recommender:
    return tiny_recommender(item_embeddings=request.param)


@pytest.fixture(scope="module")
def model_folder(recommender, tmp_path_factory) -> Path:
    return recommender.save_pretrained(tmp_path_factory.mktemp("onnx") / "model")


@pytest.fixture(scope="module")
def exported(model_folder) -> Path:
    return export_onnx(model_folder, model_folder.parent / "exported")


def test_what_is_there(exported, recommender):
    names = {"README.md", "export.json", "items.npz", "model.onnx", "tokenizer.json"}
    assert {path.name for path in exported.iterdir()} == names
    about = json.loads((exported / "export.json").read_text())
    assert about["codebook_sizes"] == SIZES and about["domains"] == {"camp": NUM_ITEMS}
    assert 0 <= about["largest_difference"] < module.TOLERANCE
    # No pickled objects: they would not load like this.
    items = np.load(exported / "items.npz", allow_pickle=False)
    assert items["item_ids"].tolist() == recommender.catalog.item_ids
    np.testing.assert_array_equal(items["codes"], recommender.catalog.codes)
    np.testing.assert_array_equal(items["item_bias"], recommender.model.item_bias.detach().numpy())
    tokenizer = Tokenizer.from_file(str(exported / "tokenizer.json"))
    text = recommender.catalog.encode("item-4")
    assert tokenizer.encode(text).ids == recommender.tokenizer(text)["input_ids"]


def test_batch_and_length_are_free(exported, recommender):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported / "model.onnx"))
    network = LevelLogits(recommender.model)
    assert [(i.name, i.type) for i in session.get_inputs()] == [
        (name, "tensor(int64)") for name in network.inputs
    ]
    for batch, items, padding in ((1, 1, 0), (5, 3, 2), (2, 6, 5)):
        mask = torch.ones(batch, items, 3, dtype=torch.long)
        mask[-1, :padding] = 0
        tokens = torch.randint(3, 18, (batch, items * 3)) * mask.flatten(1)
        rows = torch.randint(NUM_ITEMS, (batch, items)).where(mask[:, :, 0] > 0, -1)
        inputs = dict(zip(network.inputs, (tokens, mask.flatten(1), rows), strict=False))
        feed = {name: value.numpy() for name, value in inputs.items()}
        found, *of_items = session.run(network.outputs, feed)
        assert found.shape == (batch, items + 1, 3, max(SIZES))
        assert [part.shape for part in of_items] == [(batch, NUM_ITEMS)] * len(of_items)
        with torch.no_grad():
            expected = network(**inputs)
        for theirs, ours in zip([found, *of_items], expected, strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-4)
        # What has no code is far below everything else.
        assert (found[:, :, 1, SIZES[1] :] < -1e30).all()


def test_the_readmes_ranking_is_the_models(exported, recommender):
    """In a process that has NumPy and ONNX Runtime, and neither torch nor the package."""
    (code,) = re.findall(r"```python\n(.*?)```", (exported / "README.md").read_text(), re.S)
    code += f"\nimport sys\nprint(json.dumps(recommend({HISTORIES!r}, top_k=5)))"
    code += "\nassert not {'torch', 'transformers', 'qbert4rec_hf'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=exported, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    alone = Recommender(recommender.model, recommender.catalog)
    expected = alone.recommend(HISTORIES, top_k=5)
    found = json.loads(done.stdout)
    for ours, theirs in zip(expected, found, strict=True):
        assert [item.item_id for item in ours] == [item_id for item_id, _ in theirs]
        # Cooled logits and log-probabilities differ by one number a history.
        pairs = zip(ours, theirs, strict=True)
        temperature = recommender.model.config.ranking_temperature
        shift = [logit / temperature - np.log(item.score) for item, (_, logit) in pairs]
        assert np.ptp(shift) < 1e-3


def test_the_verb(model_folder, exported, tmp_path, monkeypatch, capsys):
    def copied(source, output_dir):
        assert source == str(model_folder)
        return Path(shutil.copytree(exported, output_dir))

    monkeypatch.setattr(module, "export_onnx", copied)
    command = ["export", str(model_folder), "--format", "onnx", "--output-dir"]
    assert cli.main([*command, str(tmp_path / "out")]) == 0
    assert "export.json, items.npz, model.onnx, tokenizer.json" in capsys.readouterr().out
    assert cli.main([*command, str(tmp_path / "out"), "--name", "x"]) == 2
    assert "--name does not go with --format onnx" in capsys.readouterr().err


def test_other_architectures(tmp_path):
    """Token-level encoding, no item bias, half precision, histories of one item."""
    recommender = tiny_recommender(item_encoding="tokens", item_bias=False, max_items=1)
    recommender.model.to(torch.bfloat16)
    folder = recommender.save_pretrained(tmp_path / "model")
    items = np.load(export_onnx(folder, tmp_path / "out") / "items.npz")
    assert not items["item_bias"].any() and items["item_bias"].dtype == np.float32


def test_a_difference_is_found_and_nothing_left(model_folder, exported, tmp_path, monkeypatch):
    other, _, _ = open_sequence_model(model_folder)
    torch.nn.init.normal_(other.head.bias)
    assert module.largest_difference(LevelLogits(other), exported / "model.onnx") > 0.01
    monkeypatch.setattr(
        module, "_write_network", lambda _, path: shutil.copy(exported / "model.onnx", path)
    )
    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    with pytest.raises(QBert4RecError, match="logits differ from the model's"):
        export_onnx(model_folder, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_weights_of_a_large_model_lie_beside_it(model_folder, exported, tmp_path, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(module, "MAX_EMBEDDED_BYTES", 0)
    folder = export_onnx(model_folder, tmp_path / "out")
    more = {path.name for path in folder.iterdir()} - {path.name for path in exported.iterdir()}
    assert more == {"model.onnx.data"}
    # Found beside the network, wherever the folder is moved.
    folder.rename(tmp_path / "moved")
    assert onnxruntime.InferenceSession(str(tmp_path / "moved" / "model.onnx")).get_inputs()


def test_parts_that_do_not_belong_together_are_refused(model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    QBert4RecTokenizer.from_codebook_sizes([5, 4, 7]).save_pretrained(folder)
    with pytest.raises(QBert4RecError, match=r"\[5, 4, 7\], the model \[5, 4, 6\]"):
        export_onnx(folder, tmp_path / "out")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(QBert4RecError, match=r"pickle only \(pytorch_model.bin\)"):
        export_onnx(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_there_already_is_left_alone(model_folder, exported):
    with pytest.raises(QBert4RecError, match="is not empty"):
        export_onnx(model_folder, exported)


def test_without_the_extra(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LIBRARIES", ("onnx", "no_such_library"))
    with pytest.raises(QBert4RecError, match="needs no_such_library; run pip install 'qbert4rec"):
        export_onnx(model_folder, tmp_path / "out")

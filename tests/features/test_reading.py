from __future__ import annotations

import json

import numpy as np
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.base import FeatureEncoder
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.features.reading import read_tensors
from qbert4rec_hf.features.store import ItemFeatures, ModalityFeatures
from qbert4rec_hf.features.tfidf import TfidfTextEncoder


@pytest.fixture
def folders(shared_domain, tmp_path):
    """Each kind of folder, how it is read, and its file that states a format."""
    encoders = EncoderSet({"text": TfidfTextEncoder(dim=2)}).fit([shared_domain])
    encoders.save(tmp_path / "set")
    features = {"text": ModalityFeatures(np.ones((1, 1, 2)), np.ones((1, 1)))}
    ItemFeatures(["a"], features).save(tmp_path / "features")
    return [
        (tmp_path / "set", EncoderSet.load, "encoders.json"),
        (tmp_path / "set" / "text", FeatureEncoder.load, "encoder.json"),
        (tmp_path / "features", ItemFeatures.load, "index.json"),
    ]


def test_folders_of_a_later_format_are_refused(folders):
    for folder, load, name in folders:
        content = json.loads((folder / name).read_text())
        assert content["format_version"] == 1
        for found in (2, "1", 0, None):
            (folder / name).write_text(json.dumps({**content, "format_version": found}))
            with pytest.raises(QBert4RecError, match=f"{name} has format .*reads up to 1; update"):
                load(folder)
        del content["format_version"]
        (folder / name).write_text(json.dumps(content))
        load(folder)


def test_an_outdated_cache_is_made_again(shared_domain, tmp_path):
    encoders = EncoderSet({"text": TfidfTextEncoder(dim=2)}).fit([shared_domain])
    encoders.encode_domain(shared_domain, tmp_path / "cache")
    index = tmp_path / "cache" / "index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "format_version": 99}))
    encoders.encode_domain(shared_domain, tmp_path / "cache")
    assert json.loads(index.read_text())["format_version"] == 1


def test_broken_tensors_are_named(tmp_path):
    with pytest.raises(QBert4RecError, match="gone.safetensors does not exist"):
        read_tensors(tmp_path / "gone.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"rubbish")
    with pytest.raises(QBert4RecError, match="bad.safetensors cannot be read as safetensors"):
        read_tensors(tmp_path / "bad.safetensors")

from __future__ import annotations

import json

import pytest
from safetensors.numpy import save_file

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.base import (
    FeatureEncoder,
    encoder_class,
    encoder_kinds,
    register_encoder,
)
from qbert4rec_hf.features.store import ModalityFeatures
from qbert4rec_hf.features.tfidf import TfidfTextEncoder


def test_every_kind_names_its_class():
    known = {"tfidf", "minilm", "hf_text", "pca_image", "hf_image", "open_clip", "codes", "parquet"}
    assert known <= set(encoder_kinds())
    for kind in encoder_kinds():
        assert encoder_class(kind).kind == kind


def test_an_encoder_of_ones_own(shared_domain, tmp_path):
    @register_encoder
    class PriceEncoder(FeatureEncoder):
        kind = "price"
        modality = "price"
        dim = 1

        def config(self):
            return {}

        def encode(self, items, root, *, progress=True):
            prices = items["price"].to_numpy()[:, None, None]
            return ModalityFeatures(prices, prices[:, :, 0] > 0)

    PriceEncoder().save(tmp_path)
    loaded = FeatureEncoder.load(tmp_path)
    assert loaded.encode(shared_domain.items, None).vectors[2, 0, 0] == 3.5
    dearer = shared_domain.items.assign(price=shared_domain.items["price"] + 1)
    before = loaded.input_fingerprint(shared_domain.items, None)
    assert loaded.input_fingerprint(dearer, None) != before
    assert loaded.input_fingerprint(shared_domain.items.copy(), None) == before


def test_an_unknown_kind_names_those_there_are():
    with pytest.raises(QBert4RecError, match="'word2vec'; there are .*tfidf"):
        encoder_class("word2vec")


def test_broken_folders(shared_domain, tmp_path):
    with pytest.raises(QBert4RecError, match="encoder.json does not exist"):
        FeatureEncoder.load(tmp_path)
    encoder = TfidfTextEncoder(dim=2)
    encoder.fit([shared_domain])
    encoder.save(tmp_path)
    save_file({"axes": encoder.state()["axes"]}, tmp_path / "state.safetensors")
    with pytest.raises(QBert4RecError, match="state.safetensors lacks 'idf'"):
        FeatureEncoder.load(tmp_path)
    (tmp_path / "state.safetensors").unlink()
    with pytest.raises(QBert4RecError, match="state.safetensors does not exist"):
        FeatureEncoder.load(tmp_path)
    about = json.loads((tmp_path / "encoder.json").read_text())
    about["config"]["depth"] = 3
    (tmp_path / "encoder.json").write_text(json.dumps(about))
    with pytest.raises(QBert4RecError, match="newer version"):
        FeatureEncoder.load(tmp_path)
    for content in ("[]", '{"kind": "tfidf"}', '{"kind": [], "config": {}}'):
        (tmp_path / "encoder.json").write_text(content)
        with pytest.raises(QBert4RecError, match="does not describe an encoder"):
            FeatureEncoder.load(tmp_path)

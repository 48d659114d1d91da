from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from encoder_laws import check_laws
from transformers import AutoModel, AutoTokenizer

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.base import FeatureEncoder
from qbert4rec_hf.features.hf_text import HFTextEncoder, pool


@pytest.fixture(params=[("bert", "mean"), ("llama", "last"), ("llama", "mean"), ("bert", "last")])
def encoder(request, bert_folder, llama_folder):
    family, pooling = request.param
    folder = {"bert": bert_folder, "llama": llama_folder}[family]
    return HFTextEncoder(model=str(folder), pooling=pooling, device="cpu")


def test_laws(encoder, shared_domain, tmp_path):
    check_laws(encoder, shared_domain, tmp_path / "encoder", exact=False)


def test_vectors_are_those_of_the_model_without_padding(encoder, shared_domain):
    encoder.normalize = False
    features = encoder.encode(shared_domain.items, None, progress=False)
    tokenizer = AutoTokenizer.from_pretrained(encoder.model)
    model = AutoModel.from_pretrained(encoder.model).eval()
    for row, (text,) in enumerate(encoder.template.render(shared_domain.items)):
        if not text:
            assert not features.mask[row].any()
            continue
        # Bert has ten positions, so its longer texts are cut.
        limit = 10 if "bert" in encoder.model else 512
        tokens = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            states = model(input_ids=tokens["input_ids"]).last_hidden_state[0]
        expected = states.mean(dim=0) if encoder.pooling == "mean" else states[-1]
        np.testing.assert_allclose(features.vectors[row, 0], expected.numpy(), atol=1e-5)


def test_batch_size_changes_nothing(encoder, shared_domain):
    before = encoder.encode(shared_domain.items, None, progress=False)
    encoder.batch_size = 3
    after = encoder.encode(shared_domain.items, None, progress=False)
    np.testing.assert_allclose(before.vectors, after.vectors, atol=1e-5)


def test_pooling_ignores_padding_whatever_it_holds():
    states = torch.tensor([[[1.0], [3.0], [float("inf")]], [[2.0], [4.0], [6.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert pool(states, mask, "mean").tolist() == [[2.0], [4.0]]
    assert pool(states, mask, "last").tolist() == [[3.0], [6.0]]


def test_options_reach_the_model(bert_folder, shared_domain):
    items = shared_domain.items
    half = HFTextEncoder(model=str(bert_folder), dtype="bfloat16", device="cpu")
    vectors = half.encode(items, None, progress=False).vectors
    assert half._load()[1].dtype == torch.bfloat16 and vectors.dtype == np.float32
    plain = HFTextEncoder(model=str(bert_folder), device="cpu")
    prefixed = HFTextEncoder(model=str(bert_folder), device="cpu", prefix="lamp: ")
    short = HFTextEncoder(model=str(bert_folder), device="cpu", max_length=2)
    prints = {one.fingerprint() for one in (half, plain, prefixed, short)}
    assert len(prints) == 4
    reference = plain.encode(items, None, progress=False).vectors
    for other in (prefixed, short):
        assert np.abs(other.encode(items, None, progress=False).vectors - reference).max() > 1e-3


def test_separate_fields(bert_folder, shared_domain):
    template = {"fields": ["title", "text"], "separate": True}
    encoder = HFTextEncoder(model=str(bert_folder), template=template, device="cpu")
    features = encoder.encode(shared_domain.items, None, progress=False)
    assert features.num_vectors == 2 and features.mask[1].all()
    titles = HFTextEncoder(model=str(bert_folder), template={"fields": ["title"]}, device="cpu")
    alone = titles.encode(shared_domain.items, None, progress=False)
    np.testing.assert_allclose(features.vectors[:, 0], alone.vectors[:, 0], atol=1e-5)


def test_the_fingerprint_is_the_content_of_the_folder(bert_folder, tmp_path):
    shutil.copytree(bert_folder, tmp_path / "copy")
    plain = HFTextEncoder(model=str(bert_folder)).fingerprint()
    assert HFTextEncoder(model=str(tmp_path / "copy")).fingerprint() == plain
    model = AutoModel.from_pretrained(tmp_path / "copy")
    model.embeddings.word_embeddings.weight.data[0] += 1
    model.save_pretrained(tmp_path / "copy")
    assert HFTextEncoder(model=str(tmp_path / "copy")).fingerprint() != plain


def test_another_model_in_the_folder_is_noticed(bert_folder, tmp_path, shared_domain):
    shutil.copytree(bert_folder, tmp_path / "model")
    HFTextEncoder(model=str(tmp_path / "model"), device="cpu").save(tmp_path / "encoder")
    model = AutoModel.from_pretrained(tmp_path / "model")
    model.embeddings.word_embeddings.weight.data[0] += 1
    model.save_pretrained(tmp_path / "model")
    loaded = FeatureEncoder.load(tmp_path / "encoder")
    with pytest.raises(QBert4RecError, match="not the one that the features were made with"):
        loaded.encode(shared_domain.items, None)


def test_a_folder_cannot_grant_itself_trust(bert_folder, tmp_path):
    encoder = HFTextEncoder(model=str(bert_folder), trust_remote_code=True)
    encoder.save(tmp_path)
    assert not FeatureEncoder.load(tmp_path).trust_remote_code
    assert FeatureEncoder.load(tmp_path, trust_remote_code=True).trust_remote_code


def test_no_text_at_all(bert_folder):
    items = pd.DataFrame({"item_id": ["a"], "title": [None], "text": [[]]})
    features = HFTextEncoder(model=str(bert_folder), device="cpu").encode(items, None)
    assert features.dim == 16 and not features.mask.any()


def test_errors(tmp_path):
    with pytest.raises(QBert4RecError, match="cannot be loaded") as caught:
        HFTextEncoder(model=str(tmp_path)).fingerprint()
    assert "\n" not in str(caught.value)
    for wrong in ({"pooling": "max"}, {"dtype": "int8"}, {"batch_size": 0}):
        with pytest.raises(QBert4RecError, match=next(iter(wrong))):
            HFTextEncoder(model="m", **wrong)

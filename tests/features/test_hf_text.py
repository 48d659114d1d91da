from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from encoder_laws import check_laws
from transformers import AutoConfig, AutoModel, AutoTokenizer

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.base import FeatureEncoder
from qbert4rec_hf.features.hf_text import HFTextEncoder, pool
from qbert4rec_hf.files import fingerprint

FAMILIES = [
    ("bert", "mean"),
    ("bert", "last"),
    ("bert", "cls"),
    ("llama", "last"),
    ("llama", "mean"),
    ("t5", "mean"),
]


@pytest.fixture(params=FAMILIES, ids="-".join)
def encoder(request):
    family, pooling = request.param
    folder = request.getfixturevalue(f"{family}_folder")
    return HFTextEncoder(model=str(folder), pooling=pooling, device="cpu")


def test_laws(encoder, shared_domain, tmp_path):
    check_laws(encoder, shared_domain, tmp_path / "encoder", exact=False)


def test_vectors_are_those_of_the_model_without_padding(encoder, shared_domain):
    encoder.normalize = False
    features = encoder.encode(shared_domain.items, None, progress=False)
    tokenizer = AutoTokenizer.from_pretrained(encoder.model)
    model = AutoModel.from_pretrained(encoder.model).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    place = {"last": -1, "cls": 0}
    for row, (text,) in enumerate(encoder.template.render(shared_domain.items)):
        if not text:
            assert not features.mask[row].any()
            continue
        # Bert has ten positions, so its longer texts are cut.
        limit = 10 if "bert" in encoder.model else 512
        tokens = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            states = model(input_ids=tokens["input_ids"]).last_hidden_state[0]
        pooling = encoder.pooling
        expected = states.mean(dim=0) if pooling == "mean" else states[place[pooling]]
        np.testing.assert_allclose(features.vectors[row, 0], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("limits", [{"batch_size": 3}, {"batch_tokens": 20}, {"batch_tokens": 1}])
def test_batches_change_nothing(encoder, shared_domain, limits):
    before = encoder.encode(shared_domain.items, None, progress=False)
    other = HFTextEncoder(model=encoder.model, pooling=encoder.pooling, device="cpu", **limits)
    after = other.encode(shared_domain.items, None, progress=False)
    np.testing.assert_allclose(before.vectors, after.vectors, atol=1e-5)
    assert encoder.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_tokenizers_padding_side_changes_nothing(encoder, shared_domain, side):
    """A short text alone, and beside one that it must be padded to."""
    encoder._network()[0].padding_side = side
    items = shared_domain.items.copy()
    items.at[3, "title"], items.at[3, "text"], items.at[3, "brand"] = "lamp", [], None
    alone = encoder.encode(items.iloc[[3]], None, progress=False).vectors[0]
    together = encoder.encode(items, None, progress=False).vectors[3]
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_batches_hold_like_lengths_up_to_the_budget(bert_folder, shared_domain, monkeypatch):
    encoder = HFTextEncoder(model=str(bert_folder), batch_tokens=24, device="cpu")
    forward, batches = encoder._forward, []

    def seen(tokens):
        batches.append([len(ids) for ids in tokens])
        return forward(tokens)

    monkeypatch.setattr(encoder, "_forward", seen)
    features = encoder.encode(shared_domain.items, None, progress=False)
    lengths = [length for batch in batches for length in batch]
    assert len(lengths) == features.mask.sum() and lengths == sorted(lengths, reverse=True)
    assert max(len(batch) * max(batch) for batch in batches) <= 24 and max(map(len, batches)) > 1


def test_memory_that_runs_out(bert_folder, shared_domain, monkeypatch, caplog):
    plain = HFTextEncoder(model=str(bert_folder), device="cpu")
    expected = plain.encode(shared_domain.items, None, progress=False)
    encoder = HFTextEncoder(model=str(bert_folder), batch_size=8, device="cpu")
    forward, tried = encoder._forward, []

    def short_of_memory(tokens):
        tried.append(len(tokens))
        if len(tokens) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB")
        return forward(tokens)

    monkeypatch.setattr(encoder, "_forward", short_of_memory)
    most = 2
    features = encoder.encode(shared_domain.items, None, progress=False)
    np.testing.assert_allclose(features.vectors, expected.vectors, atol=1e-5)
    assert tried[:3] == [8, 4, 2] and max(tried[3:]) == 2 and "going on with" in caplog.text
    most = 0
    with pytest.raises(QBert4RecError, match="single text .*Tried to allocate.*lower max_length"):
        encoder.encode(shared_domain.items, None, progress=False)


def test_pooling_ignores_padding_whatever_it_holds():
    inf = float("inf")
    right = torch.tensor([[[1.0], [3.0], [inf]], [[2.0], [4.0], [6.0]]])
    left = torch.tensor([[[inf], [1.0], [3.0]], [[2.0], [4.0], [6.0]]])
    masks = {"right": [[1, 1, 0], [1, 1, 1]], "left": [[0, 1, 1], [1, 1, 1]]}
    for states, side in ((right, "right"), (left, "left")):
        mask = torch.tensor(masks[side])
        assert pool(states, mask, "mean").tolist() == [[2.0], [4.0]]
        assert pool(states, mask, "last").tolist() == [[3.0], [6.0]]
        assert pool(states, mask, "cls").tolist() == [[1.0], [2.0]]


def test_cut_texts_keep_the_tokens_that_close_them(t5_folder, shared_domain):
    encoder = HFTextEncoder(model=str(t5_folder), max_length=4, prefix="lamp ", device="cpu")
    tokenizer, _ = encoder._network()
    (short,), (cut,) = encoder._tokens(["oak"]), encoder._tokens(["garden hose steel brass"])
    assert tokenizer.convert_ids_to_tokens(short) == ["<s>", "lamp", "oak", "</s>"]
    assert tokenizer.convert_ids_to_tokens(cut) == ["<s>", "lamp", "garden", "</s>"]
    encoder.max_length = 3
    with pytest.raises(QBert4RecError, match="prefix has 3 tokens, and texts are cut to 3"):
        encoder.encode(shared_domain.items, None, progress=False)


def test_options_reach_the_model(bert_folder, shared_domain):
    items = shared_domain.items
    half = HFTextEncoder(model=str(bert_folder), dtype="bfloat16", device="cpu")
    vectors = half.encode(items, None, progress=False).vectors
    assert half._network()[1].dtype == torch.bfloat16 and vectors.dtype == np.float32
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


def test_an_encoder_saved_before_there_were_more_options(bert_folder, tmp_path, shared_domain):
    encoder = HFTextEncoder(model=str(bert_folder), device="cpu")
    encoder.save(tmp_path)
    about = json.loads((tmp_path / "encoder.json").read_text())
    old = {k: v for k, v in about["config"].items() if k not in ("quantization", "model_kwargs")}
    about = {**about, "config": old, "runtime": {"batch_size": 32}}
    (tmp_path / "encoder.json").write_text(json.dumps(about))
    loaded = FeatureEncoder.load(tmp_path)
    vectors = loaded.encode(shared_domain.items, None, progress=False).vectors
    expected = encoder.encode(shared_domain.items, None, progress=False).vectors
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    named = {k: v for k, v in old.items() if k not in ("dim", "model")}
    assert loaded.fingerprint() == encoder.fingerprint() == fingerprint("hf_text", named)


def test_ways_of_loading(llama_folder, shared_domain):
    def vectors(**options):
        encoder = HFTextEncoder(model=str(llama_folder), pooling="last", **options)
        return encoder, encoder.encode(shared_domain.items, None, progress=False).vectors

    plain, expected = vectors(device="cpu")
    mapped, found = vectors(device_map="cpu", attn_implementation="eager")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert mapped._network()[1].config._attn_implementation == "eager"
    # Both belong to the machine: they are not part of what the encoder is.
    assert mapped.fingerprint() == plain.fingerprint() and mapped.config() == plain.config()
    half, near = vectors(device="cpu", dtype="bfloat16")
    assert half._network()[1].dtype == torch.bfloat16
    assert 0 < np.abs(near - expected).max() < 0.1


def test_arguments_of_from_pretrained(llama_folder, tmp_path, shared_domain):
    options = {"num_hidden_layers": 0}
    encoder = HFTextEncoder(model=str(llama_folder), model_kwargs=options, device="cpu")
    plain = HFTextEncoder(model=str(llama_folder), device="cpu")
    assert encoder.fingerprint() != plain.fingerprint()
    assert not encoder._network()[1].layers
    encoder.save(tmp_path)
    # They may make a model run code, so that a folder cannot grant them to itself.
    loaded = FeatureEncoder.load(tmp_path)
    with pytest.raises(QBert4RecError, match="saved with model_kwargs.*set trust_remote_code"):
        loaded.encode(shared_domain.items, None, progress=False)
    trusted = FeatureEncoder.load(tmp_path, trust_remote_code=True)
    assert not trusted._network()[1].layers
    for wrong, message in (
        ({"trust_remote_code": True}, "an option of its own"),
        ({"token": "hf_secret"}, "HF_TOKEN"),
        ({"dtypes": torch.float32}, "plain value"),
    ):
        with pytest.raises(QBert4RecError, match=message):
            HFTextEncoder(model="m", model_kwargs=wrong)


def test_a_model_in_a_subfolder(bert_folder, tmp_path):
    shutil.copytree(bert_folder, tmp_path / "inside")
    encoder = HFTextEncoder(model=str(tmp_path), model_kwargs={"subfolder": "inside"}, device="cpu")
    assert encoder.dim == 16 and encoder._network()


@pytest.mark.parametrize(("quantization", "layer"), [("int8", "8bit"), ("int4", "4bit")])
def test_quantized_weights(llama_folder, shared_domain, quantization, layer, tmp_path):
    pytest.importorskip("bitsandbytes")
    items = shared_domain.items
    # Its kernels take blocks of 64.
    shutil.copytree(llama_folder, tmp_path / "model")
    config = AutoConfig.from_pretrained(llama_folder)
    config.hidden_size, config.intermediate_size, config.head_dim = 64, 64, 32
    AutoModel.from_config(config).save_pretrained(tmp_path / "model")
    model = str(tmp_path / "model")
    plain = HFTextEncoder(model=model, device="cpu").encode(items, None)
    encoder = HFTextEncoder(model=model, quantization=quantization, device="cpu")
    features = encoder.encode(items, None, progress=False)
    assert layer in type(encoder._network()[1].layers[0].mlp.up_proj).__name__
    likeness = (features.vectors * plain.vectors).sum(axis=2)[plain.mask]
    assert 0.5 < likeness.min() < 1
    encoder.save(tmp_path / "encoder")
    assert FeatureEncoder.load(tmp_path / "encoder").fingerprint() == encoder.fingerprint()


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_quantized_weights_need_a_package(llama_folder, quantization, monkeypatch):
    encoder = HFTextEncoder(model=str(llama_folder), quantization=quantization)
    assert encoder.fingerprint() != HFTextEncoder(model=str(llama_folder)).fingerprint()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(QBert4RecError, match=f"in {quantization} needs bitsandbytes; pip install"):
        encoder._network()


def test_a_checkpoint_with_missing_weights(bert_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(bert_folder, tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    del weights["encoder.layer.0.attention.self.query.weight"]
    save_file(weights, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(QBert4RecError, match="lacks weights .*query.weight.*random numbers"):
        HFTextEncoder(model=str(tmp_path / "model"), device="cpu")._network()
    # What is not used may be missing.
    weights = load_file(bert_folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "pooler" not in name}
    save_file(kept, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    assert HFTextEncoder(model=str(tmp_path / "model"), device="cpu")._network()


def test_errors(tmp_path):
    with pytest.raises(QBert4RecError, match="cannot be loaded") as caught:
        HFTextEncoder(model=str(tmp_path)).fingerprint()
    assert "\n" not in str(caught.value)
    for wrong in (
        {"pooling": "max"},
        {"dtype": "int8"},
        {"batch_size": 0},
        {"batch_tokens": 0},
        {"quantization": "int3"},
        {"device_map": "auto", "device": "cpu"},
    ):
        with pytest.raises(QBert4RecError, match=next(iter(wrong))):
            HFTextEncoder(model="m", **wrong)

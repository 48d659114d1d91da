from __future__ import annotations

import json

import numpy as np
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features import images
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.features.image_thumbnail import ThumbnailImageEncoder
from qbert4rec_hf.features.store import ItemFeatures
from qbert4rec_hf.features.tfidf import TfidfTextEncoder


def make_set(domain, *, seed=0, shard_size=5):
    encoders = {
        "text": TfidfTextEncoder(dim=4, seed=seed),
        "image": ThumbnailImageEncoder(dim=4),
    }
    return EncoderSet(encoders, shard_size=shard_size).fit([domain])


def count_calls(encoder, monkeypatch, *, fail_at=None):
    """Counts the items that an encoder encodes; fails at the given call."""
    encode, calls = encoder.encode, []

    def counted(items, root, *, progress=True):
        if len(calls) == fail_at:
            raise KeyboardInterrupt
        calls.append(len(items))
        return encode(items, root, progress=progress)

    monkeypatch.setattr(encoder, "encode", counted)
    return calls


def assert_equal(first, second):
    assert first.item_ids == second.item_ids and list(first.modalities) == list(second.modalities)
    for name, part in first.modalities.items():
        np.testing.assert_array_equal(part.vectors, second.modalities[name].vectors)
        np.testing.assert_array_equal(part.mask, second.modalities[name].mask)


def test_encode_domain(shared_domain):
    encoders = make_set(shared_domain)
    features = encoders.encode_domain(shared_domain)
    assert features.item_ids == shared_domain.item_ids
    assert features.dims == encoders.dims == {"text": 4, "image": 4}
    assert features.coverage() == {"text": 11, "image": 11}
    assert not features.modalities["text"].mask[0].any()
    assert not features.modalities["image"].mask[1].any()
    whole = make_set(shared_domain, shard_size=1000).encode_domain(shared_domain)
    assert_equal(features, whole)


def test_save_and_load_are_bit_equal(shared_domain, tmp_path):
    encoders = make_set(shared_domain)
    encoders.save(tmp_path / "features")
    loaded = EncoderSet.load(tmp_path / "features")
    assert loaded.fingerprint() == encoders.fingerprint()
    assert_equal(loaded.encode_domain(shared_domain), encoders.encode_domain(shared_domain))
    kinds = {path.suffix for path in (tmp_path / "features").rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}


def test_encode_items_uses_the_same_axes(shared_domain):
    encoders = make_set(shared_domain)
    features = encoders.encode_domain(shared_domain)
    some = encoders.encode_items(shared_domain.items.iloc[3:6], shared_domain.path)
    assert_equal(some, features.align(shared_domain.item_ids[3:6]))
    without_folder = encoders.encode_items(shared_domain.items.iloc[3:6].drop(columns="images"))
    assert without_folder.coverage() == {"text": 3, "image": 0}


def test_a_finished_cache_is_used_again(domain, tmp_path, monkeypatch):
    encoders = make_set(domain)
    first = encoders.encode_domain(domain, tmp_path / "cache")
    assert_equal(ItemFeatures.load(tmp_path / "cache"), first)
    assert not (tmp_path / "cache.partial").exists()
    calls = count_calls(encoders["text"], monkeypatch), count_calls(encoders["image"], monkeypatch)
    assert_equal(encoders.encode_domain(domain, tmp_path / "cache"), first)
    assert calls == ([], [])


def test_only_what_is_outdated_is_made_again(domain, tmp_path, monkeypatch):
    make_set(domain).encode_domain(domain, tmp_path / "cache")
    changed = make_set(domain, seed=1)
    text, image = (count_calls(changed[name], monkeypatch) for name in ("text", "image"))
    changed.encode_domain(domain, tmp_path / "cache")
    assert text == [5, 5, 2] and image == []
    # Another title is another input, and another picture too.
    domain.items.loc[4, "title"] = "blue kettle"
    features = changed.encode_domain(domain, tmp_path / "cache")
    assert len(text) == 6 and image == []
    assert_equal(features, changed.encode_domain(domain))
    picture = domain.path / domain.items["images"][2][0]
    picture.write_bytes((domain.path / domain.items["images"][3][0]).read_bytes())
    image.clear()
    text.clear()
    changed.encode_domain(domain, tmp_path / "cache")
    assert text == [] and image == [5, 5, 2]


def test_interrupted_encoding_goes_on(domain, tmp_path, monkeypatch):
    encoders = make_set(domain)
    expected = encoders.encode_domain(domain)
    with monkeypatch.context() as patch:
        count_calls(encoders["image"], patch, fail_at=2)
        with pytest.raises(KeyboardInterrupt):
            encoders.encode_domain(domain, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    # A shard that was cut off is not trusted.
    first_shard = sorted((tmp_path / "cache.partial").glob("image-*/*.safetensors"))[0]
    first_shard.write_bytes(first_shard.read_bytes()[:100])
    text, image = (count_calls(encoders[name], monkeypatch) for name in ("text", "image"))
    assert_equal(encoders.encode_domain(domain, tmp_path / "cache"), expected)
    assert text == [] and image == [5, 2]
    assert not (tmp_path / "cache.partial").exists()


def test_modalities_of_like_names_keep_their_shards(domain, tmp_path, monkeypatch):
    names = ("text", "text-long")
    encoders = EncoderSet(
        {name: TfidfTextEncoder(dim=4, modality=name) for name in names}, shard_size=5
    ).fit([domain])
    with monkeypatch.context() as patch:
        count_calls(encoders["text-long"], patch, fail_at=2)
        with pytest.raises(KeyboardInterrupt):
            encoders.encode_domain(domain, tmp_path / "cache")
    calls = [count_calls(encoders[name], monkeypatch) for name in names]
    encoders.encode_domain(domain, tmp_path / "cache")
    assert calls == [[], [2]]


def test_shards_of_another_encoder_are_not_used(domain, tmp_path, monkeypatch):
    first = make_set(domain)
    with monkeypatch.context() as patch:
        count_calls(first["text"], patch, fail_at=2)
        with pytest.raises(KeyboardInterrupt):
            first.encode_domain(domain, tmp_path / "cache")
    other = make_set(domain, seed=1)
    text = count_calls(other["text"], monkeypatch)
    assert_equal(other.encode_domain(domain, tmp_path / "cache"), other.encode_domain(domain))
    assert text[:3] == [5, 5, 2]


def test_a_modality_that_nobody_has_is_told(shared_domain, caplog):
    import copy

    bare = copy.copy(shared_domain)
    bare.items = shared_domain.items.assign(images=[[] for _ in range(len(shared_domain))])
    features = make_set(shared_domain).encode_domain(bare)
    assert features.coverage()["image"] == 0
    assert "no item of shop has any image features" in caplog.text


def test_a_set_without_encoders(shared_domain, tmp_path):
    empty = EncoderSet({}).fit([shared_domain])
    assert empty.encode_domain(shared_domain, tmp_path / "cache").modalities == {}
    empty.save(tmp_path / "features")
    assert len(EncoderSet.load(tmp_path / "features")) == 0


def test_errors(shared_domain, tmp_path):
    with pytest.raises(QBert4RecError, match="modality='image'"):
        EncoderSet({"image": TfidfTextEncoder()})
    with pytest.raises(QBert4RecError, match="propagate or spectral"):
        EncoderSet({"structural": TfidfTextEncoder(modality="structural")})
    with pytest.raises(QBert4RecError, match="give one at least"):
        EncoderSet({"text": TfidfTextEncoder()}).fit([])
    with pytest.raises(QBert4RecError, match="not fitted"):
        EncoderSet({"text": TfidfTextEncoder()}).save(tmp_path / "features")
    assert not (tmp_path / "features").exists()
    make_set(shared_domain).save(tmp_path / "features")
    path = tmp_path / "features" / "text" / "encoder.json"
    about = json.loads(path.read_text())
    about["config"]["max_ngram"] = 1
    path.write_text(json.dumps(about))
    with pytest.raises(QBert4RecError, match="is not the encoder that encoders.json names"):
        EncoderSet.load(tmp_path / "features")
    (tmp_path / "features" / "encoders.json").write_text('{"encoders": {"text": "tfidf"}}')
    with pytest.raises(QBert4RecError, match="encoders.json does not list encoders"):
        EncoderSet.load(tmp_path / "features")


def test_no_bars_where_none_are_wanted(shared_domain, monkeypatch, capsys):
    monkeypatch.setattr(images, "_PATIENCE", 0.0)
    encoders = make_set(shared_domain)
    capsys.readouterr()
    encoders.encode_domain(shared_domain, progress=False)
    assert capsys.readouterr().err == ""
    encoders.encode_domain(shared_domain)
    assert "looking for changed pictures" in capsys.readouterr().err

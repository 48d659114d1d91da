"""Folders whose parts do not fit, or that come from somebody who means harm."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from tiny_recommender import tiny_recommender

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.model_folder_checks import (
    check_family,
    check_parts,
    check_vocabulary,
    check_weights,
    coder_folders,
    read_recommender,
)
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.semantic_ids.tokenization_semantic_id import QBert4RecTokenizer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_recommender().save_pretrained(tmp_path_factory.mktemp("made") / "model")


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "model")


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_good_folder_passes(folder):
    check_parts(folder)
    assert set(coder_folders(folder)) == {"features", "fusion", "quantizer"}


@pytest.mark.parametrize("part", ["", "fusion", "quantizer"])
@pytest.mark.parametrize("version", [2, "1", None, True])
def test_a_later_configuration_asks_for_an_update(folder, part, version):
    change(folder / part / "config.json", format_version=version)
    for opening in (check_parts, Recommender.from_pretrained):
        with pytest.raises(QBert4RecError, match=r"config.json .* newer version.*update"):
            opening(folder)


@pytest.mark.parametrize("version", [2, "x"])
def test_a_later_recommender_file_asks_for_an_update(folder, version):
    change(folder / "recommender.json", format_version=version)
    with pytest.raises(QBert4RecError, match=r"recommender.json .* newer version"):
        Recommender.from_pretrained(folder)
    (folder / "recommender.json").write_text("[]")
    with pytest.raises(QBert4RecError, match="must hold an object"):
        read_recommender(folder)


def test_another_family_or_none(folder, tmp_path):
    with pytest.raises(QBert4RecError, match="'qbert4rec_fusion', not 'qbert4rec'"):
        check_family(folder / "fusion", "qbert4rec")
    (folder / "config.json").write_text("[1]")
    with pytest.raises(QBert4RecError, match="family None"):
        check_family(folder, "qbert4rec")
    with pytest.raises(QBert4RecError, match="holds no config.json"):
        check_family(tmp_path, "qbert4rec")


def test_a_tokenizer_of_another_model(folder, made):
    other = QBert4RecTokenizer.from_codebook_sizes([5, 4, 7])
    other.save_pretrained(folder)
    for opening in (check_parts, Recommender.from_pretrained):
        with pytest.raises(QBert4RecError, match=r"\[5, 4, 7\], the model \[5, 4, 6\]"):
            opening(folder)


def test_a_tokenizer_that_numbers_otherwise(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["<a_0>"], vocabulary["<c_5>"] = vocabulary["<c_5>"], vocabulary["<a_0>"]
    path.write_text(json.dumps(content))
    with pytest.raises(QBert4RecError, match="numbers <a_0> 17, the model 3"):
        Recommender.from_pretrained(folder)


def test_a_tokenizer_without_a_token(made):
    model = Recommender.from_pretrained(made).model
    tokenizer = QBert4RecTokenizer.from_pretrained(made)
    check_vocabulary("here", tokenizer, model.config)
    model.config.pad_token_id, model.config.mask_token_id = 1, 0
    with pytest.raises(QBert4RecError, match=r"here: .*\[PAD\] 0, the model 1"):
        check_vocabulary("here", tokenizer, model.config)


def test_a_catalogue_of_another_model(folder):
    change(folder / "config.json", catalog_fingerprint="0" * 16)
    with pytest.raises(QBert4RecError, match="from the same run"):
        check_parts(folder)


def test_a_model_without_a_catalogue(folder):
    (folder / "catalog.json").unlink()
    with pytest.raises(QBert4RecError, match=r"no catalogue \(catalog.json\)"):
        Recommender.from_pretrained(folder)


# -- weights ---------------------------------------------------------------------------------------


class Harm:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('the pickle ran')",))


@pytest.mark.parametrize("part", ["", "fusion", "quantizer"])
def test_a_pickle_is_not_opened(folder, part):
    place = folder / part
    (place / "model.safetensors").unlink()
    torch.save(Harm(), place / "pytorch_model.bin")
    for opening in (check_parts, Recommender.from_pretrained):
        with pytest.raises(QBert4RecError, match=r"pickle only \(pytorch_model.bin\)"):
            opening(folder)
    (place / "pytorch_model.bin").unlink()
    with pytest.raises(QBert4RecError, match="holds no model.safetensors"):
        check_parts(folder)


def test_a_pickle_beside_good_weights_is_left_alone(folder):
    torch.save(Harm(), folder / "pytorch_model.bin")
    torch.save(Harm(), folder / "fusion" / "pytorch_model.bin")
    assert Recommender.from_pretrained(folder).recommend(["item-1"])


def test_shards_must_be_beside_their_index(folder, tmp_path):
    recommender = tiny_recommender()
    recommender.model.save_pretrained(tmp_path / "shards", max_shard_size="10KB")
    (folder / "model.safetensors").unlink()
    for path in (tmp_path / "shards").glob("model*"):
        shutil.copy(path, folder / path.name)
    index = folder / "model.safetensors.index.json"
    assert recommender.recommend(["item-1"]) == Recommender.from_pretrained(folder).recommend(
        ["item-1"]
    )
    good = json.loads(index.read_text())
    for name, message in {
        "../shards/model-00001-of-00002.safetensors": "not inside",
        "/etc/passwd": "not inside",
        "C:\\x.safetensors": "not inside",
        "absent.safetensors": "does not exist",
        "pytorch_model.bin": "no safetensors file",
    }.items():
        (folder / "pytorch_model.bin").write_bytes(b"x")
        weights = dict.fromkeys(good["weight_map"], name)
        index.write_text(json.dumps({**good, "weight_map": weights}))
        with pytest.raises(QBert4RecError, match=message):
            Recommender.from_pretrained(folder)
    index.write_text("[]")
    with pytest.raises(QBert4RecError, match="does not list weights"):
        check_weights(folder)

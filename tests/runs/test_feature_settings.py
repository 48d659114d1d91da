from __future__ import annotations

import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.runs import feature_settings
from qbert4rec_hf.runs.config import RunConfig, change
from qbert4rec_hf.runs.feature_settings import (
    EncoderSettings,
    FeatureSettings,
    make_encoders,
    outside_files,
)


@pytest.fixture(scope="module")
def domain(shops):
    return Domain.load(shops / "weekend")


def test_auto_takes_the_built_in_encoders_where_there_is_content(domain):
    encoders = make_encoders(FeatureSettings(), [domain])
    assert {name: encoder.kind for name, encoder in encoders.items()} == {
        "text": "tfidf",
        "image": "pca_image",
    }


def test_auto_leaves_out_what_no_item_has(domain):
    items = domain.items.assign(images=[[] for _ in range(len(domain))])
    bare = Domain.from_sequences(items, domain.user_ids, domain.sequences()[1], name="bare")
    assert list(make_encoders(FeatureSettings(), [bare])) == ["text"]


def test_auto_does_without_pictures_that_are_addresses_only(domain, monkeypatch):
    said = []
    monkeypatch.setattr(feature_settings.logger, "warning", said.append)
    addresses = [["https://shop.example/a.jpg"] for _ in range(len(domain))]

    def encoders(images):
        items = domain.items.assign(images=images)
        shop = Domain.from_sequences(items, domain.user_ids, domain.sequences()[1], name="shop")
        return list(make_encoders(FeatureSettings(), [shop]))

    assert encoders(addresses) == ["text"]
    (warning,) = said
    assert "shop lists pictures by their addresses only" in warning
    assert "qbert4rec images" in warning
    # One picture at hand is enough.
    assert encoders([["images/a.jpg"], *addresses[1:]]) == ["text", "image"]
    assert len(said) == 1


def test_options_reach_the_encoder(domain):
    settings = FeatureSettings(
        text=EncoderSettings("tfidf", {"dim": 7}),
        image=EncoderSettings("codes", {"key": "vit", "dim": 5}),
    )
    encoders = make_encoders(settings, [domain], seed=4)
    assert encoders["text"].requested_dim == 7 and encoders["text"].seed == 4
    assert encoders["image"].modality == "image" and encoders["image"].key == "vit"


def test_none_is_no_encoder(domain):
    settings = FeatureSettings(text=EncoderSettings("none"), image=EncoderSettings("none"))
    assert len(make_encoders(settings, [domain])) == 0


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (EncoderSettings("tfidd"), "features.text.kind: there is no encoder 'tfidd'"),
        (EncoderSettings("tfidf", {"dims": 3}), "features.text.options.dims.*did you mean dim"),
        (EncoderSettings("codes"), "features.text: encoder 'codes'.*key"),
    ],
)
def test_a_wrong_encoder_or_option_is_named(domain, encoder, message):
    with pytest.raises(QBert4RecError, match=message):
        make_encoders(FeatureSettings(text=encoder), [domain])


def test_a_changed_file_of_embeddings_is_noticed(tmp_path):
    path = tmp_path / "embeddings.parquet"
    settings = FeatureSettings(text=EncoderSettings("parquet", {"path": str(path)}))
    assert outside_files(settings) == {}
    path.write_bytes(b"1")
    before = outside_files(settings)
    path.write_bytes(b"2")
    assert outside_files(settings) != before


def test_relative_embeddings_are_those_of_the_domain(tmp_path, monkeypatch):
    """They count with the domain; a file of that name in the working directory is another one."""
    (tmp_path / "embeddings.parquet").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    assert outside_files(FeatureSettings(text=parquet("embeddings.parquet"))) == {}


def test_a_changed_folder_of_embeddings_is_noticed(tmp_path):
    settings = FeatureSettings(image=parquet(str(tmp_path)))
    (tmp_path / "0.parquet").write_bytes(b"1")
    before = outside_files(settings)
    (tmp_path / "1.parquet").write_bytes(b"2")
    assert outside_files(settings) != before


def test_a_changed_model_in_a_folder_is_noticed(tmp_path):
    settings = FeatureSettings(text=EncoderSettings("hf_text", {"model": str(tmp_path)}))
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = outside_files(settings)
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert outside_files(settings) != before
    # A name on the Hub is no folder.
    assert outside_files(FeatureSettings(text=EncoderSettings("hf_text", {"model": "a/b"}))) == {}


def parquet(path):
    return EncoderSettings("parquet", {"path": path})


def test_a_template_is_set_for_one_run(domain):
    values = change({}, ["features.text.options.template.fields=[title,brand]"])
    values = change(values, ["features.text.options.template.separate=true"])
    encoder = make_encoders(RunConfig.from_dict(values).features, [domain])["text"]
    assert encoder.kind == "tfidf" and encoder.template.fields == ("title", "brand")
    assert encoder.template.num_texts == 2

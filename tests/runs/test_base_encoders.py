from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.features.parquet import ParquetEncoder
from qbert4rec_hf.features.structural import propagate
from qbert4rec_hf.runs.base_encoders import base_encoders, check_features, domain_features
from qbert4rec_hf.runs.base_model import BaseModel
from qbert4rec_hf.runs.config import RunConfig


@pytest.fixture(scope="module")
def base(finished_run) -> BaseModel:
    return BaseModel.open(finished_run / "model")


@pytest.fixture(scope="module")
def domain(shops) -> Domain:
    return Domain.load(shops / "home")


def features(*assignments):
    values: dict = {"text": {}, "image": {}}
    for section, value in assignments:
        values[section] = value
    return RunConfig.from_dict({"features": values}).features


def encoded(base, domain, tmp_path, *assignments):
    settings = features(*assignments)
    return domain_features(
        base, base_encoders(base, settings), domain, domain.split(), settings, cache=tmp_path
    )


def without(domain: Domain, **columns) -> Domain:
    """The same histories with empty columns."""
    items = domain.items.assign(
        **{n: [v() for _ in range(len(domain))] for n, v in columns.items()}
    )
    return Domain.from_sequences(items, domain.user_ids, domain.sequences()[1], name="bare")


def test_vectors_are_those_of_the_models_encoders(base, domain, tmp_path):
    found, notes = encoded(base, domain, tmp_path)
    content = base.encoders().encode_domain(domain)
    for name, part in content.modalities.items():
        np.testing.assert_array_equal(found.modalities[name].vectors, part.vectors)
    structure = propagate(content, domain.split().train)
    np.testing.assert_array_equal(found.modalities["structural"].vectors, structure.vectors)
    assert found.dims == dict(base.modalities) and notes == []


def test_a_modality_that_the_domain_lacks_is_masked(base, domain, tmp_path, caplog):
    found, notes = encoded(base, without(domain, images=list), tmp_path)
    assert found.dims == dict(base.modalities)
    assert not found.modalities["image"].mask.any() and found.modalities["text"].mask.any()
    # Structure keeps the axes of the missing pictures, at zero.
    width = found.dims["image"]
    structure = found.modalities["structural"].vectors
    assert not structure[:, :, -width:].any() and structure[:, :, :-width].any()
    assert len(notes) == 1 and "image features" in notes[0] and notes[0] in caplog.text


def test_the_settings_may_leave_a_modality_out(base, domain, tmp_path):
    found, _ = encoded(base, domain, tmp_path, ("image", {"kind": "none"}))
    assert not found.modalities["image"].mask.any() and found.modalities["text"].mask.any()
    found, notes = encoded(base, domain, tmp_path, ("structural", "none"))
    assert not found.modalities["structural"].mask.any() and "left out by the settings" in notes[0]


def test_a_modality_that_the_model_does_not_know_is_left_out(base, domain, tmp_path):
    text = EncoderSet({"text": base.encoders()["text"]})
    modalities = {"text": text["text"].dim}
    knows_text = SimpleNamespace(name="m", structure=None, modalities=modalities)
    found, notes = domain_features(
        knows_text, text, domain, domain.split(), features(), cache=tmp_path
    )
    assert found.dims == modalities
    assert notes == ["home has image content, which the model was not trained on: left out."]


def test_spectral_structure_is_no_use_in_another_domain(base, domain, tmp_path):
    spectral = SimpleNamespace(
        name="m", structure="spectral", modalities={**base.modalities, "structural": 5}
    )
    found, notes = domain_features(
        spectral, base.encoders(), domain, domain.split(), features(), cache=tmp_path
    )
    assert found.dims["structural"] == 5 and not found.modalities["structural"].mask.any()
    assert "its own domain's graph" in notes[0]


def test_a_domain_without_anything_to_code_is_refused(base, domain, tmp_path):
    bare = without(domain, images=list, text=list, title=lambda: None)
    # The template of the text reads brand and category too.
    bare.items = bare.items[["item_id", "title", "text", "images"]]
    with pytest.raises(QBert4RecError, match="no item of .* has any of text, image"):
        encoded(base, bare, tmp_path)


def test_ready_embeddings_come_from_the_domains_own_file(domain, tmp_path):
    """The encoder keeps its axes; where the file of another domain lies may be said."""
    encoder = ParquetEncoder(path="vectors.parquet", dim=3)
    file = tmp_path / "mine.parquet"
    rows = [[float(n), 0.0, 1.0] for n in range(len(domain))]
    pd.DataFrame({"item_id": domain.item_ids, "embedding": rows}).to_parquet(file)
    base = SimpleNamespace(
        name="m",
        structure=None,
        modalities={"text": 3},
        encoders=lambda **_: EncoderSet({"text": encoder}),
    )
    here = ("text", {"kind": "parquet", "options": {"path": str(file)}})
    check_features(base, features(here))
    found, _ = encoded(base, domain, tmp_path / "cache", here)
    assert found.modalities["text"].vectors[:, 0].tolist() == rows
    assert encoder.path == "vectors.parquet"
    # Without its file the domain has none of what the model knows.
    with pytest.raises(QBert4RecError, match="has any of text"):
        encoded(base, domain, tmp_path / "other")


def test_what_changes_no_vector_may_be_set(base, domain):
    settings = features(("image", {"kind": "pca_image", "options": {"on_corrupt": "error"}}))
    check_features(base, settings)
    found = base_encoders(base, settings)
    assert found["image"].on_corrupt == "error"
    assert found.fingerprint() == base.encoders().fingerprint()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("text", {"kind": "hf_text"}), "'hf_text'.*'tfidf'"),
        (("text", {"options": {"dim": 7}}), "options.dim.*with 7.*'?128|has"),
        (("text", {"options": {"dimm": 7}}), "dimm"),
        (("structural", "spectral"), "'spectral'.*propagated"),
    ],
)
def test_other_encoders_than_the_models_are_refused(base, asked, said):
    with pytest.raises(QBert4RecError, match=said):
        check_features(base, features(asked))


def test_an_encoder_for_a_modality_that_the_model_lacks(base):
    text_only = SimpleNamespace(
        name="m", structure=None, encoders=lambda: EncoderSet({"text": base.encoders()["text"]})
    )
    with pytest.raises(QBert4RecError, match=r"'open_clip', but m has no image.*text: tfidf"):
        check_features(text_only, features(("image", {"kind": "open_clip"})))


def test_an_item_without_neighbours_has_no_structure(base, domain, tmp_path):
    alone = Domain.from_sequences(
        domain.items.assign(images=[[] for _ in range(len(domain))]),
        ["u"],
        Sequences.from_lists([[0, 1, 2, 3]]),
        name="quiet",
    )
    found, _ = encoded(base, alone, tmp_path)
    assert found.modalities["structural"].present.sum() == 2

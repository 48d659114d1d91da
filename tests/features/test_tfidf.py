from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from encoder_laws import check_laws

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.tfidf import TfidfTextEncoder


def fitted(domain, **settings):
    encoder = TfidfTextEncoder(**{"dim": 6, **settings})
    encoder.fit([domain])
    return encoder


def test_laws(shared_domain, tmp_path):
    check_laws(fitted(shared_domain), shared_domain, tmp_path / "encoder")
    assert {path.suffix for path in (tmp_path / "encoder").iterdir()} == {".json", ".safetensors"}


def test_fitting_repeats(shared_domain):
    assert fitted(shared_domain).fingerprint() == fitted(shared_domain).fingerprint()
    assert fitted(shared_domain).fingerprint() != fitted(shared_domain, seed=1).fingerprint()


def test_like_texts_lie_together(shared_domain):
    items = pd.DataFrame(
        {"item_id": list("abc"), "title": ["garden hose brass", "brass garden hose", "oak desk"]}
    )
    vectors = fitted(shared_domain).encode(items, None, progress=False).vectors[:, 0]
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_an_item_without_known_words_has_no_vector(shared_domain):
    items = pd.DataFrame({"item_id": ["a", "b"], "title": [None, "zyx wvu"], "text": [[], []]})
    features = fitted(shared_domain).encode(items, None, progress=False)
    assert not features.mask.any() and not features.vectors.any()


def test_separate_fields_give_several_vectors(shared_domain):
    encoder = fitted(shared_domain, template={"fields": ["title", "text"], "separate": True})
    features = encoder.encode(shared_domain.items, None, progress=False)
    assert features.num_vectors == 2
    assert features.mask[0].tolist() == [False, False] and features.mask[2].all()


def test_fewer_texts_than_axes_warn(shared_domain, caplog):
    encoder = fitted(shared_domain, dim=500)
    assert encoder.dim <= 11 and "instead of 500" in caplog.text


@pytest.mark.parametrize("titles", [["lamp"], ["lamp", "lamp"], ["red lamp", "red lamp"]])
def test_tiny_catalogues(titles):
    class Shop:
        name = "tiny"
        items = pd.DataFrame({"item_id": list("ab")[: len(titles)], "title": titles})

    encoder = fitted(Shop, max_ngram=1)
    vectors = encoder.encode(Shop.items, None, progress=False).vectors
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-6)


def test_errors(shared_domain):
    class Empty:
        name = "empty"
        items = pd.DataFrame({"item_id": ["a"], "title": [None], "text": [[]]})

    with pytest.raises(QBert4RecError, match="leave the text modality out"):
        fitted(Empty)
    with pytest.raises(QBert4RecError, match="not fitted"):
        TfidfTextEncoder().encode(shared_domain.items, None)
    with pytest.raises(QBert4RecError, match="1 or more"):
        TfidfTextEncoder(dim=0)

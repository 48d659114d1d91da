from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from encoder_laws import check_laws

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.features.parquet import ParquetEncoder


def write(path, ids, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"item_id": ids, **columns}).to_parquet(path)
    return path


@pytest.fixture
def vectors():
    return np.random.default_rng(0).standard_normal((12, 4))


def test_laws(domain, vectors, tmp_path):
    write(domain.path / "mine.parquet", domain.item_ids[::-1], embedding=list(vectors))
    encoder = ParquetEncoder(path="mine.parquet")
    encoder.fit([domain])
    check_laws(encoder, domain, tmp_path / "encoder")
    features = encoder.encode(domain.items, domain.path)
    np.testing.assert_array_equal(features.vectors[:, 0], vectors[::-1].astype(np.float32))


def test_several_columns_nulls_and_missing_items(domain, vectors):
    first, second = list(vectors[:11]), list(vectors[:11] * 2)
    first[1] = None
    ids = [*domain.item_ids[:10], "of another shop"]
    write(domain.path / "mine.parquet", ids, a=first, b=second)
    encoder = ParquetEncoder(path="mine.parquet", columns=["a", "b"], normalize=True)
    features = encoder.encode(domain.items, domain.path)
    assert features.mask[0].tolist() == [True, True]
    assert features.mask[1].tolist() == [False, True]
    assert features.present.tolist() == [True] * 10 + [False] * 2
    np.testing.assert_allclose(np.linalg.norm(features.vectors[0], axis=1), 1, rtol=1e-6)


def test_shards_and_an_absolute_path(domain, vectors, tmp_path):
    write(tmp_path / "shards" / "0.parquet", domain.item_ids[:5], embedding=list(vectors[:5]))
    write(tmp_path / "shards" / "1.parquet", domain.item_ids[5:], embedding=list(vectors[5:]))
    encoder = ParquetEncoder(path=str(tmp_path / "shards"), modality="image")
    features = encoder.encode(domain.items, domain.path)
    np.testing.assert_array_equal(features.vectors[:, 0], vectors.astype(np.float32))
    assert encoder.available(None)


def test_the_fingerprint_follows_the_file(domain, vectors):
    path = domain.path / "mine.parquet"
    encoder = ParquetEncoder(path="mine.parquet")
    write(path, domain.item_ids, embedding=list(vectors))
    before = encoder.input_fingerprint(domain.items, domain.path)
    write(path, domain.item_ids, embedding=list(vectors + 1))
    assert encoder.input_fingerprint(domain.items, domain.path) != before
    features = encoder.encode(domain.items, domain.path)
    np.testing.assert_array_equal(features.vectors[:, 0], (vectors + 1).astype(np.float32))


@pytest.mark.parametrize(
    ("ids", "columns", "message"),
    [
        (["a", "b"], {"embedding": [[1.0, 2.0], [1.0]]}, r"row 1: 1 numbers where 2 are expected"),
        (["a", "a"], {"embedding": [[1.0], [2.0]]}, r"row 1: item 'a' is there twice"),
        (["a", "b"], {"embedding": [[1.0], [np.nan]]}, r"row 1: a number is missing or not finite"),
        (["a"], {"vector": [[1.0]]}, r"lacks column embedding; it has item_id, vector"),
        (["a"], {"embedding": ["text"]}, r"must hold lists of numbers"),
        (["a"], {"embedding": [["text"]]}, r"must hold lists of numbers"),
        (["a"], {"embedding": [[]]}, r"no embedding at all"),
    ],
)
def test_a_wrong_file_names_the_row(tmp_path, ids, columns, message):
    path = write(tmp_path / "mine.parquet", ids, **columns)
    items = pd.DataFrame({"item_id": ids})
    with pytest.raises(QBert4RecError, match=f"mine.parquet.*{message}"):
        ParquetEncoder(path=str(path)).encode(items, None)


def test_missing_and_malformed_files(tmp_path):
    items = pd.DataFrame({"item_id": ["a"]})
    with pytest.raises(QBert4RecError, match="gone.parquet does not exist"):
        ParquetEncoder(path="gone.parquet").encode(items, tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"rubbish")
    with pytest.raises(QBert4RecError, match="bad.parquet cannot be read as Parquet"):
        ParquetEncoder(path="bad.parquet").encode(items, tmp_path)


def test_a_relative_path_is_never_one_of_the_working_directory(domain, vectors, monkeypatch):
    elsewhere = write(domain.path.parent / "cwd" / "mine.parquet", ["a"], embedding=[[1.0]])
    monkeypatch.chdir(elsewhere.parent)
    encoder = ParquetEncoder(path="mine.parquet", dim=1)
    assert not encoder.available(None) and not encoder.available(domain.path)
    with pytest.raises(QBert4RecError, match="mine.parquet does not exist in the domain folder"):
        encoder.encode(domain.items, domain.path)
    with pytest.raises(QBert4RecError, match="these items have none; give an absolute path"):
        encoder.encode(domain.items, None)
    # New items that come without a folder have no ready embeddings.
    features = EncoderSet({"text": encoder}).encode_items(domain.items)
    assert not features.modalities["text"].mask.any()


def test_another_dimension_than_the_model_was_made_with(tmp_path):
    path = write(tmp_path / "mine.parquet", ["a"], embedding=[[1.0, 2.0]])
    with pytest.raises(QBert4RecError, match="2 numbers where 3 are expected"):
        ParquetEncoder(path=str(path), dim=3).encode(pd.DataFrame({"item_id": ["a"]}), None)

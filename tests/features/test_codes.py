from __future__ import annotations

import numpy as np
import pytest
from encoder_laws import check_laws

from qbert4rec_hf.data.codes import ImportedCodes, save_codes
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.codes import CodesEncoder, code_vectors


@pytest.fixture
def coded(domain):
    codes = np.random.default_rng(0).integers(0, 8, (len(domain), 4))
    save_codes({"lemb": ImportedCodes(codes, [8] * 4, list("abcd"))}, domain.item_ids, domain.path)
    return domain, codes


def test_laws(coded, tmp_path):
    check_laws(CodesEncoder(key="lemb", dim=16), coded[0], tmp_path / "encoder")


def test_rows_follow_item_ids(coded):
    domain, codes = coded
    order = [5, 0, 3]
    features = CodesEncoder(key="lemb", dim=16).encode(domain.items.iloc[order], domain.path)
    expected = code_vectors(codes[order], 16, name="lemb")
    np.testing.assert_array_equal(features.vectors[:, 0], expected)


def test_the_same_code_means_the_same_everywhere():
    small = code_vectors(np.array([[1, 2], [3, 0]]), 16)
    large = code_vectors(np.array([[3, 0], [200, 90], [1, 2]]), 16)
    np.testing.assert_array_equal(small, large[[2, 0]])
    for changed in ({"seed": 1}, {"name": "other"}):
        assert (code_vectors(np.array([[1, 2]]), 16, **changed) != small[:1]).any()


def test_lower_levels_weigh_less():
    base = np.array([[0, 0, 0, 0]])
    distances = []
    for level in range(4):
        other = base.copy()
        other[0, level] = 1
        difference = code_vectors(base, 256, normalize=False) - code_vectors(
            other, 256, normalize=False
        )
        distances.append(float(np.linalg.norm(difference)))
    np.testing.assert_allclose(distances, np.sqrt(2) * 0.5 ** np.arange(4), rtol=0.15)
    assert distances == sorted(distances, reverse=True)


def test_new_items_have_no_codes(coded):
    encoder = CodesEncoder(key="lemb", dim=16)
    assert encoder.available(coded[0].path) and not encoder.available(None)
    features = encoder.encode(coded[0].items, None, progress=False)
    assert not features.mask.any()


def test_errors(coded):
    with pytest.raises(QBert4RecError, match=r"vitemb\.parquet does not exist.* lemb codes"):
        CodesEncoder(key="vitemb").encode(coded[0].items, coded[0].path)
    with pytest.raises(QBert4RecError, match="decay"):
        CodesEncoder(key="lemb", decay=0)

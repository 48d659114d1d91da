from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog
from qbert4rec_hf.semantic_ids.published_codes import catalog_codes


@pytest.fixture
def catalog() -> ItemCatalog:
    codes = np.array([[0, 1], [2, 3], [1, 1], [0, 0]])
    return ItemCatalog(["x", "y", "x", "z"], [None] * 4, codes, [4, 4], ["one", "two"], [2, 2])


def test_codes_follow_their_items(catalog):
    codes = catalog_codes(catalog, ["z", "x"], domain="two")
    assert codes.codes.tolist() == [[0, 0], [1, 1]]
    assert codes.tokens(1) == catalog.encode("x", domain="two") == "<a_1><b_1>"
    assert codes.codebook_sizes == [4, 4]


def test_the_only_domain_may_have_another_name(catalog):
    assert catalog_codes(catalog.subset("one"), ["y"], domain="shop").codes.tolist() == [[2, 3]]
    with pytest.raises(QBert4RecError, match="item 'z' is not in the catalogue"):
        catalog_codes(catalog.subset("one"), ["z"])

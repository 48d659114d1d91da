from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.data.codes import (
    ImportedCodes,
    codebook_size,
    join_codes,
    load_codes,
    save_codes,
)
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError

CODES = ImportedCodes(np.array([[1, 2], [0, 3], [1, 2], [3, 3]]), [4, 8], ["a", "b"])


def test_collisions_are_flagged():
    assert CODES.collides.tolist() == [True, False, True, False]
    assert CODES.num_distinct == 3
    assert CODES.tokens(1) == "<a_0><b_3>"


def test_saved_codes_come_back(folder, domain):
    save_codes({"text": CODES}, domain.item_ids, folder)
    loaded = load_codes(folder)
    assert list(loaded) == ["text"]
    np.testing.assert_array_equal(loaded["text"].codes, CODES.codes)
    assert loaded["text"].codes.dtype == np.int64
    assert loaded["text"].codebook_sizes == [4, 8]
    assert loaded["text"].prefixes == ["a", "b"]
    table = pq.read_table(folder / "codes" / "text.parquet")
    assert table.column("collides").to_pylist() == [True, False, True, False]


def test_codes_are_found_by_item_id_not_by_row(folder, domain):
    save_codes({"text": CODES}, domain.item_ids, folder)
    path = folder / "codes" / "text.parquet"
    pq.write_table(pq.read_table(path).take([2, 0, 3, 1]), path)
    np.testing.assert_array_equal(load_codes(folder)["text"].codes, CODES.codes)


def test_a_domain_without_codes(folder):
    assert load_codes(folder) == {}


def test_joined_codes_stand_beside_each_other():
    image = ImportedCodes(np.array([[5], [6], [7], [8]]), [16], ["A"])
    joined = join_codes([CODES, image])
    assert joined.codes[1].tolist() == [0, 3, 6]
    assert joined.codebook_sizes == [4, 8, 16]
    assert joined.tokens(1) == "<a_0><b_3><A_6>"
    with pytest.raises(QBert4RecError, match="same items"):
        join_codes([CODES, ImportedCodes(np.zeros((2, 1), int), [2], ["c"])])


@pytest.mark.parametrize(("largest", "size"), [(0, 2), (1, 2), (3, 4), (255, 256), (256, 512)])
def test_codebook_size_is_the_next_power_of_two(largest, size):
    assert codebook_size(np.array([[0, largest]])) == size


@pytest.mark.parametrize(
    ("ids", "codes", "message"),
    [
        (["007", "b", "c"], [[1], [2], [3]], "no codes for item 'd'"),
        (["007", "b", "c", "d"], [[1], [2], [3], [4, 5]], "row 3, column codes: 1 codes expected"),
        (["007", "b", "c", "d"], [[1], [2], [-3], [4]], "row 2, column codes: codes are integers"),
        (["007", "b", "c", "d"], [[1], [2], [None], [4]], "row 2, column codes: codes are integ"),
        (["007", "b", "c", "b"], [[1], [2], [3], [4]], "row 3: item 'b' stands already in row 1"),
    ],
)
def test_malformed_codes_are_named(folder, ids, codes, message):
    (folder / "codes").mkdir()
    table = pa.table({"item_id": ids, "codes": codes})
    pq.write_table(table, folder / "codes" / "text.parquet")
    with pytest.raises(QBert4RecError, match=message) as caught:
        load_codes(folder)
    assert "text.parquet" in str(caught.value)


@pytest.mark.parametrize("metadata", ["{", "5", '{"codebook_sizes": 4}', '{"prefixes": ["a"]}'])
def test_damaged_metadata_is_named(folder, domain, metadata):
    save_codes({"text": CODES}, domain.item_ids, folder)
    path = folder / "codes" / "text.parquet"
    table = pq.read_table(path).replace_schema_metadata({"qbert4rec_codes": metadata})
    pq.write_table(table, path)
    with pytest.raises(QBert4RecError, match="text.parquet: "):
        load_codes(folder)


def test_codes_travel_with_the_folder(folder, domain):
    save_codes({"text": CODES}, domain.item_ids, folder)
    Domain.load(folder).save(folder)
    np.testing.assert_array_equal(load_codes(folder)["text"].codes, CODES.codes)


def test_codes_outside_their_codebook(folder, domain):
    save_codes({"text": ImportedCodes(CODES.codes, [4, 3], ["a", "b"])}, domain.item_ids, folder)
    with pytest.raises(QBert4RecError, match="row 1, .*code 3 at level 1 .* codebook of 3"):
        load_codes(folder)

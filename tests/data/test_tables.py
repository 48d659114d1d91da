"""What is wrong with a table is said in one line with file, row and column."""

from __future__ import annotations

import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError


def replace_column(path, name, values, kind=None):
    table = pq.read_table(path)
    place = table.column_names.index(name)
    pq.write_table(table.set_column(place, name, pa.array(values, kind)), path)


def expect(folder, *parts):
    with pytest.raises(QBert4RecError) as caught:
        Domain.load(folder)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("column", "values", "parts"),
    [
        ("item_id", ["a", "b", None, "d"], ["row 2", "null or empty"]),
        ("item_id", ["a", "b", "", "d"], ["row 2", "null or empty"]),
        ("item_id", ["a", "b", "c", "b"], ["row 3", "'b'", "row 1"]),
        ("item_id", [1, 2, 3, 4], ["must hold text", "int64"]),
        ("title", [1.5, 2.0, 3.0, 4.0], ["must hold text", "double"]),
        ("text", ["a", "b", "c", "d"], ["lists of text", "string"]),
        ("text", [[1], [2], [3], [4]], ["lists of text", "int64"]),
        ("images", [[], ["../../secret.png"], [], []], ["row 1", "'../../secret.png'"]),
        ("images", [[], ["/etc/x.png"], [], []], ["row 1", "'/etc/x.png'"]),
        ("images", [[], ["C:\\x.png"], [], []], ["row 1", "x.png"]),
        ("images", [[], ["file:///etc/x.png"], [], []], ["row 1", "'file:///etc/x.png'"]),
    ],
)
def test_items(folder, column, values, parts):
    replace_column(folder / "items.parquet", column, values)
    expect(folder, "items.parquet", f"column {column}", *parts)


@pytest.mark.parametrize(
    ("column", "value", "parts"),
    [
        ("item_id", "nowhere", ["row 5", "item 'nowhere' is not in the items table"]),
        ("item_id", None, ["row 5", "null or empty"]),
        ("user_id", None, ["row 5", "null or empty"]),
        ("timestamp", None, ["row 5", "null where other rows have one"]),
        ("timestamp", 3.25, ["row 5", "3.25 is no whole number"]),
        ("timestamp", 1e30, ["row 5", "1e+30 is no whole number"]),
    ],
)
def test_interactions(folder, column, value, parts):
    path = folder / "interactions.parquet"
    values = pq.read_table(path).column(column).to_pylist()
    values[5] = value
    replace_column(path, column, values)
    expect(folder, "interactions.parquet", f"column {column}", *parts)


def test_time_stamps_of_a_wrong_type(folder):
    replace_column(folder / "interactions.parquet", "timestamp", [2**63] * 8, pa.uint64())
    expect(folder, "interactions.parquet", "column timestamp", "64 bits", "larger")
    replace_column(folder / "interactions.parquet", "timestamp", ["monday"] * 8)
    expect(folder, "interactions.parquet", "column timestamp", "integers, dates", "string")


@pytest.mark.parametrize("column", ["item_id", "title", "text", "images"])
def test_missing_item_column(folder, column):
    path = folder / "items.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    expect(folder, "items.parquet", f"lacks column {column}")


@pytest.mark.parametrize("column", ["item_id", "user_id"])
def test_missing_interaction_column(folder, column):
    path = folder / "interactions.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    expect(folder, "interactions.parquet", f"lacks column {column}")


@pytest.mark.parametrize("name", ["items.parquet", "interactions.parquet"])
def test_missing_and_broken_files(folder, name):
    (folder / name).write_bytes(b"PAR1 no, not really")
    expect(folder, name, "cannot be read as Parquet")
    (folder / name).unlink()
    expect(folder, f"has no {name}")


def test_a_row_is_counted_within_its_shard(folder):
    path = folder / "interactions.parquet"
    table = pq.read_table(path)
    path.unlink()
    for number in range(2):
        part = folder / f"interactions-0000{number}-of-00002.parquet"
        pq.write_table(table.slice(4 * number, 4), part)
    replace_column(part, "item_id", ["b", "b", "x", "b"])
    expect(folder, "interactions-00001-of-00002.parquet, row 2", "'x'")


def test_shards_with_other_columns(folder):
    table = pq.read_table(folder / "items.parquet")
    (folder / "items.parquet").unlink()
    (folder / "items").mkdir()
    pq.write_table(table, folder / "items" / "0.parquet")
    pq.write_table(table.drop_columns(["price"]), folder / "items" / "1.parquet")
    expect(folder, "1.parquet", "same columns")


def test_an_empty_catalogue(folder):
    path = folder / "items.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    expect(folder, "items.parquet", "no rows")


def test_frames_with_mixed_types(items, interactions):
    items["item_id"] = ["a", 2, "c", "d"]
    with pytest.raises(QBert4RecError, match="items table: column item_id mixes types"):
        Domain.from_tables(items, interactions, name="x")


def test_other_types_of_the_same_content_are_read(folder, domain):
    """Categorical ids, large strings, nulls for empty lists, dates for stamps."""
    items, interactions = folder / "items.parquet", folder / "interactions.parquet"
    ids = pq.read_table(interactions).column("item_id").to_pylist()
    replace_column(interactions, "item_id", pa.array(ids).dictionary_encode())
    stamps = pq.read_table(interactions).column("timestamp").to_pylist()
    dates = [datetime.date(2024, 1, 1) + datetime.timedelta(days=day) for day in stamps]
    replace_column(interactions, "timestamp", dates)
    replace_column(items, "item_id", domain.item_ids, pa.large_string())
    texts = [text or None for text in domain.items["text"]]
    replace_column(items, "text", texts, pa.large_list(pa.large_string()))
    loaded = Domain.load(folder)
    assert loaded.sequences()[1] == domain.sequences()[1]
    assert loaded.items["text"].tolist() == domain.items["text"].tolist()
    assert loaded.info.tied_users == domain.info.tied_users


def test_wholly_empty_columns(items, interactions):
    items["title"], items["text"], items["images"] = None, [[]] * 4, [[]] * 4
    interactions["timestamp"] = None
    domain = Domain.from_tables(items, interactions, name="x")
    assert domain.items["title"].tolist() == [None] * 4
    assert domain.info.time_order == "trust"
    assert isinstance(domain.items, pd.DataFrame)

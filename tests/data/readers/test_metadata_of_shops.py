"""Items of a shop: tables, Parquet files and RecBole's form."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SHOP = [
    "item_id,title,text,images,price,brand,category",
    '007,Tent,"[""roomy"", ""<b>green</b>""]",images/007.png|https://shop.example/7.jpg,190,Acme,a|b',
    "é b,Stove | small,hot,,,,",
    "c,,,,,,",
]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_shop_table(write, metadata, delimiter):
    text = "\n".join(SHOP) + "\n"
    if delimiter == "\t":
        # No field of these has a comma but the list.
        text = text.replace('""roomy"", ', '""roomy""; ').replace(",", "\t").replace("; ", ", ")
    report, items = metadata(write("items.csv", text))
    assert items["007"] == {
        "item_id": "007",
        "title": "Tent",
        "text": ["roomy", "green"],
        "images": ["images/007.png", "https://shop.example/7.jpg"],
        "brand": "Acme",
        "categories": ["a", "b"],
        "price": 190.0,
        "file": 0,
        "line": 2,
    }
    assert items["é b"]["title"] == "Stove | small"
    assert (items["c"]["title"], items["c"]["text"], items["c"]["images"]) == (None, [], [])
    assert report.files[0].columns["categories"] == "category"


def test_parquet_of_a_domain_folder(tmp_path, metadata):
    table = pa.table(
        {
            "item_id": ["a"],
            "title": ["Tent"],
            "text": [["roomy", None]],
            "images": [["a.png"]],
            "price": [1.5],
        }
    )
    path = tmp_path / "items.parquet"
    pq.write_table(table, path)
    _, items = metadata(path)
    assert (items["a"]["text"], items["a"]["images"], items["a"]["price"]) == (
        ["roomy"],
        ["a.png"],
        1.5,
    )


def test_recbole(write, metadata):
    text = (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tgenre:token_seq\n"
        "1\tToy Story\t1995\tAnimation Children's Comedy\n"
    )
    report, items = metadata(write("ml.item", text))
    assert report.files[0].format == "recbole"
    assert items["1"]["title"] == "Toy Story"
    assert items["1"]["categories"] == ["Animation Children's Comedy"]


@pytest.mark.parametrize(
    ("ids", "texts"),
    [([1.0, 2.0], ["1", "2"]), ([b"x", b"\xe9"], ["x", "é"])],
    ids=["numbers", "bytes"],
)
def test_parquet_ids_read_like_those_of_reviews(tmp_path, metadata, reviews, ids, texts):
    items, log = tmp_path / "items.parquet", tmp_path / "log.parquet"
    pq.write_table(pa.table({"item_id": ids, "title": [b"Tent", "Zelt für 2".encode()]}), items)
    pq.write_table(pa.table({"user_id": ["u", "v"], "item_id": ids}), log)
    _, found = metadata(items)
    assert {item: row["title"] for item, row in found.items()} == dict(
        zip(texts, ["Tent", "Zelt für 2"], strict=True)
    )
    assert [row["item_id"] for row in reviews(log)[1]] == texts

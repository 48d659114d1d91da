"""Metadata files of every form, with the oddities that real ones have, and what the report says."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.errors import QBert4RecError

URL = "https://images-na.ssl-images-amazon.com/images/I/"
FRAGMENT = "var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();"
COLUMNS = ["item_id", "title", "text", "images", "brand", "categories", "price", "file", "line"]


def item_2014(**values):
    return {
        "asin": "0000031852",
        "title": "Girls Ballet Tutu &quot;Zebra&quot;",
        "price": 3.17,
        "imUrl": "http://ecx.images-amazon.com/images/I/51fAmVkTbyL._SY300_.jpg",
        "related": {"also_bought": ["B00JHONN1S"]},
        "salesRank": {"Toys & Games": 211836},
        "brand": "Coxlures",
        "categories": [["Sports & Outdoors", "Dance"], ["Sports & Outdoors", "Girls"]],
        "description": "A <b>tutu</b>.",
        **values,
    }


@pytest.mark.parametrize("form", [json.dumps, repr])
def test_2014_in_json_and_as_python_literals(write, metadata, form):
    rows = [
        item_2014(),
        {"asin": "B0002", "title": 'It\'s "5" wide', "categories": [["Toys"]]},
        {"asin": "B0003", "imUrl": "http://x/images/G/01/x-site/icons/no-img-sm._CB1_.gif"},
    ]
    report, items = metadata(write("meta_Sports.json.gz", [form(row) for row in rows]))
    assert list(items["0000031852"]) == COLUMNS
    assert items["0000031852"] == {
        "item_id": "0000031852",
        "title": 'Girls Ballet Tutu "Zebra"',
        "text": ["A tutu."],
        "images": ["http://ecx.images-amazon.com/images/I/51fAmVkTbyL._SY300_.jpg"],
        "brand": "Coxlures",
        "categories": ["Sports & Outdoors", "Dance", "Girls"],
        "price": 3.17,
        "file": 0,
        "line": 1,
    }
    assert items["B0002"]["title"] == 'It\'s "5" wide'
    assert items["B0003"]["images"] == []
    (file,) = report.files
    assert (file.format, file.rows, file.malformed) == ("amazon2014", 3, 0)
    assert file.noted == {"no title": 1, "no text besides the title": 2, "no image": 2}


def test_a_literal_that_calls_something_is_malformed(write, metadata):
    lines = [repr(item_2014()), "{'asin': __import__('os').getcwd()}", repr(item_2014(asin="B2"))]
    report, items = metadata(write("meta.json", lines))
    assert set(items) == {"0000031852", "B2"}
    assert report.files[0].first_malformed[0].line == 2


def item_2018(**values):
    return {
        "category": ["Clothing", "Women", "</span></span></span>", "Machine wash", "Imported"],
        "tech1": ' class="a-keyvalue prodDetTable" role="presentation">\n  <tr>',
        "description": ['<div class="aplus"> <br>Warm &amp;amp; soft.</div>', ""],
        "fit": "",
        "title": "Socks &amp; Shoes",
        "also_buy": ["B1"],
        "tech2": "",
        "brand": "by\n    \n    Acme",
        "feature": ["100% wool", "100% wool"],
        "rank": ["&gt;#1,019 in Gift Cards (See Top 100 in Gift Cards)"],
        "also_view": [],
        "details": {
            "\n    Product Dimensions: \n    ": "3.4 x 2.1 inches",
            "ASIN:": "B001BKEWF2",
            "Material:": "Wool",
        },
        "main_cat": "<img src='x.png' alt='Fashion'>",
        "similar_item": "",
        "date": "5 star5 star (0%)",
        "price": "$1,250.00",
        "asin": "B001BKEWF2",
        "imageURL": [f"{URL}31T._SX38_SY50_CR,0,0,38,50_.jpg", f"{URL}41f._SX38_.jpg"],
        "imageURLHighRes": [f"{URL}31T.jpg"],
        **values,
    }


def test_2018(write, metadata):
    report, items = metadata(write("meta.json", [item_2018()], compression="gzip"))
    item = items["B001BKEWF2"]
    assert item["title"] == "Socks & Shoes"
    assert item["text"] == [
        "100% wool",
        "Machine wash",
        "Imported",
        "Warm & soft.",
        "Material: Wool",
    ]
    assert item["images"] == [f"{URL}31T.jpg", f"{URL}41f._SX38_.jpg"]
    assert item["brand"] == "Acme"
    assert item["categories"] == ["Clothing", "Women"]
    assert item["price"] == 1250.0
    assert (report.files[0].format, report.files[0].compression) == ("amazon2018", "gzip")


def test_keys_whose_type_changes_from_row_to_row(write, metadata):
    changes = [
        {"rank": "1,786 in Gift Cards (", "price": ".a-box-inner{background-color:#fff}"},
        {"rank": [], "price": None, "description": "one text", "feature": None},
        {"rank": {"a": 1}, "price": 5, "description": {"a": "of an object"}, "details": "text"},
        {"price": ["$5"], "category": "Socks", "brand": ["Acme"], "imageURLHighRes": URL + "a.jpg"},
        {"title": ["Socks", "Shoes"], "details": None, "also_buy": 3},
        {"title": None, "brand": 7, "category": [], "main_cat": "Fashion"},
    ]
    rows = [
        item_2018(asin=f"B{number}", **change) for number, change in enumerate(changes, start=1)
    ]
    report, items = metadata(write("meta.json", rows))
    assert (report.rows, report.malformed) == (6, 0)
    assert [items[f"B{number}"]["price"] for number in range(1, 5)] == [None, None, 5.0, None]
    assert items["B2"]["text"][-2:] == ["one text", "Material: Wool"]
    assert "of an object" in items["B3"]["text"]
    assert (items["B4"]["categories"], items["B4"]["brand"]) == (["Socks"], "Acme")
    assert items["B4"]["images"][0] == URL + "a.jpg"
    assert items["B5"]["title"] == "Socks Shoes"
    assert (items["B6"]["title"], items["B6"]["brand"]) == (None, "7")
    assert items["B6"]["categories"] == ["Fashion"]


def test_titles_of_pages_words_and_entities(write, metadata):
    long = " ".join(f"word{number}" for number in range(60))
    titles = [
        FRAGMENT,
        '<span id="productTitle" class="a-size-large">Kettle</span>',
        "Kettle <span id=",
        "Tom &amp;amp; Jerry",
        long,
        "日本語 <b>タイトル</b>",
        "",
    ]
    rows = [item_2018(asin=f"B{number}", title=title) for number, title in enumerate(titles)]
    report, items = metadata(write("meta.json", rows))
    found = [items[f"B{number}"]["title"] for number in range(len(titles))]
    assert found[1:] == ["Kettle", "Kettle", "Tom & Jerry", long, "日本語 タイトル", None]
    assert found[0] is None
    # What else the item has stays.
    assert "100% wool" in items["B0"]["text"]
    assert report.files[0].noted["title is page code"] == 1
    assert report.files[0].noted["no title"] == 1


def item_2023(**values):
    return {
        "main_category": "All Beauty",
        "title": "Howard LC0008 Leather Conditioner",
        "average_rating": 4.8,
        "rating_number": 10,
        "features": ["Conditions"],
        "description": [],
        "price": None,
        "images": [
            {"thumb": "t0", "large": "l0", "variant": "MAIN", "hi_res": None},
            {"thumb": "t1", "large": "l1", "variant": "PT01", "hi_res": "h1"},
        ],
        "videos": [],
        "store": "Howard Products",
        "categories": [],
        "details": {"Package Dimensions": "7 x 5 inches", "Color": "Brown"},
        "parent_asin": "B01CUPMQZE",
        "bought_together": None,
        "subtitle": None,
        "author": None,
        **values,
    }


def test_2023_has_no_asin(write, metadata):
    report, items = metadata(write("meta_All_Beauty.jsonl", [item_2023()]))
    assert items["B01CUPMQZE"] == {
        "item_id": "B01CUPMQZE",
        "title": "Howard LC0008 Leather Conditioner",
        "text": ["Conditions", "Color: Brown"],
        "images": ["l0", "h1"],
        "brand": "Howard Products",
        "categories": ["All Beauty"],
        "price": None,
        "file": 0,
        "line": 1,
    }
    assert report.files[0].remarks == ["item ids are parent_asin"]


def test_2023_and_the_oddities_of_its_rows(write, metadata):
    rows = [
        item_2023(parent_asin="A", price="None", description=[], features=[]),
        item_2023(parent_asin="B", price="from 12.99", details='{"Brand": "Acme", "Color": "Red"}'),
        item_2023(parent_asin="C", price=7.5, images=None, store=None, details={}),
        item_2023(
            parent_asin="D", price="—", images={"hi_res": [None], "large": ["l"], "thumb": []}
        ),
        item_2023(parent_asin="0375504567", title=None),
        item_2023(parent_asin=None),
        '{"parent_asin": "cut", "title": "JSON that',
        '{"parent_asin": "nan", "title": "NaN price", "price": NaN}',
        '{"parent_asin": "half", "title": "half \\ud83d"}',
        "",
    ]
    report, items = metadata(write("meta.jsonl", rows))
    (file,) = report.files
    assert {key: item["price"] for key, item in items.items()} == {
        "A": None,
        "B": 12.99,
        "C": 7.5,
        "D": None,
        "0375504567": None,
        "nan": None,
        "half": None,
    }
    assert items["A"]["text"] == ["Color: Brown"]
    assert (items["B"]["brand"], items["B"]["text"]) == (
        "Acme",
        ["Conditions", "Brand: Acme; Color: Red"],
    )
    assert (items["C"]["brand"], items["C"]["images"]) == (None, [])
    assert items["D"]["images"] == ["l"]
    assert items["half"]["title"] == "half \ufffd"
    assert (file.dropped, file.malformed) == ({"no item id": 1}, 1)
    assert file.first_malformed[0].why == "JSON that stops in the middle"


def test_2023_as_parquet_of_the_hub(tmp_path, metadata):
    rows = [item_2023(), item_2023(parent_asin="B2", price=5)]
    for row in rows:
        row["images"] = {
            key: [image[key] for image in row["images"]] for key in ("hi_res", "large", "thumb")
        }
        row["details"] = json.dumps(row["details"])
        row["price"] = str(row["price"])
    path = tmp_path / "full-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    report, items = metadata(path)
    assert report.files[0].format == "amazon2023"
    assert items["B01CUPMQZE"]["images"] == ["l0", "h1"]
    assert items["B01CUPMQZE"]["text"] == ["Conditions", "Color: Brown"]
    assert (items["B01CUPMQZE"]["price"], items["B2"]["price"]) == (None, 5.0)


def test_of_several_rows_the_fuller_stays_then_the_earlier(write, metadata):
    thin = {"asin": "B1", "title": "Thin", "imageURL": [], "category": []}
    full = item_2018(asin="B1", title="Full")
    first = write("a.json", [thin, item_2018(asin="B2", title="One"), full, full])
    second = write("b.json", [item_2018(asin="B2", title="Two"), item_2018(asin="B3"), thin])
    report, items = metadata(first, second)
    assert {key: (item["title"], item["file"], item["line"]) for key, item in items.items()} == {
        "B1": ("Full", 0, 3),
        "B2": ("One", 0, 2),
        "B3": ("Socks & Shoes", 1, 2),
    }
    reason = "another row of the item is fuller"
    assert [file.dropped for file in report.files] == [{reason: 2}, {reason: 2}]
    assert [file.rows for file in report.files] == [2, 1]
    assert (report.rows, report.duplicates, report.dropped) == (3, 4, {reason: 4})


def test_columns_that_the_user_names(write, metadata):
    rows = [{"sku": 7, "bezeichnung": "Zelt", "info": ["a", "b"], "mehr": "c", "foto": "7.jpg"}]
    columns = {"item_id": "sku", "title": "bezeichnung", "text": "info,mehr", "images": "foto"}
    _, items = metadata(write("items.jsonl", rows), columns=columns)
    assert items["7"]["title"] == "Zelt"
    assert items["7"]["text"] == ["a", "b", "c"]
    assert items["7"]["images"] == ["7.jpg"]
    # In a known format the named fields alone are read otherwise.
    _, items = metadata(
        write("meta.json", [item_2018()]), columns={"title": "main_cat", "text": "date"}
    )
    assert items["B001BKEWF2"]["text"] == ["5 star5 star (0%)"]
    assert items["B001BKEWF2"]["brand"] == "Acme"


def test_a_format_of_reviews_is_no_word_about_metadata(write, metadata):
    report, _ = metadata(write("meta.jsonl", [item_2023()]), format="amazon2023_ratings")
    assert report.files[0].format == "amazon2023"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"reviewerID": "A", "asin": "B", "overall": 5}], "holds reviews .amazon2014.*--reviews"),
        ("user_id,item_id,rating\nu,i,5\n", "holds reviews .csv.* give it with --reviews"),
        ("user_id,parent_asin,rating,timestamp\nu,i,5.0,1588687728923\n", "holds reviews"),
        ("ware,preis\na,5\n", "no column that looks like item_id; it has: ware, preis"),
        ("item_id,title\n", "holds nothing below its header"),
        ("item_id,title\n,Tent\n", "no row that can be used .no item id: 1."),
    ],
)
def test_what_cannot_be_used(tmp_path, write, metadata, content, words):
    with pytest.raises(QBert4RecError, match=words) as error:
        metadata(write("file", content))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "staging" / "metadata").exists()


def test_strict_and_truncated(tmp_path, write, metadata):
    path = write("meta.json", [item_2018(), "{broken"])
    with pytest.raises(QBert4RecError, match=r"meta\.json, line 2: no valid JSON"):
        metadata(path, strict=True)
    rows = [item_2018(asin=f"B{number}", title=f"{number**7}") for number in range(3000)]
    data = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(QBert4RecError, match="rows were readable, .* --allow-truncated") as error:
        metadata(path)
    report, items = metadata(path, allow_truncated=True)
    assert 500 < len(items) < 2500
    assert f"{len(items):,} rows were readable" in str(error.value)
    assert report.files[0].truncated_at_row == len(items)


# How deep Python's parser goes, and how deep its functions, depends on its version.
@pytest.mark.parametrize("depth", [600, 900, 5_000, 50_000])
def test_a_record_nested_too_deep_costs_itself_at_most(write, metadata, depth):
    deep = '{"item_id": "a", "images": ' + "[" * depth + "]" * depth + "}"
    report, items = metadata(write("items.jsonl", [deep, {"item_id": "b", "title": "Mat"}]))
    assert items["b"]["title"] == "Mat"
    malformed = [(line.line, line.why) for line in report.files[0].first_malformed]
    assert malformed == ([] if "a" in items else [(1, "nested too deep")])

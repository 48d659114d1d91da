from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.data.readers.read import sniff
from qbert4rec_hf.errors import QBert4RecError

REVIEW_2014 = {
    "reviewerID": "A2SUAM1J3GNN3B",
    "asin": "0000013714",
    "reviewerName": "J. McDonald",
    "helpful": [2, 3],
    "reviewText": "I bought this for my husband.",
    "overall": 5.0,
    "summary": "Heavenly Highway Hymns",
    "unixReviewTime": 1252800000,
    "reviewTime": "09 13, 2009",
}
REVIEW_2018 = {**REVIEW_2014, "verified": True, "vote": "2", "style": {"Format:": " Hardcover"}}
REVIEW_2023 = {
    "rating": 5.0,
    "title": "Such a lovely scent",
    "text": "This spray is really nice.",
    "images": [],
    "asin": "B00YQ6X8EO",
    "parent_asin": "B00YQ6X8EO",
    "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ",
    "timestamp": 1588687728923,
    "helpful_vote": 0,
    "verified_purchase": True,
}
METADATA_2014 = {"asin": "0000031852", "categories": [["Sports"]], "imUrl": "http://x/a.jpg"}
METADATA_2018 = {"asin": "B001BKEWF2", "category": ["Gift Cards"], "imageURL": [], "tech1": ""}
METADATA_2023 = {"main_category": "All Beauty", "parent_asin": "B01CUPMQZE", "details": {}}


@pytest.mark.parametrize(
    ("row", "format", "kind"),
    [
        (REVIEW_2014, "amazon2014", "reviews"),
        (REVIEW_2018, "amazon2018", "reviews"),
        (REVIEW_2023, "amazon2023", "reviews"),
        (METADATA_2014, "amazon2014", "metadata"),
        (METADATA_2018, "amazon2018", "metadata"),
        (METADATA_2023, "amazon2023", "metadata"),
        ({"asin": "0000031852", "categories": [["Toys"]]}, "amazon2014", "metadata"),
        ({"user": 1, "item": 2}, "jsonl", None),
    ],
)
@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_objects(write, row, format, kind, compression):
    # A name that says something else, and a first line that is broken.
    path = write("ratings.csv", ['{"asin": ', row, row], compression=compression)
    found = sniff(path)
    assert (found.format, found.kind) == (format, kind)
    assert found.compression == (compression or "none")
    assert set(row) <= set(found.columns)
    assert not found.literal


def test_python_literals_of_2014(write):
    found = sniff(write("meta.json", [repr(METADATA_2014), repr(METADATA_2014)]))
    assert (found.format, found.kind, found.literal) == ("amazon2014", "metadata", True)


def test_a_year_is_told_from_all_sampled_rows(write):
    # `vote` and `style` are missing on many rows of 2018.
    bare = {key: REVIEW_2018[key] for key in ("reviewerID", "asin", "overall", "unixReviewTime")}
    assert sniff(write("a.json", [bare, REVIEW_2018])).format == "amazon2018"


@pytest.mark.parametrize(
    ("text", "format", "columns", "delimiter"),
    [
        ("user_id,item_id,ts\na,b,1\n", "csv", ("user_id", "item_id", "ts"), ","),
        ("user\titem\ndd\tb\n", "csv", ("user", "item"), "\t"),
        ("kunde;ware;preis\nu;i;3,50\n", "csv", ("kunde", "ware", "preis"), ";"),
        ("user|item|name\nu|i|a, b, c\nu|i|d, e\n", "csv", ("user", "item", "name"), "|"),
        ("u1,i1,5\nu2,i2,4\n", "csv", ("column1", "column2", "column3"), ","),
        ('"user_id","item_id"\n"u, 1","i"\n', "csv", ("user_id", "item_id"), ","),
        ("user_id,parent_asin,rating,timestamp\nA,B,5.0,1588687728923\n", "amazon2023_ratings")
        + (("user_id", "parent_asin", "rating", "timestamp"), ","),
        ("user_id,parent_asin,rating,timestamp,history\nA,B,5.0,1588687728923,\n",)
        + ("amazon2023_split", ("user_id", "parent_asin", "rating", "timestamp", "history"), ","),
        ("A2SUAM1J3GNN3B,0000013714,5.0,1252800000\nA2SUAM1J3GNN3C,B000013714,4.0,1252800000\n",)
        + ("amazon2014_ratings", ("column1", "column2", "column3", "column4"), ","),
        ("0000013714,A2SUAM1J3GNN3B,5.0,1252800000\nB000013714,A2SUAM1J3GNN3C,4.0,1252800000\n",)
        + ("amazon2018_ratings", ("column1", "column2", "column3", "column4"), ","),
        ("AGKHLEW2SOWHNMFQIJGBECAF7INQ,B00YQ6X8EO,5.0,1588687728923\n", "amazon2023_ratings")
        + (("user_id", "parent_asin", "rating", "timestamp"), ","),
        ("AGKHLEW2SOWHNMFQIJGBECAF7INQ,B00YQ6X8EO,5.0,1588687728923,B01 B02\n",)
        + ("amazon2023_split", ("user_id", "parent_asin", "rating", "timestamp", "history"), ","),
        ("user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n", "recbole")
        + (("user_id", "item_id", "timestamp"), "\t"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables(write, text, format, columns, delimiter, encoding):
    found = sniff(write("file.parquet", text.encode(encoding)))
    assert (found.format, found.columns, found.delimiter) == (format, columns, delimiter)
    assert found.header == (0 if columns[0] == "column1" or text[0] == "A" else 1)


def test_parquet(tmp_path):
    path = tmp_path / "reviews.csv.gz"
    pq.write_table(pa.table({"user_id": ["a"], "item_id": ["b"]}), path)
    found = sniff(path)
    assert (found.format, found.encoding, found.columns) == (
        "parquet",
        None,
        ("user_id", "item_id"),
    )
    pq.write_table(pa.table({key: [str(value)] for key, value in METADATA_2023.items()}), path)
    assert (sniff(path).format, sniff(path).kind) == ("amazon2023", "metadata")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(QBert4RecError, match="Parquet that cannot be read"):
        sniff(path)


def test_the_named_format_counts(write):
    path = write("a.json", [REVIEW_2018])
    assert sniff(path, "jsonl").format == "jsonl"
    rows = write("a.csv", "B00YQ6X8EO,B00YQ6X8EO,5.0,1252800000\n")
    assert sniff(rows).format == "csv"
    assert sniff(rows, "amazon2018_ratings").columns == tuple(f"column{n}" for n in range(1, 5))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\n \n\r\n", "holds no text"),
        (gzip.compress(b""), "holds no text"),
        (b"<!DOCTYPE html>\n<html>404</html>", "is a web page, not data"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer"),
        (json.dumps([REVIEW_2018]).encode(), "one JSON list"),
        (json.dumps(REVIEW_2018, indent=1).encode(), "line 1: JSON that stops in the middle"),
        (b"{}\n", "an object without keys"),
        (gzip.compress(b"reviews.json".ljust(257, b"\0") + b"ustar\x0000"), "is a tar archive"),
        (b"\x00\x01\x02\x00\x00" * 50, "is no text"),
        (b"user_id,item_id,item_id\na,b,c\n", "column 'item_id' more than once"),
    ],
)
def test_what_is_no_data_is_told(write, content, words):
    path = write("reviews.json.gz", content)
    with pytest.raises(QBert4RecError, match=words) as error:
        sniff(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_formats_that_cannot_be(write):
    path = write("a.csv", "user,item\na,b\n")
    with pytest.raises(QBert4RecError, match="is not Parquet"):
        sniff(path, "parquet")
    with pytest.raises(QBert4RecError, match="user_id:token"):
        sniff(path, "recbole")
    with pytest.raises(QBert4RecError, match="line 1: no JSON object"):
        sniff(path, "amazon2018")


def test_parquet_with_a_column_twice(tmp_path):
    path = tmp_path / "log.parquet"
    columns = [pa.array(["u"]), pa.array(["a"]), pa.array(["b"])]
    pq.write_table(pa.Table.from_arrays(columns, ["user_id", "item_id", "item_id"]), path)
    with pytest.raises(QBert4RecError, match="column 'item_id' more than once"):
        sniff(path)

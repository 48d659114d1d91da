"""What is said of review files: dropped rows, odd values, malformed lines, files of no use."""

from __future__ import annotations

import gzip
import json

import pytest

from qbert4rec_hf.data.readers.read import ReadOptions, read_reviews
from qbert4rec_hf.errors import QBert4RecError

DAY = 1529193600  # 2018-06-17


def review(**values):
    """A review of 2018."""
    return {"reviewerID": "A1", "asin": "B001", "overall": 5.0, "unixReviewTime": DAY, **values}


def ids(rows):
    return [(row["user_id"], row["item_id"]) for row in rows]


def test_units_of_files_are_brought_together(write, reviews):
    report, found = reviews(
        write("s.csv", f"user,item,ts\nu,a,{DAY}\n"),
        write("ms.csv", f"user,item,ts\nu,b,{DAY}000\n"),
        write("ns.csv", f"user,item,ts\nu,c,{DAY}000000000\n"),
        write("text.csv", "user,item,ts\nu,d,2018-06-17\n"),
    )
    assert {row["timestamp"] for row in found} == {DAY * 1000}
    assert [row["file"] for row in found] == [0, 1, 2, 3]
    assert [file.time_unit for file in report.files] == ["s", "ms", "ns", "text"]


def test_unreadable_values_are_counted_by_reason(write, reviews):
    text = (
        f"user,item,rating,ts\nu,a,five,{DAY}\nu,b,,{DAY}\n,c,5,{DAY}\nu, ,5,{DAY}\nu,d,5,soon\n"
        f"u,e,5,\nuser,item,rating,ts\nu,f,-1,-{DAY}\nu,g,inf,{DAY}\n"
    )
    report, found = reviews(write("log.csv", text))
    (file,) = report.files
    assert [(row["item_id"], row["rating"]) for row in found] == [
        ("a", None),
        ("b", None),
        ("f", -1.0),
        ("g", None),
    ]
    assert file.dropped == {
        "no user id": 1,
        "no item id": 1,
        "time stamp is not a time": 1,
        "no time stamp": 1,
    }
    assert file.noted == {"rating is not a number": 2, "negative time stamp": 1}
    assert "time stamp is not a time, for instance 'soon' in line 6" in file.remarks


def test_malformed_lines(write, reviews):
    broken = ["{", '{"a" 1}', "text", "[1]", "{'a': }"]
    rows = [review(), *broken, review(asin="last")]
    path = write("a.json", rows)
    report, found = reviews(path, shown_errors=3)
    (file,) = report.files
    assert (file.malformed, [line.line for line in file.first_malformed]) == (4, [2, 3, 4])
    # A JSON value that is no object has no ids.
    assert file.dropped == {"no user id": 1}
    assert [row["item_id"] for row in found] == ["B001", "last"]
    with pytest.raises(QBert4RecError, match=r"a\.json, line 2: JSON that stops in the middle; "):
        reviews(path, strict=True)


def test_malformed_rows_of_tables(write, reviews):
    path = write("a.csv", "user,item\nu,a\nu\nu,b,c\nu,d\n")
    report, found = reviews(path)
    assert ([row["item_id"] for row in found], report.malformed) == (["a", "d"], 2)
    with pytest.raises(QBert4RecError, match="line 3: 1 field instead of 2"):
        reviews(path, strict=True)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_broken_download(tmp_path, reviews, compression, form, zstd):
    if form == "json":
        lines = [json.dumps(review(reviewerID=f"A{number}")) for number in range(20_000)]
    else:
        lines = ["user,item,ts", *(f"u{number * 7919},i,{number}" for number in range(60_000))]
    data = "\n".join(lines).encode()
    packed = gzip.compress(data) if compression == "gzip" else zstd(data)
    path = tmp_path / "reviews.gz"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(QBert4RecError) as error:
        reviews(path)
    message = str(error.value)
    assert f"stops in the middle of its {compression} stream" in message
    assert "--allow-truncated" in message
    assert not (tmp_path / "staging" / "reviews").exists()
    report, found = reviews(path, allow_truncated=True)
    (file,) = report.files
    assert 0.3 * len(lines) < file.rows < 0.9 * len(lines)
    assert f"{file.rows:,} rows were readable" in message
    assert file.truncated_at_row == found[-1]["line"]
    assert file.malformed == 0


def metadata_row():
    return {"asin": "B001", "title": "Card", "imageURL": [], "category": []}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([metadata_row()], "holds metadata of items .* give it with --metadata"),
        ("sku,title,price\na,Tent,5\n", "holds metadata of items .csv.*--metadata"),
        ("a,b\nc,d\n", "no column that looks like user_id; it has: column1, column2"),
        ("user,item,ts\n", "has no row that can be used; it holds nothing below its header"),
        ("user,item\n,a\n,b\n", "no row that can be used .no user id: 2.; check the columns"),
        (
            "user,item,date\nu,i,17.6.18\nu,i,soon\n",
            "column date holds no times, .*'17.6.18' in line 2",
        ),
        (f"user,item,ts\nu,a,{DAY}\nu,b,{DAY}000\n", "time stamps of several units"),
        ("user,item\nu\nv\n", "malformed lines: 2, the first in line 2: 1 field instead of 2"),
    ],
)
def test_what_cannot_be_used(write, reviews, content, words):
    path = write("file.json", content)
    with pytest.raises(QBert4RecError, match=words) as error:
        reviews(path)
    assert "\n" not in str(error.value)


def test_files_with_and_without_times(write, reviews):
    with pytest.raises(QBert4RecError, match=r"b\.csv has no time stamps but .*a\.csv has"):
        reviews(write("a.csv", "user,item,ts\nu,i,5\n"), write("b.csv", "user,item\nu,i\n"))


def test_the_list_of_files_is_checked(tmp_path, write, reviews):
    path = write("a.csv", "user,item\nu,i\n")
    with pytest.raises(QBert4RecError, match="no file is given; .* --reviews"):
        reviews()
    with pytest.raises(QBert4RecError, match="is given twice"):
        reviews(path, tmp_path / "." / "a.csv")
    with pytest.raises(QBert4RecError, match="is an address; download it first"):
        reviews("https://example.org/a.csv")


def test_a_path_with_quotes_and_stars(tmp_path, connection, write):
    folder = tmp_path / "it's [odd] *"
    folder.mkdir()
    path = write("a.csv", "user,item\nu,i\n").rename(folder / "a?.csv")
    report = read_reviews([path], folder, connection, ReadOptions())
    assert report.rows == 1


def test_what_stood_in_the_staging_folder_goes(write, reviews):
    reviews(write("a.csv", "user,item\nu,i\n"), write("b.csv", "user,item\nu,j\n"))
    _, found = reviews(write("c.csv", "user,item\nu,k\n"))
    assert ids(found) == [("u", "k")]


def test_a_full_disk_is_one_line(write, tmp_path, connection):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(QBert4RecError, match="cannot write to .*; choose another output folder"):
        read_reviews([write("a.csv", "user,item\nu,i\n")], blocked, connection)

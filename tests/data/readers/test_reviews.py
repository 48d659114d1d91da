"""Review files of every form, with the oddities that real ones have."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.data.readers.read import read_reviews
from qbert4rec_hf.errors import QBert4RecError

DAY = 1529193600  # 2018-06-17
STAMP = {"timestamp": DAY}


def review(**values):
    """A review of 2018 as its files have it."""
    return {
        "overall": 5.0,
        "verified": True,
        "reviewTime": "06 17, 2018",
        "reviewerID": "A1",
        "asin": "B001",
        "style": {"Gift Amount:": " 50"},
        "reviewerName": "reviewer",
        "reviewText": "nice",
        "summary": "Five Stars",
        "unixReviewTime": DAY,
        **values,
    }


def ids(rows):
    return [(row["user_id"], row["item_id"]) for row in rows]


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_2018(write, reviews, compression):
    rows = [
        review(),
        # Keys come and go, their types change.
        review(vote="1,204", style=[], reviewText=None, image=["https://x/a.jpg"]),
        review(vote=3, overall="4", unixReviewTime=str(DAY + 86400), asin="0001048791"),
        {"reviewerID": "A2", "asin": "B002", "overall": 3, "reviewTime": "06 18, 2018"},
    ]
    report, found = reviews(write("reviews.json.gz", rows, compression=compression))
    assert found == [
        {"user_id": "A1", "item_id": "B001", "rating": 5.0, "timestamp": DAY * 1000}
        | {"file": 0, "line": 1},
        {"user_id": "A1", "item_id": "B001", "rating": 5.0, "timestamp": DAY * 1000}
        | {"file": 0, "line": 2},
        {"user_id": "A1", "item_id": "0001048791", "rating": 4.0}
        | {"timestamp": (DAY + 86400) * 1000, "file": 0, "line": 3},
        {"user_id": "A2", "item_id": "B002", "rating": 3.0}
        | {"timestamp": (DAY + 86400) * 1000, "file": 0, "line": 4},
    ]
    (file,) = report.files
    assert (file.format, file.compression, file.time_unit) == (
        "amazon2018",
        compression or "none",
        "s",
    )
    assert (report.rows, report.has_timestamps, report.dropped, file.noted) == (4, True, {}, {})
    json.dumps(asdict(report))


def test_2014_in_json_and_as_python_literals(write, reviews):
    row = {
        "reviewerID": "A2SUAM1J3GNN3B",
        "asin": "0000013714",
        "reviewerName": "J. McDonald",
        "helpful": [2, 3],
        "reviewText": 'It\'s "good".',
        "overall": 5.0,
        "summary": "Hymns",
        "unixReviewTime": DAY,
        "reviewTime": "06 17, 2018",
    }
    strict = write("strict.json", [row, row])
    loose = write("loose.json", [repr(row), repr({**row, "asin": "B0002"}), "{'asin': open('x')}"])
    report, found = reviews(strict, loose)
    assert [file.format for file in report.files] == ["amazon2014"] * 2
    assert ids(found) == [("A2SUAM1J3GNN3B", "0000013714")] * 3 + [("A2SUAM1J3GNN3B", "B0002")]
    assert {row["timestamp"] for row in found} == {DAY * 1000}
    assert [file.malformed for file in report.files] == [0, 1]
    assert report.files[1].first_malformed[0].line == 3


def review_2023(**values):
    return {
        "rating": 5.0,
        "title": "Lovely",
        "text": "Really nice.<br />",
        "images": [],
        "asin": "B00CHILD00",
        "parent_asin": "B00PARENT0",
        "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ",
        "timestamp": 1588687728923,
        "helpful_vote": 0,
        "verified_purchase": True,
        **values,
    }


def test_2023_and_the_oddities_of_its_rows(write, reviews):
    rows = [
        review_2023(),
        review_2023(),  # an exact duplicate: kept here, cleaning decides
        review_2023(rating=0.0),
        review_2023(timestamp=-62135596800000),
        review_2023(parent_asin="", asin="0375504567"),  # a book, its id an ISBN
        review_2023(user_id=None),
        review_2023(parent_asin=None, asin=None),
        review_2023(rating="NaN"),
        review_2023(timestamp=None),
        review_2023(images=[{"small_image_url": "https://x/a.jpg"}], rating=None),
        '{"rating": 5.0, "title": "cut of',
        '{"rating": NaN, "user_id": "U", "parent_asin": "P", "timestamp": 1588687728924}',
        '{"user_id": "half \\ud83d", "parent_asin": "P", "timestamp": 1588687728925}',
        "",
    ]
    report, found = reviews(write("Books.jsonl", rows))
    (file,) = report.files
    assert file.format == "amazon2023"
    assert [row["line"] for row in found] == [1, 2, 3, 4, 5, 8, 10, 12, 13]
    assert found[4]["item_id"] == "0375504567"
    assert found[3]["timestamp"] == -62135596800000
    assert [row["rating"] for row in found] == [5, 5, 0, 5, 5, None, None, None, None]
    assert found[-1]["user_id"] == "half \ufffd"
    assert file.dropped == {"no user id": 1, "no item id": 1, "no time stamp": 1}
    assert file.noted == {
        "rating is not a number": 2,
        "rating is 0": 1,
        "negative time stamp": 1,
    }
    assert file.malformed == 1
    assert (file.first_malformed[0].line, file.first_malformed[0].why) == (
        11,
        "JSON that stops in the middle",
    )
    assert any("parent_asin" in remark for remark in file.remarks)
    assert (file.rows, file.time_unit) == (9, "ms")
    assert report.dropped["malformed line"] == 1


def test_2023_keeps_asin_when_asked(write, reviews):
    _, found = reviews(write("a.jsonl", [review_2023()]), columns={"item_id": "asin"})
    assert found[0]["item_id"] == "B00CHILD00"


def test_ratings_only_of_every_year(write, reviews):
    stamp = f"{DAY}"
    report, found = reviews(
        write("2014.csv", f"A2SUAM1J3GNN3B,0000013714,5.0,{stamp}\n"),
        write("2018.csv", f"0000013714,A2SUAM1J3GNN3B,4.0,{stamp}\n"),
        write("2023.csv", "user_id,parent_asin,rating,timestamp\nU,P,3.0,1588687728923\n"),
    )
    assert [file.format for file in report.files] == [
        "amazon2014_ratings",
        "amazon2018_ratings",
        "amazon2023_ratings",
    ]
    assert ids(found) == [("A2SUAM1J3GNN3B", "0000013714")] * 2 + [("U", "P")]
    assert [row["rating"] for row in found] == [5, 4, 3]
    assert [row["timestamp"] for row in found] == [DAY * 1000, DAY * 1000, 1588687728923]


def test_the_files_of_a_split_together_are_the_log(write, reviews):
    header = "user_id,parent_asin,rating,timestamp,history\n"
    report, found = reviews(
        write("X.train.csv", f"{header}U,P1,5.0,1588687728921,\nU,P2,5.0,1588687728922,P1\n"),
        write("X.valid.csv", f"{header}U,P3,5.0,1588687728923,P1 P2\n"),
        write("X.test.csv", f"{header}U,P4,5.0,1588687728924,P1 P2 P3\n"),
    )
    assert ids(found) == [("U", "P1"), ("U", "P2"), ("U", "P3"), ("U", "P4")]
    assert {file.format for file in report.files} == {"amazon2023_split"}
    assert "together are the log" in report.files[2].remarks[0]


def test_recbole(write, reviews):
    text = (
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        '1\t"1193\t5\t978300760.0\n2\t661\t3\t978302109.0\n'
    )
    report, found = reviews(write("ml.inter", text))
    assert report.files[0].format == "recbole"
    assert ids(found) == [("1", '"1193'), ("2", "661")]
    assert found[0]["timestamp"] == 978300760000


@pytest.mark.parametrize(
    "text",
    [
        "userId,movieId,rating,timestamp\n007,é b,5,1529193600\n",
        "007,é b,5,1529193600\n",
        "timestamp;rating;item;user\n2018-06-17;5;é b;007\n",
        "date\tsku\tuid\tstars\n06 17, 2018\té b\t007\t5\n",
        '"user_id","item_id","rating","timestamp"\r\n"007","é b","5","2018-06-17T00:00:00Z"\r\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_logs_of_any_shop(write, reviews, text, encoding):
    columns = {}
    if text.startswith("007"):
        names = ("user_id", "item_id", "rating", "timestamp")
        columns = {name: f"column{number}" for number, name in enumerate(names, start=1)}
    report, found = reviews(write("log.csv", text.encode(encoding)), columns=columns)
    assert ids(found) == [("007", "é b")]
    assert (found[0]["rating"], found[0]["timestamp"]) == (5.0, DAY * 1000)
    odd = report.files[0].noted.get("line is not UTF-8, read as Windows-1252", 0)
    assert odd == (encoding == "cp1252")


def test_three_columns_and_nothing_else(write, reviews):
    report, found = reviews(write("log.csv", "user,item,ts\nu1,i1,1\nu1,i2,2\n"))
    assert [(row["rating"], row["timestamp"]) for row in found] == [(None, 1000), (None, 2000)]
    assert report.has_timestamps


def test_a_log_without_times(write, reviews):
    report, found = reviews(write("log.csv", "user,item\nu1,i1\nu1,i2\n"))
    assert not report.has_timestamps
    assert [row["timestamp"] for row in found] == [None, None]
    report, _ = reviews(write("log.csv", "user,item,time\nu1,i1,\nu1,i2,null\n"))
    assert not report.has_timestamps
    assert report.files[0].remarks == ["no row has a time stamp"]


IDS = [
    " with  spaces ",
    "“quotes” 'and' \"such\"",
    "🪣👩‍👩‍👧",
    "007",
    "x" * 10_000,
    "NaN",
    "null",
    "a,b",
    "1e5",
]
IDS += ["back\\slash", "ab\u0301", "-1", "tab\tin", "line\nbreak", "12345678901234567890123"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_ids_survive_byte_for_byte(tmp_path, write, reviews, form):
    if form == "jsonl":
        path = write("log", [{"user_id": value, "item_id": value} for value in IDS])
    elif form == "csv":
        cells = ['"' + value.replace('"', '""') + '"' for value in IDS]
        path = write("log", "user_id,item_id\n" + "".join(f"{cell},{cell}\n" for cell in cells))
    else:
        path = tmp_path / "log"
        pq.write_table(pa.table({"user_id": IDS, "item_id": IDS}), path)
    report, found = reviews(path)
    assert ids(found) == [(value, value) for value in IDS]
    assert report.dropped == {}


def test_json_numbers_as_ids(write, reviews):
    lines = ['{"user": 12345678901234567890123, "item": 7}', '{"user": "u", "item": "7"}']
    _, found = reviews(write("log.jsonl", lines))
    assert ids(found) == [("12345678901234567890123", "7"), ("u", "7")]


def test_keys_with_odd_names(write, reviews):
    row = {"a/b~c.d \"e\" 'f' {source}": "u", "ü": "i"}
    columns = {"user_id": next(iter(row)), "item_id": "ü"}
    _, found = reviews(write("log.jsonl", [row]), columns=columns)
    assert ids(found) == [("u", "i")]


def test_parquet_of_many_types(tmp_path, reviews):
    path = tmp_path / "log.parquet"
    table = pa.table(
        {
            "user_id": pa.array([1.0, 2.0, None, 4.0]),  # pandas, where one id is missing
            "item_id": pa.array([b"a", b"b", b"c", b"\xe9"]),
            "rating": pa.array(["5", "4", "3", "x"]).dictionary_encode(),
            "time": pa.array([datetime.datetime(2018, 6, 17, tzinfo=datetime.timezone.utc)] * 4),
        }
    )
    pq.write_table(
        table.cast(table.schema.set(3, pa.field("time", pa.timestamp("ns", "Asia/Tokyo")))), path
    )
    report, found = reviews(path)
    assert ids(found) == [("1", "a"), ("2", "b"), ("4", "é")]
    assert {row["timestamp"] for row in found} == {DAY * 1000}
    assert [row["line"] for row in found] == [1, 2, 4]
    assert report.files[0].dropped == {"no user id": 1}
    assert report.files[0].noted == {"rating is not a number": 1}
    dates = pa.table({"user": [1], "item": [2], "date": [datetime.date(2018, 6, 17)]})
    pq.write_table(dates, path)
    _, found = reviews(path)
    assert (ids(found), found[0]["timestamp"]) == ([("1", "2")], DAY * 1000)


def test_parquet_with_lists_as_ids_is_refused(tmp_path, reviews):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"user_id": [["a"]], "item_id": ["b"]}), path)
    with pytest.raises(QBert4RecError, match="column user_id holds list"):
        reviews(path)


def test_parquet_ids_that_are_missing_as_numbers(tmp_path, reviews):
    path = tmp_path / "log.parquet"
    ids = pa.array([7.0, float("nan"), None, 8.5])
    pq.write_table(pa.table({"user_id": ids, "item_id": ["a", "b", "c", "d"]}), path)
    report, rows = reviews(path)
    assert [row["user_id"] for row in rows] == ["7", "8.5"]
    assert report.dropped == {"no user id": 2}


def test_a_number_beyond_all_time_is_not_called_missing(write, reviews):
    lines = ["user_id,item_id,timestamp", "u,a,1e300", "u,b,", f"u,c,{DAY}000000000"]
    report, rows = reviews(write("log.csv", "\n".join(lines)))
    assert [row["timestamp"] for row in rows] == [DAY * 1000]
    assert report.dropped == {"time stamp is not a time": 1, "no time stamp": 1}


def test_a_line_with_an_endless_number_costs_itself(write, reviews):
    line = '{"user_id": "u", "item_id": "a", "timestamp": ' + "9" * 5000 + "}"
    report, rows = reviews(write("log.jsonl", [line, {"user_id": "u", "item_id": "b"} | STAMP]))
    assert [row["item_id"] for row in rows] == ["b"]
    assert len(str(report.files[0].remarks)) < 200


def test_a_staging_folder_that_is_a_pattern_of_another(write, tmp_path, connection):
    other = tmp_path / "work1" / "reviews" / "raw.raw"
    other.parent.mkdir(parents=True)
    other.write_text("another's")
    path = write("log.csv", "user_id,item_id\nu,a\n")
    assert read_reviews([path], tmp_path / "work[1]", connection).rows == 1

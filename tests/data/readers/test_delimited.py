from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbert4rec_hf.data.readers import delimited
from qbert4rec_hf.data.readers.byte_stream import ByteStream
from qbert4rec_hf.data.readers.delimited import DelimitedReader
from qbert4rec_hf.data.readers.lines import LineReader
from qbert4rec_hf.data.readers.malformed import MalformedLines
from qbert4rec_hf.data.readers.sniff import Found


def read(path, text, columns, *, wanted=None, header=1, delimiter=",", quoted=True):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = Found(path, "csv", columns=columns, header=header, delimiter=delimiter, quoted=quoted)
    malformed = MalformedLines(path, 5)
    reader = DelimitedReader(
        LineReader(ByteStream(path, "none")), found, wanted or columns, malformed
    )
    rows = []
    for batch in reader:
        assert batch.schema == reader.schema
        rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    return rows, malformed, reader


HEADER = ("user", "item", "title")


def test_rows_and_their_lines(tmp_path):
    text = "user,item,title\nu1,i1,\nu2,007,NA\r\n\nu3,null,é\n"
    rows, malformed, _ = read(tmp_path / "f", text, HEADER)
    assert rows == [("u1", "i1", "", 2), ("u2", "007", "NA", 3), ("u3", "null", "é", 5)]
    assert malformed.count == 0


def test_wanted_columns_in_their_order(tmp_path):
    rows, _, _ = read(tmp_path / "f", "user,item,title\nu,i,t\n", HEADER, wanted=("title", "user"))
    assert rows == [("t", "u", 2)]


def test_quotes_enclose_separators_and_line_breaks(tmp_path):
    text = 'user,item,title\nu1,"a,b","one\ntwo ""three"""\nu2,c,plain\n'
    rows, malformed, _ = read(tmp_path / "f", text, HEADER)
    assert rows == [("u1", "a,b", 'one\ntwo "three"', 2), ("u2", "c", "plain", 4)]
    assert malformed.count == 0


def test_quoted_fields_cross_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("qbert4rec_hf.data.readers.byte_stream.CHUNK", 16)
    text = "user,item,title\n" + 'u,i,"first line\nsecond line\nthird line"\n' * 5
    rows, malformed, _ = read(tmp_path / "f", text, HEADER)
    assert [row[:3] for row in rows] == [("u", "i", "first line\nsecond line\nthird line")] * 5
    assert [row[3] for row in rows] == [2, 5, 8, 11, 14]
    assert malformed.count == 0


@pytest.mark.parametrize("chunk", [20, 1 << 20])
def test_a_stray_quote_costs_at_most_its_line(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("qbert4rec_hf.data.readers.byte_stream.CHUNK", chunk)
    monkeypatch.setattr(delimited, "_LONGEST_RECORD", 200)
    good = [f"u{number},i{number},title" for number in range(60)]
    lines = [*good[:20], 'u,i,"open', *good[20:40], 'u,i,5" screen', '"u,i', *good[40:]]
    rows, malformed, _ = read(tmp_path / "f", "\n".join(["user,item,title", *lines]), HEADER)
    assert [",".join(row[:3]) for row in rows if row[0] != "u"] == good
    assert [row[2] for row in rows if row[0] == "u"] == ['"open', '5" screen']
    assert [line.why for line in malformed.first] == ["a quote opens and never closes"]
    assert malformed.first[0].line == 44


def test_many_stray_quotes_are_ordinary_characters(tmp_path):
    lines = [f'"u{number},i,title' for number in range(3000)]
    rows, malformed, reader = read(
        tmp_path / "f", "\n".join(["user,item,title", *lines]) + "\n", HEADER
    )
    assert len(rows) == 3000
    assert reader.literal_quotes
    assert malformed.count == 0


def test_rows_of_another_width_are_malformed(tmp_path):
    text = "user,item,title\nu,i\nu,i,t,extra\nu,i,t\nonly\n"
    rows, malformed, _ = read(tmp_path / "f", text, HEADER)
    assert rows == [("u", "i", "t", 4)]
    assert [(line.line, line.why) for line in malformed.first] == [
        (2, "2 fields instead of 3"),
        (3, "4 fields instead of 3"),
        (5, "1 field instead of 3"),
    ]


def test_tables_without_quoting_and_without_header(tmp_path):
    text = 'a "b\tc\n"d\te"\n'
    rows, _, _ = read(tmp_path / "f", text, ("x", "y"), header=0, delimiter="\t", quoted=False)
    assert rows == [('a "b', "c", 1), ('"d', 'e"', 2)]


def test_a_header_further_down(tmp_path):
    rows, _, _ = read(tmp_path / "f", "\n\nuser,item,title\nu,i,t\n", HEADER, header=3)
    assert rows == [("u", "i", "t", 4)]


fields = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(fields, fields, fields), max_size=8), chunk=st.integers(4, 60))
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, rows, chunk):
    rows = [row for row in rows if any(field.strip() for field in row)]
    # A carriage return within quotes is a line break on some systems; it may come back as one.
    rows = [tuple(field.replace("\r", "") for field in row) for row in rows]
    sink = io.StringIO()
    csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([HEADER, *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qbert4rec_hf.data.readers.byte_stream.CHUNK", chunk)
        found, malformed, _ = read(tmp_path_factory.mktemp("csv") / "f", sink.getvalue(), HEADER)
    assert [row[:3] for row in found] == rows
    assert malformed.count == 0

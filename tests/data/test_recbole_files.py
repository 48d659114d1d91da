from __future__ import annotations

import csv
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.data import recbole_files
from qbert4rec_hf.data.recbole_files import read_header, read_rows, write_rows
from qbert4rec_hf.errors import QBert4RecError

KINDS = {"user_id": "token", "timestamp": "float"}


def rows(path, columns=("user_id", "timestamp")):
    return [row for table in read_rows(path, columns) for row in table.data.to_pylist()]


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\t\r\n\0", codec="utf-8"), max_size=8),
            st.integers(-(2**50), 2**50),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read_by_us_and_by_a_csv_reader(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("recbole") / "x.inter"
    users, stamps = [user for user, _ in written], [stamp for _, stamp in written]
    table = pa.table({"user_id": pa.array(users, pa.string()), "timestamp": pa.array(stamps)})
    write_rows(path, KINDS, [table.slice(0, 2), table.slice(2)])
    assert read_header(path) == KINDS
    assert rows(path) == [{"user_id": user, "timestamp": stamp} for user, stamp in written]
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file, delimiter="\t"))
    assert [row[0] for row in found[1:]] == users


def test_quotation_marks_that_enclose_nothing_stay(tmp_path):
    path = tmp_path / "x.item"
    path.write_text('user_id:token\n"Best" of "Beauty"\n5" wide\n"whole"\n"a ""b"" c"\n"\n')
    found = [row["user_id"] for row in rows(path, ["user_id"])]
    assert found == ['"Best" of "Beauty"', '5" wide', "whole", 'a "b" c', '"']


def test_windows_line_ends_a_byte_order_mark_and_empty_numbers(tmp_path):
    path = tmp_path / "x.inter"
    path.write_bytes(b"\xef\xbb\xbfuser_id:token\ttimestamp:float\r\nnan\t1.5\r\na b\t\r\n")
    assert rows(path) == [
        {"user_id": "nan", "timestamp": 1.5},
        {"user_id": "a b", "timestamp": None},
    ]


def test_a_row_of_a_later_block_is_counted_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(recbole_files, "BLOCK_BYTES", 64)
    path = tmp_path / "x.inter"
    path.write_text("user_id:token\n" + "".join(f"user{n:04}\n" for n in range(50)))
    tables = list(read_rows(path, ["user_id"]))
    assert len(tables) > 2
    assert tables[-1].where(0).endswith(f"row {50 - len(tables[-1].data)}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: columns such as user_id:token"),
        ("user_id,timestamp\n", "line 1: columns such as user_id:token"),
        ("user_id:token\tuser_id:token\n", "each once"),
        ("user_id:text\ttimestamp:float\n", "line 1"),
        ("user_id:token\ttimestamp:float\na\t1\nb\n", "Row #3: Expected 2 columns, got 1"),
        ("user_id:token\ttimestamp:float\na\tmonday\n", "Row #2.*invalid value 'monday'"),
    ],
)
def test_malformed_files_are_named(tmp_path, text, message):
    (tmp_path / "x.inter").write_text(text)
    with pytest.raises(QBert4RecError, match=rf"x\.inter.*{message}"):
        rows(tmp_path / "x.inter")


def test_what_is_no_text(tmp_path):
    (tmp_path / "x.inter").write_bytes(b"user_id:token\n" + b"a\n" * 9000 + b"\xff\xfe\n")
    with pytest.raises(QBert4RecError, match="x.inter cannot be read"):
        rows(tmp_path / "x.inter", ["user_id"])
    with pytest.raises(QBert4RecError, match=re.escape("cannot be read as text")):
        read_header(tmp_path / "absent.inter")

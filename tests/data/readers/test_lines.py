from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.data.readers import lines as lines_module
from qbert4rec_hf.data.readers.byte_stream import ByteStream
from qbert4rec_hf.data.readers.lines import LineReader, decode_8bit
from qbert4rec_hf.errors import QBert4RecError


def read(path, data, compression="none"):
    path.write_bytes(data)
    reader = LineReader(ByteStream(path, compression))
    found = []
    for batch in reader:
        texts = batch.texts()
        assert len(texts) == len(batch)
        arrow = batch.to_arrow()
        assert [text.rstrip("\n") for text in arrow.column("text").to_pylist()] == texts
        found += zip(arrow.column("line").to_pylist(), texts, strict=True)
    return found, reader


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_every_unicode_encoding_gives_the_same_lines(tmp_path, encoding):
    text = "user,item\nü1,Gießkanne 🪣\n日本,x\n"
    found, reader = read(tmp_path / "file", text.encode(encoding))
    assert found == list(enumerate(text.split("\n")[:-1], start=1))
    assert reader.foreign == 0


def test_lines_that_are_no_utf8_are_windows_1252_and_counted(tmp_path):
    rows = ["a,é".encode(), "b,é €".encode("cp1252"), b"c,x", "d,“q”".encode("cp1252"), b"\x81"]
    found, reader = read(tmp_path / "file", b"\n".join(rows))
    assert [text for _, text in found] == ["a,é", "b,é €", "c,x", "d,“q”", "\x81"]
    assert reader.foreign == 3
    assert reader.last == 5


def test_every_byte_decodes():
    assert len(decode_8bit(bytes(range(256)))) == 256


@pytest.mark.parametrize(("data", "count"), [(b"a\r\nb\r\n", 2), (b"a\rb\rc", 3), (b"a\n\nb", 3)])
def test_line_breaks_of_all_systems(tmp_path, data, count):
    found, _ = read(tmp_path / "file", data)
    assert [number for number, _ in found] == list(range(1, count + 1))
    assert (
        "".join(text.strip("\r") for _, text in found) == "abc"[: 2 + (count == 3 and b"c" in data)]
    )


def test_lines_cross_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("qbert4rec_hf.data.readers.byte_stream.CHUNK", 7)
    texts = [f"line {number} é" * (number % 4) for number in range(50)]
    found, reader = read(tmp_path / "file", "\n".join(texts).encode())
    assert [text for _, text in found] == texts
    assert reader.foreign == 0


@given(
    st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")))
)
def test_no_bytes_fail_and_no_line_is_lost(tmp_path_factory, rows):
    data = b"\n".join([b"head of a file", *rows]) + b"\n"
    found, _ = read(tmp_path_factory.mktemp("lines") / "file", data)
    assert len(found) == len(rows) + 1
    for row, (_, text) in zip(rows, found[1:], strict=True):
        try:
            assert text == row.decode()
        except UnicodeDecodeError:
            assert text == decode_8bit(row)


def test_the_last_line_of_a_cut_stream_is_left_out(tmp_path):
    data = gzip.compress(b"".join(b'{"number": %d}\n' % number for number in range(20_000)), 0)
    found, reader = read(tmp_path / "file", data[: len(data) // 2], "gzip")
    assert reader.stream.problem
    assert found[-1] == (reader.last, f'{{"number": {reader.last - 1}}}')
    assert 5_000 < reader.last < 15_000


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_module, "MAX_LINE", 1000)
    monkeypatch.setattr("qbert4rec_hf.data.readers.byte_stream.CHUNK", 100)
    with pytest.raises(QBert4RecError, match="line 2: longer than"):
        read(tmp_path / "file", b"short\n" + b"x" * 5000)

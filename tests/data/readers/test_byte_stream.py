from __future__ import annotations

import gzip
import os
import random

import pytest

from qbert4rec_hf.data.readers.byte_stream import CHUNK, ByteStream, find_compression
from qbert4rec_hf.errors import QBert4RecError

DATA = random.Random(0).randbytes(700_000) + b"x" * 900_000


def read(path, compression):
    stream = ByteStream(path, compression)
    return b"".join(stream), stream


@pytest.mark.parametrize("suffix", [".json.gz", ".zst", ".csv", ""])
def test_compression_comes_from_the_content(tmp_path, suffix, zstd):
    path = tmp_path / f"file{suffix}"
    forms = [(b"plain", "none"), (gzip.compress(b"x"), "gzip"), (zstd(b"x"), "zstd")]
    for data, compression in forms:
        path.write_bytes(data)
        assert find_compression(path) == compression


def test_streams_give_the_bytes_back(tmp_path, zstd):
    path = tmp_path / "file"
    for data, compression in [
        (DATA, "none"),
        (gzip.compress(DATA), "gzip"),
        (zstd(DATA), "zstd"),
        (gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]), "gzip"),
        (zstd(DATA[:1000]) + zstd(DATA[1000:]), "zstd"),
        (gzip.compress(DATA) + b"\0" * 5000, "gzip"),
    ]:
        path.write_bytes(data)
        found, stream = read(path, compression)
        assert found == DATA
        assert stream.problem is None
        assert stream.position == stream.size == len(data)


def test_a_small_file_that_unpacks_to_much_comes_in_chunks(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0" * (CHUNK * 4)))
    sizes = [len(chunk) for chunk in ByteStream(path, "gzip")]
    assert sum(sizes) == CHUNK * 4
    assert max(sizes) <= CHUNK


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_cut_stream_gives_what_came_before(tmp_path, compression, share, zstd):
    data = gzip.compress(DATA) if compression == "gzip" else zstd(DATA)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * share)])
    found, stream = read(path, compression)
    assert stream.problem == f"stops in the middle of its {compression} stream"
    assert DATA.startswith(found)
    assert len(found) > 0.2 * share * len(DATA)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_damage_in_the_middle_is_told(tmp_path, compression, zstd):
    data = bytearray(gzip.compress(DATA) if compression == "gzip" else zstd(DATA))
    data[600_000:600_050] = b"\xff" * 50
    path = tmp_path / "damaged"
    path.write_bytes(data)
    found, stream = read(path, compression)
    # Random bytes are stored as they are, so that only the check sum may notice.
    assert stream.problem is None or stream.problem.startswith("is damaged at about byte")
    assert compression == "zstd" or stream.problem is not None


def test_other_bytes_after_gzip_are_remarked(tmp_path):
    path = tmp_path / "tail.gz"
    path.write_bytes(gzip.compress(DATA) + b"signature")
    found, stream = read(path, "gzip")
    assert found == DATA
    assert "other bytes" in stream.remark


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "zip archive or an Excel workbook; unpack it, or save it as CSV"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
    ],
)
def test_what_cannot_be_read_names_the_way_out(tmp_path, content, words):
    path = tmp_path / "reviews.json.gz"
    path.write_bytes(content)
    with pytest.raises(QBert4RecError, match=words) as error:
        find_compression(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(QBert4RecError, match="does not exist"):
        find_compression(tmp_path / "none")
    with pytest.raises(QBert4RecError, match="is a folder; name the files in it"):
        find_compression(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(QBert4RecError, match="cannot be read"):
        find_compression(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_refused_before_a_byte_of_it_is_lost(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(QBert4RecError, match="is a pipe, not a file"):
        find_compression(path)

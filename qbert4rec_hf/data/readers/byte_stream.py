"""The bytes of a file, decompressed chunk by chunk."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ...errors import QBert4RecError

NONE = "none"
GZIP = "gzip"
ZSTD = "zstd"

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Zstandard allows frames of other data before the first one.
_ZSTD_SKIPPABLE = tuple(bytes([number]) + b"\x2a\x4d\x18" for number in range(0x50, 0x60))
# Magic bytes of what is not read as it is, and what to do about it.
_FOREIGN = (
    (b"PK\x03\x04", "is a zip archive or an Excel workbook; unpack it, or save it as CSV"),
    (b"BZh", "is compressed with bzip2; unpack it first (bunzip2)"),
    (b"\xfd7zXZ\x00", "is compressed with xz; unpack it first (unxz)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive; unpack it first"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel file; save it as CSV first"),
)
# Of the compressed file. Small, because what a damaged block holds is lost as a whole.
_BLOCK = 256 << 10
_ZSTD_BLOCK = 64 << 10
_ZSTD_PARTS = 64
# Of the decompressed data; a few bytes may decompress to gigabytes.
CHUNK = 8 << 20


def find_compression(path: Path) -> str:
    """Finds the compression of a file from its first bytes, whatever its name says.

    Raises:
        QBert4RecError: the file is missing, empty, a folder, cannot be read, or is compressed in a
            way that is not read here.
    """
    head = read_head(path, 8)
    if head.startswith(_GZIP_MAGIC):
        return GZIP
    if head.startswith(_ZSTD_MAGIC) or head[:4] in _ZSTD_SKIPPABLE:
        return ZSTD
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise QBert4RecError(f"{path} {what}")
    return NONE


def read_head(path: Path, size: int) -> bytes:
    """Reads the first bytes of a file as they are.

    Raises:
        QBert4RecError: the file is missing, empty, a folder, or cannot be read.
    """
    # What comes through a pipe can be read once; every file is looked at before it is read.
    if path.is_fifo():
        raise QBert4RecError(f"{path} is a pipe, not a file; write what comes out of it to a file")
    try:
        with path.open("rb") as file:
            head = file.read(size)
    except FileNotFoundError:
        raise QBert4RecError(f"{path} does not exist; check the name") from None
    except IsADirectoryError:
        raise QBert4RecError(
            f"{path} is a folder; name the files in it, for instance {path / '*.json.gz'}"
        ) from None
    except OSError as error:
        raise QBert4RecError(
            f"{path} cannot be read ({error.strerror or error}); check its place and permissions"
        ) from None
    if not head:
        raise QBert4RecError(f"{path} is empty; fetch or write it again")
    return head


class ByteStream:
    """The bytes of a file, decompressed chunk by chunk; one pass.

    A compressed file that stops in the middle or is damaged ends the stream; `problem` then says
    how, and what came before stays good.

    Args:
        path: the file.
        compression: "none", "gzip" or "zstd".
        limit: bytes of the file to read at most; None for all of it.

    Attributes:
        position: bytes of the file read so far.
        size: bytes of the file.
        problem: why the stream ended early, in words that follow the file's name; else None.
        remark: something odd that does no harm, likewise; else None.
    """

    def __init__(self, path: Path, compression: str, *, limit: int | None = None) -> None:
        self.path = path
        self.compression = compression
        self.position = 0
        self.size = os.path.getsize(path)
        self.problem: str | None = None
        self.remark: str | None = None
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        """Yields chunks of at most about `CHUNK` bytes.

        Raises:
            QBert4RecError: the file cannot be read.
        """
        chunks = {NONE: self._plain, GZIP: self._gunzip, ZSTD: self._unzstd}[self.compression]
        try:
            with self.path.open("rb") as file:
                yield from chunks(file)
        except OSError as error:
            raise QBert4RecError(
                f"{self.path} cannot be read beyond byte {self.position:,} "
                f"({error.strerror or error}); check the disk or fetch the file again"
            ) from None

    def _read(self, file: BinaryIO, size: int) -> bytes:
        if self._limit is not None:
            size = min(size, self._limit - self.position)
        block = file.read(size) if size > 0 else b""
        self.position += len(block)
        return block

    @property
    def _at_limit(self) -> bool:
        return self._limit is not None and self.position >= self._limit

    def _plain(self, file: BinaryIO) -> Iterator[bytes]:
        while block := self._read(file, CHUNK):
            yield block

    def _gunzip(self, file: BinaryIO) -> Iterator[bytes]:
        # A gzip file is one or more members one after the other.
        member = zlib.decompressobj(wbits=31)
        while block := self._read(file, _BLOCK):
            while block:
                if member.eof:
                    # Padding with zeros is common on tapes and in some object stores.
                    block = block.lstrip(b"\0")
                    if not block:
                        break
                    if not _GZIP_MAGIC.startswith(block[:2]):
                        self.remark = "has other bytes after its gzip stream; they were left out"
                        return
                    member = zlib.decompressobj(wbits=31)
                try:
                    chunk = member.decompress(block, CHUNK)
                except zlib.error as error:
                    self._damaged(str(error).split(": ")[-1])
                    return
                block = member.unused_data if member.eof else member.unconsumed_tail
                if chunk:
                    yield chunk
        if not member.eof:
            rest = member.flush()
            if rest:
                yield rest
            self._stopped()

    def _unzstd(self, file: BinaryIO) -> Iterator[bytes]:
        import pyarrow as pa

        # Arrow closes what it reads from; it gets a reader of our own, which counts and limits.
        source = pa.PythonFile(_Blocks(lambda size: self._read(file, size)), mode="r")
        with pa.CompressedInputStream(source, "zstd") as stream:
            parts: list[bytes] = []
            while True:
                try:
                    # Small reads: one that fails gives nothing of what it had.
                    part = stream.read(_ZSTD_BLOCK)
                except OSError as error:
                    if "runcated" in str(error):
                        self._stopped()
                    else:
                        self._damaged(str(error).splitlines()[0])
                    part = b""
                parts.append(part)
                if not part or len(parts) == _ZSTD_PARTS:
                    yield b"".join(parts)
                    parts = []
                if not part:
                    return

    def _stopped(self) -> None:
        if not self._at_limit:
            self.problem = f"stops in the middle of its {self.compression} stream"

    def _damaged(self, reason: str) -> None:
        self.problem = f"is damaged at about byte {self.position:,} ({reason})"


class _Blocks:
    """The least that Arrow wants of a file."""

    def __init__(self, read) -> None:
        self.read = read
        self.closed = False

    def close(self) -> None:
        self.closed = True

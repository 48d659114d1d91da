"""The lines of a text file in batches, as UTF-8, whatever the file's encoding."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ...errors import QBert4RecError
from .byte_stream import ByteStream

UTF_8 = "utf-8"
# Text and the number of its line.
LINE_SCHEMA = pa.schema([("text", pa.large_string()), ("line", pa.int64())])
# Longer ones are not lines but some other kind of file.
MAX_LINE = 256 << 20

_BOMS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Latin-1's control characters 0x80 to 0x9f -> what Windows-1252 has there.
_WINDOWS_1252 = {
    number: bytes([number]).decode("cp1252")
    for number in range(0x80, 0xA0)
    if number not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


def find_encoding(head: bytes) -> tuple[str, int]:
    """Finds the encoding of a text from its first bytes.

    Returns:
        Name of the encoding, and the length of the byte order mark. "utf-8" stands also for files
        in an 8-bit encoding: `LineReader` finds out line by line.
    """
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding, len(bom)
    # Without a mark: the first characters of tables and JSON are ASCII, so every second byte is 0.
    if len(head) >= 4 and head[0] and not head[1] and head[2] and not head[3]:
        return "utf-16-le", 0
    if len(head) >= 4 and not head[0] and head[1] and not head[2] and head[3]:
        return "utf-16-be", 0
    return UTF_8, 0


@dataclass(frozen=True)
class LineBatch:
    """Whole lines of a file.

    Args:
        first: number of the first line, counted from 1.
        data: their text in UTF-8, each line with its line break (the last of a file may lack it).
        ends: `[lines]`, int64, where in `data` each line ends.
    """

    first: int
    data: bytes
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def to_arrow(self) -> pa.RecordBatch:
        """The lines as a record batch of `LINE_SCHEMA`, without copying the text."""
        offsets = np.zeros(len(self) + 1, dtype=np.int64)
        offsets[1:] = self.ends
        text = pa.Array.from_buffers(
            pa.large_string(), len(self), [None, pa.py_buffer(offsets), pa.py_buffer(self.data)]
        )
        numbers = pa.array(np.arange(self.first, self.first + len(self)))
        return pa.RecordBatch.from_arrays([text, numbers], schema=LINE_SCHEMA)

    def texts(self) -> list[str]:
        """The lines as str, without their line breaks."""
        lines = self.data.decode(UTF_8).split("\n")
        if len(lines) > len(self):
            lines.pop()
        return lines


class LineReader:
    """The lines of a text file in batches, as UTF-8; one pass.

    A line that is not UTF-8 is read as Windows-1252 (of which Latin-1's text is a part) and
    counted: one odd line does not change how the others are read.

    Args:
        stream: the bytes.

    Attributes:
        encoding: encoding of the file.
        last: number of the last line read.
        foreign: lines that are not UTF-8.
    """

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.encoding = UTF_8
        self.last = 0
        self.foreign = 0

    @property
    def path(self) -> Path:
        return self.stream.path

    def __iter__(self) -> Iterator[LineBatch]:
        """Yields the lines in their order.

        The last line of a stream that stops in the middle is left out, as it is not whole.

        Raises:
            QBert4RecError: the file cannot be read or has a line of more than `MAX_LINE` bytes.
        """
        rest: list[bytes] = []
        waiting = 0
        for chunk in self._utf8():
            cut = chunk.rfind(b"\n") + 1
            if not cut:
                rest.append(chunk)
                waiting += len(chunk)
                if waiting > MAX_LINE:
                    raise QBert4RecError(
                        f"{self.path}, line {self.last + 1}: longer than {MAX_LINE >> 20} MB; "
                        "a text file with one row a line is expected"
                    )
                continue
            yield self._batch(b"".join([*rest, chunk[:cut]]))
            rest = [chunk[cut:]]
            waiting = len(rest[0])
        if waiting and self.stream.problem is None:
            yield self._batch(b"".join(rest))

    def _batch(self, data: bytes) -> LineBatch:
        ends = _line_ends(data)
        try:
            data.decode(UTF_8)
        except UnicodeDecodeError:
            data = self._mend(data, ends)
            ends = _line_ends(data)
        batch = LineBatch(self.last + 1, data, ends)
        self.last += len(batch)
        return batch

    def _mend(self, data: bytes, ends: np.ndarray) -> bytes:
        """Reads the lines that are not UTF-8 as Windows-1252."""
        lines = []
        start = 0
        for end in ends.tolist():
            line = data[start:end]
            start = end
            try:
                line.decode(UTF_8)
            except UnicodeDecodeError:
                self.foreign += 1
                line = decode_8bit(line).encode(UTF_8)
            lines.append(line)
        return b"".join(lines)

    def _utf8(self) -> Iterator[bytes]:
        """The chunks in UTF-8, without byte order mark and with line feeds as line breaks."""
        decoder = None
        old_mac = False
        first = True
        for chunk in _with_head(self.stream):
            if first:
                first = False
                self.encoding, mark = find_encoding(chunk)
                chunk = chunk[mark:]
                if self.encoding != UTF_8:
                    decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
                # Line breaks of the classic Mac, as some spreadsheets still write them.
                plain = chunk if decoder is None else chunk.replace(b"\0", b"")
                old_mac = b"\n" not in plain and plain.count(b"\r") > 1
            if decoder is not None:
                chunk = decoder.decode(chunk).encode(UTF_8, errors="replace")
            if old_mac:
                chunk = chunk.replace(b"\r", b"\n")
            if chunk:
                yield chunk
        if decoder is not None and self.stream.problem is None:
            tail = decoder.decode(b"", final=True)
            if tail:
                yield tail.encode(UTF_8, errors="replace")


def decode_8bit(data: bytes) -> str:
    """Decodes Windows-1252; its five unused bytes become the control characters of Latin-1."""
    return data.decode("latin-1").translate(_WINDOWS_1252)


def _with_head(stream: ByteStream) -> Iterator[bytes]:
    """The chunks, of which the first has at least four bytes where the file has."""
    head = b""
    chunks = iter(stream)
    for chunk in chunks:
        head += chunk
        if len(head) >= 4:
            break
    if head:
        yield head
    yield from chunks


def _line_ends(data: bytes) -> np.ndarray:
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(data):
        ends = np.append(ends, len(data))
    return ends.astype(np.int64)

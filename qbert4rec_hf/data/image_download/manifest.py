"""What became of each address: the file `images/manifest.jsonl` of a domain folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO

from transformers.utils import logging

from ...errors import QBert4RecError
from ...files import atomic_file, make_folder

logger = logging.get_logger(__name__)

IMAGES_FOLDER = "images"
MANIFEST_FILE = f"{IMAGES_FOLDER}/manifest.jsonl"

OK = "ok"
FAILED = "failed"
# Fetched and kept, but counted as missing: see `DownloadSettings.placeholder_repeats`.
REPEATED = "placeholder"

# A folder may come from somebody else: only names that we give are believed.
_FILE_NAME = re.compile(rf"{IMAGES_FOLDER}/[0-9a-f]{{2}}/[0-9a-f]{{32}}\.(jpg|png)")


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """What became of one address.

    Args:
        url: the address as the items list it.
        status: "ok"; "failed"; or "placeholder" for a picture that came for so many addresses that
            it stands for a missing one.
        reason: of a failure, or "".
        detail: more about it, or "".
        file: path in the domain folder of what was stored, or None.
        bytes: size of what the server sent.
        sha256: of what the server sent.
        width: in pixels, as stored.
        height: likewise.
    """

    url: str
    status: str
    reason: str = ""
    detail: str = ""
    file: str | None = None
    bytes: int = 0
    sha256: str = ""
    width: int = 0
    height: int = 0


class Manifest:
    """The entries, by address; a later line of the file replaces an earlier one.

    Used as a context, `add` also writes a line for each entry at once, so that a process that is
    killed loses nothing that it had finished.

    Args:
        folder: the domain folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST_FILE
        self.entries = {entry.url: entry for entry in _read(self.path)}
        self._file: IO[str] | None = None

    def __enter__(self) -> Manifest:
        make_folder(self.path.parent)
        try:
            self._file = open(self.path, "a", encoding="utf-8")
            if not _ends_a_line(self.path):
                self._file.write("\n")
        except OSError as error:
            raise _cannot_write(self.path, error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        file, self._file = self._file, None
        if file is not None:
            # What a full disk did not take was said by `add`; closing would try it again.
            with contextlib.suppress(OSError):
                file.close()

    def add(self, entry: ManifestEntry) -> None:
        """Adds an entry and, within the context, writes it.

        Raises:
            QBert4RecError: the file cannot be written.
        """
        self.entries[entry.url] = entry
        if self._file is None:
            return
        try:
            self._file.write(_line(entry))
            self._file.flush()
        except OSError as error:
            raise _cannot_write(self.path, error) from None

    def save(self, order: Iterable[str]) -> None:
        """Writes the file anew, an entry a line.

        Args:
            order: addresses that come first; the others keep their order behind them.
        """
        urls = dict.fromkeys(url for url in order if url in self.entries)
        urls.update(dict.fromkeys(self.entries))
        with atomic_file(self.path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.writelines(_line(self.entries[url]) for url in urls)


def _read(path: Path) -> Iterator[ManifestEntry]:
    """The entries of a file that may end in the middle of a line."""
    unreadable = 0
    try:
        # Bytes: a line that was cut off may end in the middle of a character.
        with open(path, "rb") as file:
            for line in file:
                if not line.strip():
                    continue
                entry = _entry(line)
                if entry is None:
                    unreadable += 1
                else:
                    yield entry
    except FileNotFoundError:
        return
    except OSError as error:
        raise QBert4RecError(
            f"{path} cannot be read ({error.strerror or error}); check its permissions"
        ) from None
    if unreadable:
        logger.warning(f"{path}: {unreadable} unreadable lines are left out")


def _entry(line: bytes) -> ManifestEntry | None:
    try:
        values = json.loads(line)
        entry = ManifestEntry(
            **{
                field.name: values[field.name]
                for field in fields(ManifestEntry)
                if field.name in values
            }
        )
    except (ValueError, TypeError):
        return None
    texts = (entry.url, entry.status, entry.reason, entry.detail, entry.sha256)
    if not all(isinstance(text, str) for text in texts):
        return None
    if entry.status not in (OK, FAILED, REPEATED):
        return None
    if entry.status == FAILED:
        return entry if entry.file is None else None
    return entry if _FILE_NAME.fullmatch(str(entry.file)) else None


def _line(entry: ManifestEntry) -> str:
    return json.dumps(asdict(entry)) + "\n"


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _cannot_write(path: Path, error: OSError) -> QBert4RecError:
    return QBert4RecError(
        f"cannot write {path} ({error.strerror or error}); the same command goes on where it "
        "stopped once there is room"
    )

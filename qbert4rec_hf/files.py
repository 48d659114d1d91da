"""Writing folders and JSON so that nothing half-written is ever left behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .errors import QBert4RecError

_DRIVE = re.compile(r"[A-Za-z]:")


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
        QBert4RecError: the file is missing, cannot be read or is not JSON; names the file and the
            position.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise QBert4RecError(f"{path} does not exist; check the folder's name") from None
    except OSError as error:
        raise QBert4RecError(
            f"{path} cannot be read ({error.strerror or error}); check its place and permissions"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise QBert4RecError(
            f"{path} is not valid JSON ({error}); write or fetch it again"
        ) from None


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes JSON; complete, or not at all (see `atomic_file`)."""
    write_text(path, json.dumps(value, indent=2, default=_plain) + "\n")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text; complete, or not at all (see `atomic_file`)."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary name; the file under it takes the place of `path` when the block ends.

    What stood at `path` stays until then; a block that raises leaves it untouched.

    Raises:
        QBert4RecError: the file cannot be written.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise QBert4RecError(
            f"cannot write {path} ({error.strerror or error}); choose another place"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def inside(folder: str | os.PathLike, name: str, source: str | os.PathLike) -> Path:
    """The path of a file or folder that another file names; it must lie inside `folder`.

    Folders come from strangers, so a name in one of their files is never trusted to stay there.

    Args:
        folder: where the named file is.
        name: relative path as the file has it.
        source: the file that names it, for the message.

    Raises:
        QBert4RecError: an absolute path, or one that leaves the folder.
    """
    if not stays_inside(name):
        raise QBert4RecError(
            f"{source} names {name!r}, which is not inside {folder}; do not trust this folder, or "
            "give a path relative to it"
        )
    return Path(folder) / name


def stays_inside(name: str) -> bool:
    """Whether a path, joined to a folder, stays inside it on every system, links aside."""
    path = PurePosixPath(name.replace("\\", "/"))
    leaves = path.is_absolute() or ".." in path.parts or _DRIVE.match(name)
    return bool(path.parts) and not leaves and "\0" not in name


def lies_inside(path: str | os.PathLike, folder: str | os.PathLike) -> bool:
    """Whether a path below a folder is still inside it once every link is followed.

    To be asked of whatever is copied or published: a folder of somebody else's must not bring
    along other files of this machine. A download in the Hub's cache consists of links to the
    contents beside it, which belong to it.
    """
    try:
        root, target = Path(folder).resolve(), Path(path).resolve()
    except (OSError, RuntimeError):
        # Links in a circle lead nowhere.
        return False
    cached = root.parent.name == "snapshots" and target.parent == root.parents[1] / "blobs"
    return cached or target.is_relative_to(root)


def make_folder(path: str | os.PathLike) -> Path:
    """Makes a folder and its parents.

    Raises:
        QBert4RecError: the folder cannot be made or written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QBert4RecError(
            f"cannot write to {path} ({error.strerror or error}); choose another output folder"
        ) from None
    if not os.access(path, os.W_OK):
        raise QBert4RecError(
            f"cannot write to {path} (permission denied); choose another output folder"
        )
    return path


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary folder that takes the place of `path` when the block ends well.

    What stood at `path` stays until then; a block that raises leaves it untouched.

    Raises:
        QBert4RecError: the parent folder cannot be written to, or at `path` stands a file.
    """
    path = Path(path)
    if path.name in ("", ".."):
        # The folder is renamed, which does not work for the one we are in.
        raise QBert4RecError(f"{path} cannot be replaced as a whole; name a folder inside it")
    if path.exists() and not path.is_dir():
        raise QBert4RecError(f"{path} is a file; choose another output folder")
    make_folder(path.parent)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    # mkdtemp makes private folders; what we publish gets the ordinary mode.
    temporary.chmod(0o755)
    try:
        yield temporary
        old = None
        if path.exists():
            old = path.with_name(f".{path.name}.old.{os.getpid()}")
            os.replace(path, old)
        os.replace(temporary, path)
        if old is not None:
            shutil.rmtree(old)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def fingerprint(*parts: Any) -> str:
    """A short, stable name of some values: 16 hexadecimal digits of a SHA-256.

    Args:
        parts: NumPy arrays (by type, shape and bytes), bytes, or anything that JSON can hold.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        elif isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(json.dumps(part, sort_keys=True, default=_plain).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")

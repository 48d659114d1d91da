"""Picture files on this machine: copied into the domain folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from ...columns import ITEM_ID
from ...files import lies_inside, stays_inside
from ..domain_files import downloaded_files
from .engine import Engine, is_full_disk

FOLDER = "images"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
IS_URL = "regexp_matches(image, '^https?://', 'i')"
_LISTED = 50_000
_FILES_SCHEMA = pa.schema([(ITEM_ID, pa.string()), ("name", pa.string())])
_PICTURES_SCHEMA = pa.schema([(ITEM_ID, pa.string()), ("files", pa.list_(pa.string()))])


class Pictures:
    """Copies the pictures of the items that are kept.

    Args:
        folder: the domain folder that is being written.
        images: the user's folder with pictures named by item id; None where there is none.
        metadata_folders: folder of each metadata file, by its number: paths in metadata are
            relative to `images` or to these.
    """

    def __init__(
        self, folder: Path, images: Path | None, metadata_folders: dict[int, Path]
    ) -> None:
        self.copied = 0
        self.missing = 0
        self.unused = 0
        self._folder = folder
        self._images = images
        self._metadata_folders = metadata_folders
        self._targets: dict[str, Path] = {}

    def copy(self, engine: Engine) -> None:
        """Makes the table `pictures` (item_id, files) of what was copied.

        Args:
            engine: with the tables `kept_items` and `metadata`.
        """
        files = self._list_files(engine)
        query = (
            "SELECT item_id, place, image, file FROM ("
            f"SELECT item_id, -1 AS place, name AS image, NULL AS file FROM picture_files "
            "UNION ALL SELECT item_id, unnest(range(len(images))), unnest(images), file "
            "FROM metadata) SEMI JOIN kept_items USING (item_id) "
            f"WHERE NOT {IS_URL} ORDER BY item_id, place, image"
        )
        path = engine.new_file("pictures")
        with pq.ParquetWriter(path, _PICTURES_SCHEMA) as writer:
            for batch in self._copied(engine, query):
                writer.write_batch(batch)
        engine.attach("pictures", [path])
        self.unused = files - engine.value(
            "SELECT count(*) FROM picture_files SEMI JOIN kept_items USING (item_id)"
        )
        engine.drop("picture_files")

    def table(self) -> dict[str, int]:
        """What there is to tell: name -> number."""
        table = {"pictures copied": self.copied} if self.copied else {}
        if self.missing:
            table["paths of pictures that lead to no picture"] = self.missing
        if self.unused:
            table["picture files of no item that is kept"] = self.unused
        return table

    def _list_files(self, engine: Engine) -> int:
        """Makes the table `picture_files` (item_id, name)."""
        path = engine.new_file("picture_files")
        count = 0
        with pq.ParquetWriter(path, _FILES_SCHEMA) as writer:
            for names in self._names():
                stems = [name.rpartition(".")[0] for name in names]
                writer.write_batch(pa.record_batch([stems, names], schema=_FILES_SCHEMA))
                count += len(names)
        engine.attach("picture_files", [path])
        return count

    def _names(self) -> Iterator[list[str]]:
        names: list[str] = []
        if self._images is not None:
            with os.scandir(self._images) as entries:
                for entry in entries:
                    if _is_picture(entry.name) and entry.is_file():
                        names.append(entry.name)
                    if len(names) == _LISTED:
                        yield names
                        names = []
        yield names

    def _copied(self, engine: Engine, query: str) -> Iterator[pa.RecordBatch]:
        rows = (
            row
            for batch in engine.batches(query)
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        )
        batch: list[tuple[str, list[str]]] = []
        for item_id, entries in groupby(rows, key=lambda row: row[0]):
            files = [self._copy_one(image, file) for _, _, image, file in entries]
            found = list(dict.fromkeys(file for file in files if file is not None))
            if found:
                batch.append((item_id, found))
            if len(batch) == _LISTED:
                yield _batch(batch)
                batch = []
        yield _batch(batch)

    def _copy_one(self, image: str, file: int | None) -> str | None:
        """Copies a picture; gives its path in the domain folder, or None where there is none."""
        bases = [self._images] if file is None else [self._images, self._metadata_folders.get(file)]
        for base in bases:
            if base is None:
                continue
            source = _inside(base, image)
            copied = None if source is None else self._copy_file(source, image)
            if copied is not None:
                return copied
        self.missing += 1
        return None

    def _copy_file(self, source: Path, image: str) -> str | None:
        parts = PurePosixPath(image).parts
        parts = parts[1:] if parts[0] == FOLDER and len(parts) > 1 else parts
        name = PurePosixPath(FOLDER, *parts)
        number = 1
        while self._targets.get(str(name), source) != source:
            number += 1
            name = name.with_name(f"{PurePosixPath(*parts).stem}-{number}{name.suffix}")
        if str(name) not in self._targets:
            target = self._folder / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            except OSError as error:
                if is_full_disk(error):
                    raise
                # A picture that cannot be read is missing, and no reason to stop.
                with suppress(OSError):
                    target.unlink()
                return None
            self._targets[str(name)] = source
            self.copied += 1
        return str(name)


def keep_downloads(former: Path, folder: Path) -> None:
    """Takes what was downloaded into a domain folder over into the one that replaces it.

    The items of the new one have addresses again; the next download finds their pictures here
    and asks for none of them twice.

    Args:
        former: the folder that is being replaced; may be absent.
        folder: the domain folder that is being written.
    """
    for name in downloaded_files(former):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(former / name, target)
        except OSError:
            # Not every file system has links.
            shutil.copyfile(former / name, target)


def _is_picture(name: str) -> bool:
    """Whether a file is taken for a picture, by its name; an id cannot be in odd bytes."""
    if not name.lower().endswith(SUFFIXES) or "\\" in name:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _inside(base: Path, image: str) -> Path | None:
    """The file that a path in metadata names, if it is a picture below `base`: data from elsewhere
    must not bring other files of this machine into a folder that may be published."""
    if not stays_inside(image) or not _is_picture(image):
        return None
    try:
        source = base / image
        return source if lies_inside(source, base) and source.is_file() else None
    except OSError:
        # A name that is too long, say.
        return None


def _batch(rows: list[tuple[str, list[str]]]) -> pa.RecordBatch:
    columns = [[item_id for item_id, _ in rows], [files for _, files in rows]]
    return pa.record_batch(columns, schema=_PICTURES_SCHEMA)

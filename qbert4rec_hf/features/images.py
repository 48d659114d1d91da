"""Opening the pictures of items, whatever shape they are in."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
from transformers.utils import logging

from ..columns import IMAGES, ITEM_ID
from ..errors import QBert4RecError
from ..files import fingerprint
from ..pictures import read_image
from .progress import progress_bar

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.get_logger(__name__)

_NAMED_IN_WARNINGS = 5
# Pictures that are read at a time: disks and networks serve several sooner than one by one.
READERS = 4
# Rows that a reader takes at a time: handing over each by itself costs more than a cached picture.
_ROWS_AT_A_TIME = 64
# Seconds before a bar appears over work that is quick for most domains.
_PATIENCE = 2.0
OnCorrupt = Literal["skip", "error"]


@dataclass
class ImageReader:
    """Opens the pictures of items and keeps count of those that could not be opened.

    Args:
        root: folder that paths are relative to; None if there is none.
        max_images: pictures an item at most; later ones are left out.
        on_corrupt: "skip" counts a picture that cannot be opened as missing; "error" stops.
    """

    root: Path | None
    max_images: int
    on_corrupt: OnCorrupt = "skip"
    unreadable: list[str] = field(default_factory=list)
    urls: int = 0

    def paths(self, items: pd.DataFrame) -> list[list[str]]:
        """Entries of the images column that will be opened, an item a list."""
        if IMAGES not in items.columns:
            return [[] for _ in range(len(items))]
        return [list(images)[: self.max_images] for images in items[IMAGES]]

    def open(self, item_id: str, image: str) -> Image | None:
        """Opens a picture; None if it cannot be opened.

        Raises:
            QBert4RecError: it cannot be opened and `on_corrupt` is "error".
        """
        if "://" in image:
            self.urls += 1
            return None
        path = self.file(image)
        try:
            return read_image(path)
        except OSError as error:
            reason = "it does not exist" if isinstance(error, FileNotFoundError) else str(error)
            if self.on_corrupt == "error":
                raise QBert4RecError(
                    f"image {path} of item {item_id} cannot be opened ({reason}); replace the "
                    "file, or set on_corrupt to skip"
                ) from None
            self.unreadable.append(image)
            return None

    def file(self, image: str) -> Path:
        """The file of an entry of the images column."""
        return Path(image) if self.root is None else Path(self.root) / image

    def report(self) -> None:
        """Warns of the pictures that were left out, with their number and some names."""
        if self.unreadable:
            names = ", ".join(self.unreadable[:_NAMED_IN_WARNINGS])
            more = len(self.unreadable) - _NAMED_IN_WARNINGS
            logger.warning(
                f"{len(self.unreadable)} images are missing or cannot be opened and are left out: "
                f"{names}{f' and {more} more' if more > 0 else ''}"
            )
        if self.urls:
            logger.warning(
                f"{self.urls} images are addresses on the web, which are not fetched; "
                "`qbert4rec images DOMAIN` downloads them into the domain folder"
            )

    def input_fingerprint(self, items: pd.DataFrame) -> str:
        """Names the bytes of all pictures of these items.

        Reads every one; a progress bar appears where that takes longer than a moment.
        """
        rows = self.paths(items)
        seen: list[list[str]] = []
        bar = progress_bar(True, len(rows), "looking for changed pictures", delay=_PATIENCE)
        with bar as advance, ThreadPoolExecutor(READERS) as pool:
            size = _ROWS_AT_A_TIME
            blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
            for contents in pool.map(self._contents, blocks):
                seen += contents
                advance(len(contents))
        return fingerprint(seen)

    def _contents(self, rows: list[list[str]]) -> list[list[str]]:
        return [[self._content(image) for image in images] for images in rows]

    def _content(self, image: str) -> str:
        """The digest of a picture's bytes; its name, where it cannot be read."""
        if "://" in image:
            return image
        try:
            return hashlib.sha256(self.file(image).read_bytes()).hexdigest()
        except (OSError, ValueError):
            # Missing, a folder, a name that no file can have: encoding sees to that.
            return image


def item_names(items: pd.DataFrame) -> list[str]:
    """Ids of the items, or their positions in a table without ids."""
    return (
        items[ITEM_ID].tolist() if ITEM_ID in items.columns else list(map(str, range(len(items))))
    )

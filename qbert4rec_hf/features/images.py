"""Opening the pictures of items, whatever shape they are in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
from transformers.utils import logging

from ..columns import IMAGES, ITEM_ID
from ..errors import QBert4RecError
from ..files import fingerprint
from ..pictures import read_image

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.get_logger(__name__)

_NAMED_IN_WARNINGS = 5
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
        """Names the bytes of all pictures of these items."""
        seen = []
        for images in self.paths(items):
            row = []
            for image in images:
                path = self.file(image)
                exists = "://" not in image and path.is_file()
                row.append(hashlib.sha256(path.read_bytes()).hexdigest() if exists else image)
            seen.append(row)
        return fingerprint(seen)


def item_names(items: pd.DataFrame) -> list[str]:
    """Ids of the items, or their positions in a table without ids."""
    return (
        items[ITEM_ID].tolist() if ITEM_ID in items.columns else list(map(str, range(len(items))))
    )

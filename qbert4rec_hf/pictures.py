"""Decoding pictures of any kind to plain RGB."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile


class TooManyPixels(OSError):
    """A picture's header announces more pixels than are allowed."""


def read_image(
    source: str | os.PathLike | BinaryIO,
    *,
    max_pixels: int | None = None,
    max_side: int | None = None,
    formats: Sequence[str] | None = None,
) -> Image:
    """Opens a picture as RGB: turned as its EXIF data says, transparency on white.

    CMYK, palette and grayscale pictures of any depth are converted; of an animation the first
    frame is taken.

    Args:
        source: a path or an open file.
        max_pixels: pictures with more are refused before they are decoded; None leaves it to
            Pillow's own limit.
        max_side: pictures with a longer side are made smaller, their shape kept.
        formats: Pillow's names of the formats that are tried; all by default.

    Raises:
        TooManyPixels: the picture has more than `max_pixels`.
        OSError: the file is missing, cut off, or no picture.
    """
    with _opened(source, formats) as image:
        width, height = image.size
        if max_pixels is not None and width * height > max_pixels:
            raise TooManyPixels(f"{width} x {height} pixels")
        if max_side is not None:
            # A JPEG decoder can shrink while it reads; twice the side leaves the rest to a better
            # filter.
            image.draft(None, (2 * max_side, 2 * max_side))
        image.load()
        return _plain(image, max_side)


def image_size(
    source: str | os.PathLike | BinaryIO, *, formats: Sequence[str] | None = None
) -> tuple[int, int]:
    """Width and height that a picture's header announces, before any turning.

    Raises:
        TooManyPixels: more than Pillow would ever decode.
        OSError: the file is missing, or no picture.
    """
    with _opened(source, formats) as image:
        return image.size


@contextmanager
def _opened(
    source: str | os.PathLike | BinaryIO, formats: Sequence[str] | None
) -> Iterator[ImageFile]:
    """Opens a picture; whatever goes wrong in the block becomes an OSError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source, formats=formats) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise TooManyPixels(str(error)) from error
    except UnidentifiedImageError:
        # Pillow's message names the Python object that it read.
        raise OSError("cannot identify the format of the picture") from None
    except OSError:
        raise
    except Exception as error:
        # For malformed files Pillow's readers raise nearly every kind of exception.
        raise OSError(str(error) or type(error).__name__) from error


def _plain(image: Image, max_side: int | None) -> Image:
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        # Pillow clips 16-bit grayscale at 255 instead of scaling it.
        image = image.convert("F").point(lambda value: value / 256, "F").convert("L")
        # It would name a 16-bit level.
        image.info.pop("transparency", None)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
    else:
        image = image.convert("RGB")
    if max_side is not None and max(image.size) > max_side:
        # Before the background is put in: the copies that this makes are then small ones.
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image).convert("RGB")
    return image

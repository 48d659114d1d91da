"""Makes what a server sent into the file that the domain keeps."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...pictures import TooManyPixels, image_size, read_image
from .failure import BROKEN, PLACEHOLDER, TOO_MANY_PIXELS, DownloadFailure
from .formats import FORMATS, HEAD_BYTES, LOSSLESS, picture_format
from .settings import DownloadSettings

if TYPE_CHECKING:
    from PIL.Image import Image

# A progressive JPEG is read once for each scan; ordinary ones have about ten. A file of a few
# kilobytes can hold thousands, each over all pixels.
_MAX_SCANS = 100
_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class StoredPicture:
    """A picture as it is stored.

    Args:
        data: the file.
        suffix: ".jpg" or ".png".
        width: in pixels, as stored.
        height: likewise.
    """

    data: bytes
    suffix: str
    width: int
    height: int


def stored_picture(body: bytes, settings: DownloadSettings) -> StoredPicture:
    """Decodes a picture to RGB and encodes it anew, without whatever else the file held.

    It becomes a JPEG, or a PNG where the source was lossless and the PNG is the smaller file.

    Raises:
        DownloadFailure: the picture is broken, too large, or the placeholder of a missing one.
    """
    kind = picture_format(body[:HEAD_BYTES])
    try:
        width, height = image_size(io.BytesIO(body), formats=_known(FORMATS))
        if min(width, height) < settings.min_side:
            raise DownloadFailure(PLACEHOLDER, f"{width} x {height} pixels")
        if kind == "JPEG" and body.count(_SCAN) > _MAX_SCANS:
            raise DownloadFailure(BROKEN, f"more than {_MAX_SCANS} scans")
        image = read_image(
            io.BytesIO(body),
            max_pixels=settings.max_pixels,
            max_side=settings.max_side,
            formats=_known(FORMATS),
        )
    except TooManyPixels as error:
        raise DownloadFailure(TOO_MANY_PIXELS, str(error)) from None
    except OSError as error:
        raise DownloadFailure(BROKEN, " ".join(str(error).split())[:200]) from None
    # Comments and colour profiles, which Pillow would write again.
    image.info = {}
    jpeg = _encoded(image, "JPEG", quality=settings.jpeg_quality)
    if kind in LOSSLESS:
        png = _encoded(image, "PNG")
        if len(png) < len(jpeg):
            return StoredPicture(png, ".png", *image.size)
    return StoredPicture(jpeg, ".jpg", *image.size)


def _known(formats: tuple[str, ...]) -> list[str]:
    """Those formats that this Pillow has."""
    from PIL import Image

    Image.init()
    return [name for name in formats if name in Image.OPEN]


def _encoded(image: Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()

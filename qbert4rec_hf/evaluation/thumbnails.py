"""Small pictures that stand inside a page."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

from transformers.utils import logging

logger = logging.get_logger(__name__)

SIZE = 96
_MAX_PIXELS = 50_000_000


def thumbnail_uri(image: str | os.PathLike | bytes | None, size: int = SIZE) -> str | None:
    """A picture as a `data:` URI of a JPEG within `size` by `size` pixels.

    Args:
        image: path or bytes of a picture.
        size: longest side.

    Returns:
        `None` where there is no picture, it is a URL, or it cannot be read; the last is warned of.
    """
    if image is None or (isinstance(image, str) and "://" in image):
        return None
    from PIL import Image

    source = io.BytesIO(image) if isinstance(image, bytes) else Path(image)
    try:
        with Image.open(source) as picture:
            if picture.width * picture.height > _MAX_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels")
            # Lets the JPEG decoder shrink while it reads.
            picture.draft("RGB", (2 * size, 2 * size))
            small = picture.convert("RGBA")
        small.thumbnail((size, size))
        flat = Image.new("RGB", small.size, "white")
        flat.paste(small, mask=small.getchannel("A"))
        buffer = io.BytesIO()
        flat.save(buffer, format="JPEG", quality=82, optimize=True)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        name = "a picture" if isinstance(image, bytes) else image
        logger.warning(f"{name} cannot be shown in the report ({error})")
        return None
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()

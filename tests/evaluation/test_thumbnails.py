from __future__ import annotations

import base64
import io
import logging

import numpy as np
import pytest
from PIL import Image

from qbert4rec_hf.evaluation.thumbnails import SIZE, thumbnail_uri


def decode(uri: str) -> Image.Image:
    prefix = "data:image/jpeg;base64,"
    assert uri.startswith(prefix)
    return Image.open(io.BytesIO(base64.b64decode(uri[len(prefix) :])))


def as_bytes(picture: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=form)
    return buffer.getvalue()


def test_large_pictures_shrink_within_the_square(tmp_path):
    path = tmp_path / "wide.jpg"
    Image.new("RGB", (800, 400), (200, 30, 30)).save(path)
    small = decode(thumbnail_uri(path))
    assert small.size == (SIZE, SIZE // 2)
    assert np.allclose(np.asarray(small)[10, 10], (200, 30, 30), atol=12)


def test_small_pictures_keep_their_size():
    assert decode(thumbnail_uri(as_bytes(Image.new("RGB", (20, 10))))).size == (20, 10)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK"])
def test_any_mode_becomes_a_jpeg(mode):
    form = "TIFF" if mode == "CMYK" else "PNG"
    assert decode(thumbnail_uri(as_bytes(Image.new(mode, (30, 30)), form))).mode == "RGB"


def test_transparent_becomes_white():
    small = decode(thumbnail_uri(as_bytes(Image.new("RGBA", (30, 30), (0, 0, 0, 0)))))
    assert np.asarray(small).min() > 245


def test_absent_and_remote_pictures_are_none():
    assert thumbnail_uri(None) is None
    assert thumbnail_uri("https://example.org/a.jpg") is None


@pytest.mark.parametrize("image", ["missing.png", b"", b"not a picture", b"\x89PNG\r\n\x1a\n123"])
def test_a_picture_that_cannot_be_read_is_warned_of(image, caplog):
    logger = logging.getLogger("qbert4rec_hf.evaluation.thumbnails")
    logger.addHandler(caplog.handler)
    try:
        assert thumbnail_uri(image) is None
    finally:
        logger.removeHandler(caplog.handler)
    assert "cannot be shown" in caplog.text

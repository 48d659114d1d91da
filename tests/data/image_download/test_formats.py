from __future__ import annotations

import io

import pytest
from PIL import Image, features

from qbert4rec_hf.data.image_download.formats import FORMATS, HEAD_BYTES, picture_format


@pytest.mark.parametrize("kind", FORMATS)
def test_what_pillow_writes_is_recognised(kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, format=kind)
    assert picture_format(buffer.getvalue()[:HEAD_BYTES]) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xd8",
        b"BM as letters",
        b"<html>",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypmp42",
        b"%!PS-Adobe-3.0 EPSF",
        b"II*\0\x08\0\0\0",
        b"8BPS\0\1",
    ],
)
def test_all_else_is_not(head):
    assert picture_format(head) is None

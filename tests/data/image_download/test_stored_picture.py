from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from qbert4rec_hf.data.image_download.failure import DownloadFailure
from qbert4rec_hf.data.image_download.settings import DownloadSettings
from qbert4rec_hf.data.image_download.stored_picture import stored_picture

SETTINGS = DownloadSettings()


def body(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def noise(size, mode="RGB"):
    return Image.effect_noise(size, 80).convert(mode)


def stored(data, **settings):
    found = stored_picture(data, DownloadSettings(**settings))
    image = Image.open(io.BytesIO(found.data))
    assert image.size == (found.width, found.height)
    assert image.format == {".jpg": "JPEG", ".png": "PNG"}[found.suffix]
    assert image.mode == "RGB"
    image.load()
    return image


def failure(data, **settings):
    with pytest.raises(DownloadFailure) as caught:
        stored_picture(data, DownloadSettings(**settings))
    assert "\n" not in caught.value.detail
    return caught.value.reason


def png(width, height, data):
    """A PNG of these compressed grayscale rows, whatever the header says about them."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_odd_pictures_become_plain_ones():
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "blue")]
    animated = body(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert stored(animated).getpixel((0, 0)) == (255, 0, 0)
    red, green, blue = stored(body(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG")).getpixel(
        (0, 0)
    )
    assert red > 200 and green < 60 and blue < 60
    deep = Image.fromarray(np.full((40, 40), 128 * 256, np.uint16))
    assert stored(body(deep, "PNG")).getpixel((0, 0)) == (128, 128, 128)
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    assert stored(body(clear, "PNG")).getpixel((0, 0)) == (255, 255, 255)
    turned = Image.new("RGB", (40, 20), "white")
    exif = turned.getexif()
    exif[0x0112] = 6
    assert stored(body(turned, "JPEG", exif=exif)).size == (20, 40)


def test_photographs_become_jpeg_and_drawings_stay_exact():
    photograph = noise((300, 200))
    assert stored(body(photograph, "PNG")).format == "JPEG"
    assert stored(body(photograph, "JPEG")).format == "JPEG"
    drawing = Image.new("RGB", (300, 200), "white")
    drawing.paste((200, 30, 40), (20, 20, 120, 120))
    kept = stored(body(drawing, "PNG"))
    assert kept.format == "PNG"
    assert np.array_equal(np.asarray(kept), np.asarray(drawing))


def test_the_side_is_bounded():
    assert stored(body(noise((900, 300)), "JPEG"), max_side=128).size == (128, 43)
    assert stored(body(noise((90, 30)), "JPEG"), max_side=128).size == (90, 30)


def test_nothing_but_the_picture_is_stored():
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Author", "somebody")
    drawing = Image.new("RGB", (64, 64), "white")
    for data in (
        body(drawing, "PNG", pnginfo=text, icc_profile=b"profile") + b"<script>",
        body(noise((64, 64)), "JPEG", comment=b"somebody", icc_profile=b"profile") + b"<script>",
    ):
        found = stored_picture(data, SETTINGS).data
        for left in (b"somebody", b"profile", b"<script>"):
            assert left not in found


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 1)])
@pytest.mark.parametrize("kind", ["GIF", "PNG", "JPEG"])
def test_tiny_pictures_are_placeholders(size, kind):
    assert failure(body(Image.new("RGB", size), kind)) == "placeholder"
    assert stored(body(Image.new("RGB", (4, 4)), kind)).size == (4, 4)


def test_bombs_are_not_decoded(monkeypatch):
    # 900 million pixels in less than a megabyte; the checks must not depend on decoding a part.
    bomb = png(30_000, 30_000, zlib.compress(b"\0" * 30_001) * 1)
    assert failure(bomb) == "too many pixels"
    data = png(7000, 7000, zlib.compress(bytes(7001) * 7000))
    assert len(data) < 100_000
    assert failure(data) == "too many pixels"
    assert stored(data, max_pixels=49_000_000).size == (512, 512)
    # A JPEG whose header announces the largest picture there is.
    jpeg = bytearray(body(noise((64, 64)), "JPEG"))
    place = jpeg.index(b"\xff\xc0")
    jpeg[place + 5 : place + 9] = struct.pack(">HH", 65_000, 65_000)
    assert failure(bytes(jpeg)) == "too many pixels"


def test_thousands_of_scans_are_not_read():
    data = body(noise((64, 64)), "JPEG", progressive=True)
    assert stored(data).size == (64, 64)
    start = data.index(b"\xff\xda")
    scan = data[start : data.index(b"\xff", start + 12)]
    assert failure(data[:start] + scan * 200 + data[start:]) == "broken picture"


def test_broken_pictures():
    for kind in ("JPEG", "PNG", "GIF", "WEBP"):
        data = body(noise((200, 200)), kind)
        assert failure(data[: len(data) // 2]) == "broken picture", kind
        assert failure(data[:20]) == "broken picture", kind
    data = bytearray(body(noise((64, 64)), "PNG"))
    data[100] ^= 255
    assert failure(bytes(data)) == "broken picture"
    # A file of one kind under the first bytes of another.
    assert failure(b"\xff\xd8\xff" + body(noise((64, 64)), "PNG")) == "broken picture"


def test_random_damage_never_raises_anything_else():
    generator = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP"):
        whole = np.frombuffer(body(noise((32, 32)), kind), np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            places = generator.integers(0, len(damaged), 8)
            damaged[places] = generator.integers(0, 256, 8)
            with contextlib.suppress(DownloadFailure):
                stored_picture(damaged.tobytes(), DownloadSettings(max_pixels=1_000_000))

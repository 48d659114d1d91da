from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from qbert4rec_hf.pictures import TooManyPixels, image_size, read_image


def file_of(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    buffer.seek(0)
    return buffer


def pixel(source, place=(0, 0)):
    image = read_image(source)
    assert image.mode == "RGB"
    return image.getpixel(place)


def test_every_mode_becomes_rgb(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == (255, 255, 255)
    assert pixel(file_of(Image.new("LA", (4, 4), (0, 255)), "PNG")) == (0, 0, 0)
    red, green, blue = pixel(file_of(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert red > 200 and green < 60 and blue < 60
    deep = Image.fromarray(np.full((4, 4), 128 * 256, np.uint16))
    assert pixel(file_of(deep, "PNG")) == (128, 128, 128)
    # The transparent level of 16 bits is no level of 8.
    assert pixel(file_of(deep, "PNG", transparency=40_000)) == (128, 128, 128)


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    for kind in ("GIF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        file = file_of(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert pixel(file) == (255, 0, 0)


def test_large_pictures_are_made_smaller_and_keep_their_shape():
    image = Image.new("RGB", (800, 400), "red")
    image.paste((0, 0, 255), (400, 0, 800, 400))
    for kind in ("JPEG", "PNG"):
        small = read_image(file_of(image, kind), max_side=100)
        assert small.size == (100, 50)
        left, right = small.getpixel((10, 25)), small.getpixel((90, 25))
        assert left[0] > 240 and left[2] < 15 and right[2] > 240 and right[0] < 15
        assert read_image(file_of(image, kind), max_side=800).size == (800, 400)
    assert read_image(file_of(image.resize((600, 5)), "PNG"), max_side=100).size == (100, 1)


def test_a_turned_picture_is_bounded_by_its_longest_side():
    image = Image.new("RGB", (800, 400), "white")
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    file = file_of(image, "JPEG", exif=exif)
    assert read_image(file, max_side=100).size == (50, 100)
    assert image_size(file) == (800, 400)


def test_transparency_of_a_large_picture_goes_on_white():
    # Black where nothing is seen: a filter that does not know that makes dark borders.
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (200, 0, 400, 400))
    small = read_image(file_of(image, "PNG"), max_side=50)
    values = np.asarray(small)
    assert tuple(values[25, 0]) == (255, 255, 255) and tuple(values[25, 49]) == (255, 0, 0)
    assert values[..., 0].min() >= 250


def test_pixels_are_counted_before_they_are_decoded():
    file = file_of(Image.new("RGB", (100, 50)), "PNG")
    assert read_image(file, max_pixels=5000).size == (100, 50)
    with pytest.raises(TooManyPixels, match="100 x 50"):
        read_image(file, max_pixels=4999)
    # The header alone decides: no pixels follow it.
    header = io.BytesIO(file.getvalue()[:44])
    with pytest.raises(TooManyPixels):
        read_image(header, max_pixels=4999)


def test_other_formats_can_be_kept_out():
    file = file_of(Image.new("RGB", (8, 8)), "TIFF")
    assert read_image(file).size == (8, 8)
    with pytest.raises(OSError, match="cannot identify"):
        read_image(file, formats=["JPEG", "PNG"])


@pytest.mark.parametrize("error", [RuntimeError("x"), MemoryError(), KeyError("x"), SyntaxError()])
def test_whatever_a_reader_raises_becomes_one_kind_of_error(monkeypatch, error):
    def load(self):
        raise error

    from PIL.PngImagePlugin import PngImageFile

    monkeypatch.setattr(PngImageFile, "load", load)
    with pytest.raises(OSError, match="."):
        read_image(file_of(Image.new("RGB", (8, 8)), "PNG"))

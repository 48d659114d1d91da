from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features import images
from qbert4rec_hf.features.images import ImageReader, read_image
from qbert4rec_hf.features.progress import no_bars
from qbert4rec_hf.files import fingerprint


def pixel(path):
    image = read_image(path)
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


def test_transparency_goes_on_white(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == (255, 255, 255)
    Image.new("LA", (4, 4), (0, 255)).save(tmp_path / "b.png")
    assert pixel(tmp_path / "b.png") == (0, 0, 0)
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 255] * 256)
    palette.save(tmp_path / "c.png", transparency=0)
    assert pixel(tmp_path / "c.png") == (255, 255, 255)


def test_cmyk_and_grayscale(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = pixel(tmp_path / "a.jpg")
    assert red > 200 and green < 60 and blue < 60
    Image.new("L", (4, 4), 128).save(tmp_path / "b.png")
    assert pixel(tmp_path / "b.png") == (128, 128, 128)
    Image.fromarray(np.full((4, 4), 128 * 256, np.uint16)).save(tmp_path / "c.png")
    assert pixel(tmp_path / "c.png") == (128, 128, 128)
    Image.new("1", (4, 4), 1).save(tmp_path / "d.png")
    assert pixel(tmp_path / "d.png") == (255, 255, 255)


def test_exif_turns_the_picture(tmp_path):
    image = Image.new("RGB", (8, 4), "white")
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").size == (4, 8)


def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixel(tmp_path / "a.gif") == (255, 0, 0)


def broken_files(folder):
    Image.effect_noise((64, 64), 50).convert("RGB").save(folder / "whole.jpg")
    cut = (folder / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    (folder / "text.jpg").write_text("not found")
    (folder / "empty.png").write_bytes(b"")
    return ["cut.jpg", "text.jpg", "empty.png", "missing.png"]


def test_broken_files_are_counted_and_named(tmp_path, caplog):
    reader = ImageReader(tmp_path, 4)
    for name in broken_files(tmp_path):
        assert reader.open("I1", name) is None
    assert reader.open("I1", "whole.jpg") is not None
    assert reader.open("I1", "https://shop.example/a.jpg") is None
    reader.report()
    assert "4 images are missing or cannot be opened" in caplog.text
    assert "cut.jpg" in caplog.text and "missing.png" in caplog.text
    assert "1 images are addresses on the web" in caplog.text


def test_broken_files_stop_when_asked_to(tmp_path):
    reader = ImageReader(tmp_path, 4, "error")
    for name in broken_files(tmp_path):
        with pytest.raises(QBert4RecError, match=f"{name} of item I1 cannot be opened") as caught:
            reader.open("I1", name)
        assert "\n" not in str(caught.value)


def test_the_fingerprint_needs_no_picture_that_can_be_read(tmp_path, monkeypatch):
    items = pd.DataFrame({"item_id": ["a"], "images": [["x" * 10_000, "secret.png", "."]]})
    (tmp_path / "secret.png").touch()
    read = Path.read_bytes

    def denied(path):
        if path.name == "secret.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    print_ = ImageReader(tmp_path, 4).input_fingerprint(items)
    assert print_ == fingerprint(items["images"].tolist())


def test_the_fingerprint_of_many_pictures_is_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_ROWS_AT_A_TIME", 3)
    names = [[f"{row}.png"] * (row % 3) for row in range(10)]
    for row in range(0, 10, 2):
        (tmp_path / f"{row}.png").write_bytes(bytes([row]))
    expected = [
        [name if row % 2 else hashlib.sha256(bytes([row])).hexdigest() for name in row_names]
        for row, row_names in enumerate(names)
    ]
    items = pd.DataFrame({"images": names})
    assert ImageReader(tmp_path, 4).input_fingerprint(items) == fingerprint(expected)


def test_looking_for_changed_pictures_shows_a_bar_when_it_takes_long(tmp_path, monkeypatch, capsys):
    items = pd.DataFrame({"images": [["x.png"]]})
    ImageReader(tmp_path, 4).input_fingerprint(items)
    assert "looking for changed pictures" not in capsys.readouterr().err
    monkeypatch.setattr(images, "_PATIENCE", 0.0)
    ImageReader(tmp_path, 4).input_fingerprint(items)
    assert "looking for changed pictures" in capsys.readouterr().err
    with no_bars(hidden=True):
        ImageReader(tmp_path, 4).input_fingerprint(items)
    assert "looking for changed pictures" not in capsys.readouterr().err


def test_the_fingerprint_follows_the_bytes(tmp_path):
    items = pd.DataFrame({"item_id": ["a"], "images": [["x.png", "y.png"]]})
    prints = set()
    for color in ("red", "blue"):
        Image.new("RGB", (4, 4), color).save(tmp_path / "x.png")
        prints.add(ImageReader(tmp_path, 4).input_fingerprint(items))
    Image.new("RGB", (4, 4), "red").save(tmp_path / "y.png")
    prints.add(ImageReader(tmp_path, 4).input_fingerprint(items))
    # A picture that is not used does not matter.
    one = ImageReader(tmp_path, 1).input_fingerprint(items)
    (tmp_path / "y.png").unlink()
    assert ImageReader(tmp_path, 1).input_fingerprint(items) == one
    assert len(prints) == 3

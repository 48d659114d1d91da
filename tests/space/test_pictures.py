from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image
from storefront.pictures import SIZE, Pictures, thumbnail, tile


def test_a_picture_becomes_a_small_one(tmp_path):
    Image.new("RGB", (3 * SIZE, 2 * SIZE), "teal").save(tmp_path / "a.png")
    kind, data = Pictures({"a": ["a.png"]}, tmp_path).uri("a").split(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (SIZE, round(SIZE * 2 / 3))


def test_the_first_picture_that_can_be_read_is_shown(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    pictures = Pictures(
        {"a": ["missing.png", "broken.png", "good.png"], "b": ["broken.png"]}, tmp_path
    )
    assert pictures.uri("a") and pictures.uri("b") is None and pictures.uri("c") is None
    assert thumbnail(tmp_path / "broken.png") is None and thumbnail(tmp_path) is None


def test_nothing_outside_the_folder_is_shown(tmp_path):
    inside = tmp_path / "domain"
    inside.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    names = ["../secret.png", str(tmp_path / "secret.png"), "link.png"]
    for name in names:
        assert Pictures({"a": [name]}, inside).uri("a") is None


@pytest.mark.parametrize("codes", [[0], [3, 1], [63, 63, 63, 63], [1, 2, 3, 4, 5, 6, 7, 8]])
def test_a_tile_is_drawn_for_any_codes(codes):
    drawn = tile(codes, [64] * len(codes))
    root = ElementTree.fromstring(drawn)
    assert root.tag == "svg" and len(root) == 5
    assert drawn == tile(codes, [64] * len(codes))
    assert drawn != tile([codes[0] ^ 1, *codes[1:]], [64] * len(codes))

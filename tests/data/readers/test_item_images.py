from __future__ import annotations

import json

import pytest

from qbert4rec_hf.data.readers.item_images import (
    images_2014,
    images_2018,
    images_2023,
    images_of,
)

URL = "https://images-na.ssl-images-amazon.com/images/I/"


def test_2014_has_one_and_sometimes_a_placeholder():
    assert images_2014({"imUrl": f"{URL}41K._SY300_.jpg"}) == [f"{URL}41K._SY300_.jpg"]
    placeholder = (
        "http://g-ecx.images-amazon.com/images/G/01/x-site/icons/no-img-sm._CB192198896_.gif"
    )
    assert images_2014({"imUrl": placeholder}) == []
    assert images_2014({}) == []


@pytest.mark.parametrize(
    ("large", "small", "images"),
    [
        (["a.jpg", "b.jpg"], ["a._SX38_.jpg", "b._SX38_.jpg"], ["a.jpg", "b.jpg"]),
        ([], ["a._SX38_.jpg"], ["a._SX38_.jpg"]),
        (["a.jpg"], ["a._SX38_.jpg", "c._SX38_.jpg"], ["a.jpg", "c._SX38_.jpg"]),
        (["b.jpg", "a.jpg", "b.jpg"], [], ["b.jpg", "a.jpg"]),
        (None, "a._SX38_.jpg", ["a._SX38_.jpg"]),
        ("", None, []),
    ],
)
def test_2018_takes_the_large_ones_once_and_in_order(large, small, images):
    def full(names):
        return [URL + name for name in names] if isinstance(names, list) else names and URL + names

    record = {"imageURLHighRes": full(large), "imageURL": full(small)}
    assert images_2018(record) == full(images)


PICTURES = [
    {"thumb": "t0", "large": "l0", "variant": "MAIN", "hi_res": "h0"},
    {"thumb": "t1", "large": "l1", "variant": "PT01", "hi_res": None},
    {"thumb": "t2", "large": "None", "variant": "PT02", "hi_res": ""},
    {"thumb": "t3", "large": "l0", "variant": "PT03", "hi_res": "h0"},
]
COLUMNS = {key: [picture[key] for picture in PICTURES] for key in PICTURES[0]}


@pytest.mark.parametrize("images", [PICTURES, COLUMNS, json.dumps(PICTURES), json.dumps(COLUMNS)])
def test_2023_in_the_form_of_its_files_and_of_the_hub(images):
    assert images_2023({"images": images}) == ["h0", "l1", "t2"]


@pytest.mark.parametrize("images", [None, [], {}, "", "None", 5, [None, {}, 3], "[broken"])
def test_2023_without_pictures(images):
    assert images_2023({"images": images}) == []


def test_a_shop_names_them_as_it_likes():
    assert images_of(["images/001.png"]) == ["images/001.png"]
    assert images_of(["a.png|b.png|a.png"]) == ["a.png", "b.png"]
    assert images_of(['["a.png", "b.png"]', "c.png"]) == ["a.png", "b.png", "c.png"]
    assert images_of([[{"url": "https://shop.example/a b.png"}]]) == [
        "https://shop.example/a b.png"
    ]
    assert images_of(["", None, "nan"]) == []

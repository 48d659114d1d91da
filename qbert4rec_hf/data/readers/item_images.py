"""The pictures of an item: one URL or path a picture, of the largest size that is given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

# Sizes of a picture in 2023's files, the largest first.
_SIZES = ("hi_res", "large", "thumb")
# Further keys of a shop's picture objects.
_ADDRESS_KEYS = (*_SIZES, "url", "src", "href", "link", "path", "image")
_NONE = {"", "none", "null", "nan", "n/a"}
# What Amazon shows where an item has no picture.
_PLACEHOLDER = re.compile(r"/no-img|/no_image|no-image-available|/transparent-pixel", re.IGNORECASE)


def images_2014(record: Mapping[str, Any]) -> list[str]:
    """The picture of an item of 2014 (`imUrl`)."""
    return _distinct(_addresses(record.get("imUrl")))


def images_2018(record: Mapping[str, Any]) -> list[str]:
    """The pictures of an item of 2018: of each the large one, where there is one.

    Both lists usually name the same pictures in the same order; where one is shorter, pictures
    are told apart by the name before the size.
    """
    large = _addresses(record.get("imageURLHighRes"))
    small = _addresses(record.get("imageURL"))
    names = {_picture_name(image) for image in large}
    return _distinct(large + [image for image in small if _picture_name(image) not in names])


def images_2023(record: Mapping[str, Any]) -> list[str]:
    """The pictures of an item of 2023: a list of objects, or the object of lists of the Hub."""
    return _distinct(_addresses(record.get("images")))


def images_of(values: Sequence[Any]) -> list[str]:
    """The pictures in a shop's columns: a text, a list, JSON text of one, or parts between |."""
    return _distinct([image for value in values for image in _addresses(value)])


def _addresses(value: Any) -> list[str]:
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, Mapping):
        return _of_object(value)
    if isinstance(value, list | tuple):
        return [image for entry in value for image in _addresses(entry)]
    return []


def _of_text(text: str) -> list[str]:
    text = text.strip()
    if text[:1] in ("[", "{"):
        try:
            return _addresses(json.loads(text))
        except (ValueError, RecursionError):
            return []
    if "|" in text:
        return [image for part in text.split("|") for image in _of_text(part)]
    return [] if text.lower() in _NONE else [text]


def _of_object(value: Mapping[str, Any]) -> list[str]:
    sizes = [value.get(size) for size in _SIZES]
    if any(isinstance(size, list | tuple) for size in sizes):
        columns = [size if isinstance(size, list | tuple) else [] for size in sizes]
        pictures = max(map(len, columns))
        rows = [
            [column[number] if number < len(column) else None for column in columns]
            for number in range(pictures)
        ]
        return [image for row in rows for image in _largest(row)]
    return _largest([value.get(key) for key in _ADDRESS_KEYS])


def _largest(candidates: Sequence[Any]) -> list[str]:
    for candidate in candidates:
        images = _of_text(candidate) if isinstance(candidate, str) else []
        if images:
            return images[:1]
    return []


def _distinct(images: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(image for image in images if not _PLACEHOLDER.search(image)))


def _picture_name(image: str) -> str:
    try:
        name = urlsplit(image).path.rsplit("/", 1)[-1]
    except ValueError:
        return image
    # `31T%2BQ.jpg` and `31T%2BQ._SX38_SY50_CR,0,0,38,50_.jpg` are one picture.
    return name.split("._")[0].rsplit(".", 1)[0] if name else image

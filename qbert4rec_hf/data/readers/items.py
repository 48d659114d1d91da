"""One record of metadata of any format -> one item with clean texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .clean_text import clean_text, clean_texts
from .item_images import images_2014, images_2018, images_2023, images_of
from .loose_json import mend_surrogates, to_text
from .options import (
    AMAZON_2014,
    AMAZON_2018,
    AMAZON_2023,
    BRAND,
    CATEGORIES,
    IMAGES,
    ITEM_ID,
    PRICE,
    TEXT,
    TITLE,
)
from .prices import parse_price

Record = Mapping[str, Any]
Columns = Mapping[str, Sequence[str]]


@dataclass
class Item:
    """What is known of an item.

    Args:
        item_id: its id, as it stands in the file; None or empty where the record has none.
        title: None where it has none, or only page code.
        text: descriptions, features and the like, most telling first.
        images: URLs or paths, one a picture.
        brand: None where it has none.
        categories: from the widest to the narrowest.
        price: None where it has none.
        page_code: whether the title was nothing but page code.
    """

    item_id: str | None
    title: str | None = None
    text: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    brand: str | None = None
    categories: list[str] = field(default_factory=list)
    price: float | None = None
    page_code: bool = False

    @property
    def filled(self) -> int:
        """How many of the fields hold something."""
        values = (self.title, self.text, self.images, self.brand, self.categories)
        return sum(map(bool, values)) + (self.price is not None)

    @property
    def size(self) -> int:
        """Length of all text, and a little for each picture: tells two rows of an item apart."""
        texts = [self.title or "", *self.text, self.brand or "", *self.categories]
        return sum(map(len, texts)) + 10 * len(self.images)


# Format -> field -> the keys of its records.
AMAZON_KEYS: Mapping[str, Columns] = {
    AMAZON_2014: {
        ITEM_ID: ("asin",),
        TITLE: ("title",),
        TEXT: ("description",),
        IMAGES: ("imUrl",),
        BRAND: ("brand",),
        CATEGORIES: ("categories",),
        PRICE: ("price",),
    },
    AMAZON_2018: {
        ITEM_ID: ("asin",),
        TITLE: ("title",),
        TEXT: ("feature", "description", "details"),
        IMAGES: ("imageURLHighRes", "imageURL"),
        BRAND: ("brand",),
        CATEGORIES: ("category", "main_cat"),
        PRICE: ("price",),
    },
    AMAZON_2023: {
        ITEM_ID: ("parent_asin", "asin"),
        TITLE: ("title",),
        TEXT: ("subtitle", "features", "description", "details"),
        IMAGES: ("images",),
        BRAND: ("details", "store"),
        CATEGORIES: ("categories", "main_category"),
        PRICE: ("price",),
    },
}
# Keys of `details` that say nothing of what the item is.
_NOT_TELLING = re.compile(
    r"asin|upc|ean|gtin|isbn|model number|part number|best.?sellers? rank|customer reviews"
    r"|date first|shipping|discontinued|dimensions|weight|batter|manufacturer recommended"
    r"|unspsc|country|warranty|return|mfg",
    re.IGNORECASE,
)
_BY = re.compile(r"^by\s+(?=\S)", re.IGNORECASE)
_STORE = re.compile(r"^visit the (.+) store$", re.IGNORECASE)
_NONE = {"", "none", "null", "nan", "n/a", "unknown"}


def item_of(format: str, columns: Columns) -> Callable[[Record], Item]:
    """The function that makes an item of a record.

    Args:
        format: one of `FORMATS`.
        columns: field -> keys; for Amazon's files only those that the user names.
    """
    known = {AMAZON_2014: _item_2014, AMAZON_2018: _item_2018, AMAZON_2023: _item_2023}.get(format)
    if known is None:
        return lambda record: _shop_item(record, columns)
    if not columns:
        return known

    def mixed(record: Record) -> Item:
        item, named = known(record), _shop_item(record, columns)
        for name in columns:
            setattr(item, name, getattr(named, name))
        return item

    return mixed


def _item_2014(record: Record) -> Item:
    item = _item(record, to_text(record.get("asin")))
    item.text = clean_texts(list(_strings(record.get("description"))))
    item.images = _mended(images_2014(record))
    item.brand = _brand(record.get("brand"))
    item.categories = clean_texts(list(_strings(record.get("categories"))))
    return item


def _item_2018(record: Record) -> Item:
    item = _item(record, to_text(record.get("asin")))
    categories, features = _split_categories(list(_strings(record.get("category"))))
    # The features of clothing stand behind its categories.
    features = [*_strings(record.get("feature")), *features]
    item.text = clean_texts(
        [*features, *_strings(record.get("description")), *_details(record.get("details"))]
    )
    item.images = _mended(images_2018(record))
    item.brand = _brand(record.get("brand"))
    item.categories = clean_texts(categories) or clean_texts(list(_strings(record.get("main_cat"))))
    return item


def _item_2023(record: Record) -> Item:
    item = _item(record, to_text(record.get("parent_asin")) or to_text(record.get("asin")))
    details = _object(record.get("details"))
    item.text = clean_texts(
        [
            *_strings(record.get("subtitle")),
            *_strings(record.get("features")),
            *_strings(record.get("description")),
            *_details(details),
        ]
    )
    item.images = _mended(images_2023(record))
    candidates = (details.get("Brand"), record.get("store"), details.get("Manufacturer"))
    item.brand = next((brand for brand in map(_brand, candidates) if brand), None)
    item.categories = clean_texts(list(_strings(record.get("categories")))) or clean_texts(
        list(_strings(record.get("main_category")))
    )
    return item


def _item(record: Record, item_id: str | None) -> Item:
    """Id, title and price, which are alike in all years."""
    title = clean_text(" ".join(_strings(record.get("title"), split=False)))
    return Item(
        item_id,
        title=title or None,
        price=parse_price(record.get("price")),
        page_code=not title and bool(record.get("title")),
    )


def _shop_item(record: Record, columns: Columns) -> Item:
    def values(name: str, *, split: bool = True) -> list[str]:
        return [
            text for key in columns.get(name, ()) for text in _strings(record.get(key), split=split)
        ]

    raw_title = " ".join(values(TITLE, split=False)[:1])
    title = clean_text(raw_title)
    keys = {name: (columns.get(name) or ("",))[0] for name in (ITEM_ID, BRAND, PRICE)}
    return Item(
        to_text(record.get(keys[ITEM_ID])),
        title=title or None,
        text=clean_texts(values(TEXT)),
        images=_mended(images_of([record.get(key) for key in columns.get(IMAGES, ())])),
        brand=_brand(record.get(keys[BRAND])),
        categories=clean_texts(values(CATEGORIES)),
        price=parse_price(record.get(keys[PRICE])),
        page_code=bool(raw_title) and not title,
    )


def _strings(value: Any, *, split: bool = True) -> Iterator[str]:
    """The texts in a value whose type nobody can rely on.

    Args:
        value: a text, a number, a list (of lists) of these, an object (its values), or JSON text
            of one.
        split: whether a text may be several: a JSON list, or parts between |.
    """
    if value is None or isinstance(value, bool) or value != value:
        return
    if isinstance(value, str):
        parts = _parts(value) if split else [value]
        if len(parts) == 1 and isinstance(parts[0], str):
            if parts[0].strip().lower() not in _NONE:
                yield parts[0]
        else:
            for part in parts:
                yield from _strings(part, split=False)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _strings(entry, split=split)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _strings(entry, split=False)
    else:
        yield str(value)


def _parts(text: str) -> list[Any]:
    """A list that a table holds as text: JSON, or parts between |."""
    start = text.lstrip()[:1]
    if start == "[":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        return value if isinstance(value, list) else [text]
    # With spaces around it a bar is punctuation of a title.
    if "|" in text and " | " not in text:
        return [part.strip() for part in text.split("|")]
    return [text]


def _split_categories(values: list[str]) -> tuple[list[str], list[str]]:
    """Categories of 2018, and what stands behind them where the page's code was cut wrongly."""
    for number, value in enumerate(values):
        if "</span>" in value.lower():
            return values[:number], values[number + 1 :]
    return values, []


def _details(value: Any) -> list[str]:
    """What `details` tell of an item, as one text: "Material: Cotton; Color: Red"."""
    told = []
    for key, entry in _object(value).items():
        name = clean_text(str(key)).strip(": \u200e\u200f")
        if not name or _NOT_TELLING.search(name):
            continue
        texts = clean_texts(list(_strings(entry, split=False)))
        if texts:
            told.append(f"{name}: {', '.join(texts)}")
    return ["; ".join(told)] if told else []


def _object(value: Any) -> Mapping[str, Any]:
    """An object, or JSON text of one; anything else is empty."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def _brand(value: Any) -> str | None:
    text = clean_text(" ".join(_strings(value, split=False)))
    text = _BY.sub("", text)
    store = _STORE.match(text)
    text = store.group(1) if store else text
    return text if text.lower() not in _NONE else None


def _mended(texts: list[str]) -> list[str]:
    return [mend_surrogates(text) for text in texts]

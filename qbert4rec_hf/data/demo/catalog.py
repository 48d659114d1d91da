"""The catalogue of a demo shop: items in a category tree, with brand, price, colour and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from ...columns import IMAGES, ITEM_ID, TEXT, TITLE
from .taxonomy import Category, Kind
from .vocabulary import (
    BRANDS,
    CATEGORIES,
    COLORS,
    MIDDLES,
    MODELS,
    OPENINGS,
    TIER_CLOSINGS,
    TIER_WORDS,
    Brand,
)

WITHOUT_TEXT = 0.03
WITH_TITLE_ONLY = 0.04
WITHOUT_IMAGE = 0.05
WITH_SECOND_IMAGE = 0.35
COLD = 0.04
DUPLICATES = 0.008

T = TypeVar("T")

_TIER_PRICE = {1: 0.6, 2: 1.0, 3: 1.8}


@dataclass(frozen=True)
class Product:
    """What there is to know of an item before it is written down.

    Args:
        item_id: as the shop writes it.
        category: its category.
        kind: its kind.
        brand: its brand.
        color: key of `COLORS`.
        price: in euros.
        is_cold: too new to have been bought in any history's training part.
        title: None where the shop has no text at all.
        text: description, selling points and path in the category tree; may be empty.
        num_images: 0, 1 or 2.
        look: seed of the small differences between pictures; duplicates share it.
    """

    item_id: str
    category: Category
    kind: Kind
    brand: Brand
    color: str
    price: float
    is_cold: bool
    title: str | None
    text: tuple[str, ...]
    num_images: int
    look: int

    @property
    def images(self) -> list[str]:
        """Paths of its pictures in the domain folder."""
        return [f"images/{self.item_id}_{view}.png" for view in range(self.num_images)]


def make_catalog(
    category_names: tuple[str, ...], num_items: int, prefix: str, rng: np.random.Generator
) -> list[Product]:
    """Draws the items of a shop.

    Args:
        category_names: categories that the shop sells; fewer are used for a very small shop.
        num_items: number of items, duplicates included.
        prefix: start of every item id.
        rng: source of all randomness.

    Returns:
        `num_items` products in random order: neither row nor id says what an item is.
    """
    by_name = {category.name: category for category in CATEGORIES}
    # At least three items a kind, or there is nothing to choose between.
    used = max(1, min(len(category_names), num_items // 18))
    places = [
        (category, kind)
        for category in (by_name[name] for name in category_names[:used])
        for kind in category.kinds
    ]
    num_duplicates = max(1, round(DUPLICATES * num_items))
    numbers = rng.choice(np.arange(10_000, 100_000), size=num_items, replace=False)
    products = []
    for place in range(num_items - num_duplicates):
        category, kind = places[place % len(places)]
        products.append(_product(f"{prefix}-{numbers[place]}", category, kind, rng))
    products = _with_gaps(products, rng)
    # The same product listed twice, as real shops have it.
    complete = [p for p in products if p.text and p.num_images and not p.is_cold]
    for place, original in enumerate(
        rng.choice(len(complete), size=num_duplicates, replace=False), num_items - num_duplicates
    ):
        products.append(replace(complete[original], item_id=f"{prefix}-{numbers[place]}"))
    return [products[place] for place in rng.permutation(num_items)]


def items_table(products: list[Product]) -> pd.DataFrame:
    """The items table of a domain folder; brand, price, category and colour as further columns."""
    return pd.DataFrame(
        {
            ITEM_ID: [product.item_id for product in products],
            TITLE: pd.Series([product.title for product in products], dtype=object),
            TEXT: [list(product.text) for product in products],
            IMAGES: [product.images for product in products],
            "brand": [product.brand.name for product in products],
            "price": [product.price for product in products],
            "category": [category_path(product) for product in products],
            "color": [product.color for product in products],
        }
    )


def category_path(product: Product) -> str:
    """Department, category and kind, as a shop's breadcrumb."""
    category = product.category
    return f"{category.department} > {category.name} > {product.kind.name}"


def _product(item_id: str, category: Category, kind: Kind, rng: np.random.Generator) -> Product:
    brand = _pick(rng, [b for b in BRANDS if category.department in b.departments])
    color = _pick(rng, list(COLORS))
    price = kind.price * _TIER_PRICE[brand.tier] * float(np.exp(rng.normal(0.0, 0.15)))
    title, text = _describe(category, kind, brand, color, rng)
    return Product(
        item_id=item_id,
        category=category,
        kind=kind,
        brand=brand,
        color=color,
        price=round(price) - 0.05 if price >= 1.5 else 0.95,
        is_cold=False,
        title=title,
        text=text,
        num_images=1 + int(rng.random() < WITH_SECOND_IMAGE),
        look=int(rng.integers(2**31)),
    )


def _with_gaps(products: list[Product], rng: np.random.Generator) -> list[Product]:
    """Takes the text or the pictures from some products and makes some cold.

    A product lacks one modality at most, so that there is always something to tell it by.
    """
    products = list(products)
    order = iter(rng.permutation(len(products)))
    for share, gap in (
        (WITHOUT_TEXT, {"title": None, "text": ()}),
        (WITH_TITLE_ONLY, {"text": ()}),
        (WITHOUT_IMAGE, {"num_images": 0}),
    ):
        for _ in range(max(1, round(share * len(products)))):
            place = next(order)
            products[place] = replace(products[place], **gap)
    num_cold = max(1, round(COLD * len(products)))
    for place in rng.choice(len(products), size=num_cold, replace=False):
        products[place] = replace(products[place], is_cold=True)
    return products


def _describe(
    category: Category, kind: Kind, brand: Brand, color: str, rng: np.random.Generator
) -> tuple[str, tuple[str, ...]]:
    noun, use = _pick(rng, kind.nouns), _pick(rng, kind.uses)
    word = _pick(rng, TIER_WORDS[brand.tier])
    material = _pick(rng, category.materials)
    first, second = (category.details[i] for i in rng.choice(len(category.details), 2, False))
    words = {
        "model": f"{_pick(rng, MODELS)} {rng.integers(1, 10)}",
        "brand": brand.name,
        "word": word,
        "word_start": _capital(word),
        "noun": noun,
        "use": use,
        "color": color,
        "material": material,
        "material_start": _capital(material),
        "detail": first,
        "detail_start": _capital(first),
    }
    title = _capital(
        _pick(
            rng,
            (
                "{brand} {model} {noun}, {color}",
                "{brand} {word} {noun} {model} ({color})",
                "{brand} {noun} {model}, {material}",
            ),
        ).format(**words)
    )
    description = " ".join(
        (
            _pick(rng, OPENINGS).format(**words),
            _pick(rng, MIDDLES).format(**words),
            _pick(rng, TIER_CLOSINGS[brand.tier]),
        )
    )
    points = f"{_capital(second)}. Material: {material}. Colour: {color}. Made for {use}."
    path = f"{category.department} > {category.name} > {kind.name}"
    return title, (description, points, path)


def _pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    return values[int(rng.integers(len(values)))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

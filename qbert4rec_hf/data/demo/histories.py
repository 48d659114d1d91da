"""Histories of a demo shop's users, with a structure that can be learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...columns import ITEM_ID, TIMESTAMP, USER_ID
from .catalog import Product
from .vocabulary import BRANDS, COLORS

# What a user does next: buys the next kind of the category's order, looks around in the category,
# or starts with something else.
FOLLOW = 0.74
BROWSE = 0.12
SKIP_ONE = 0.15
# How much each matters when a user chooses between the items of a kind.
BRAND_WEIGHT = 2.2
PRICE_WEIGHT = 1.2
COLOR_WEIGHT = 0.8
POPULARITY_SPREAD = 0.5
LENGTH_SPREAD = 3
MAX_LENGTH = 20
SHORT_HISTORIES = 0.03
SAME_ORDER = 0.04
TAKES_COLD = 0.03

_START = 1_640_995_200  # 2022-01-01, in seconds
_SPAN = 2 * 365 * 86_400
_DAY = 86_400


class Shop:
    """The items of a shop, arranged for drawing histories.

    Args:
        products: the catalogue.
        mean_length: of a history.
        rng: source of all randomness.
    """

    def __init__(self, products: list[Product], mean_length: int, rng: np.random.Generator) -> None:
        self.products = products
        self.mean_length = mean_length
        self.rng = rng
        brands = [brand.name for brand in BRANDS]
        colors = list(COLORS)
        self.brand = np.array([brands.index(p.brand.name) for p in products])
        self.tier = np.array([p.brand.tier for p in products])
        self.color = np.array([colors.index(p.color) for p in products])
        self.is_cold = np.array([p.is_cold for p in products])
        self.appeal = rng.normal(0.0, POPULARITY_SPREAD, size=len(products))
        # In the order of the vocabulary, so that nothing depends on the order of the items.
        self.categories = {}
        for product in sorted(products, key=lambda p: p.category.name):
            self.categories.setdefault(product.category.name, product.category)
        names = list(self.categories)
        self.kinds = {name: [kind.name for kind in self.categories[name].kinds] for name in names}
        kind_of = np.array([p.kind.name for p in products])
        self.items_of = {
            (name, kind): np.flatnonzero(
                (kind_of == kind) & np.array([p.category.name == name for p in products])
            )
            for name in names
            for kind in self.kinds[name]
        }

    def draw(self) -> list[int]:
        """Draws the history of one user: rows of `products`, oldest first, none twice."""
        rng = self.rng
        names = list(self.categories)
        liked = [names[i] for i in rng.permutation(len(names))[: rng.integers(2, 4)]]
        utility = self._utility()
        length = self._length()
        category = liked[0]
        # Most begin at the beginning.
        place = int(rng.integers(6)) if rng.random() < 0.3 else 0
        history: list[int] = []
        taken = np.zeros(len(self.products), dtype=bool)
        for step in range(length):
            if step:
                category, place = self._next_place(category, place, liked)
            items = self.items_of[category, self.kinds[category][place]]
            free = items[~taken[items] & ~self.is_cold[items]]
            # Cold items turn up in the last interaction only, so never in training.
            if step == length - 1 and length >= 3 and rng.random() < TAKES_COLD:
                cold = items[self.is_cold[items]]
                free = cold if len(cold) else free
            if not len(free):
                free = np.flatnonzero(~taken & ~self.is_cold)
            noise = rng.gumbel(size=len(free))
            item = int(free[np.argmax(utility[free] + noise)])
            taken[item] = True
            history.append(item)
        return history

    def _utility(self) -> np.ndarray:
        """How much one user likes each item within its kind, `[items]`."""
        rng = self.rng
        brand = rng.normal(0.0, 0.4, size=len(BRANDS))
        brand[rng.choice(len(BRANDS), size=5, replace=False)] += 1.0
        tier = rng.integers(1, 4)
        color = rng.random(len(COLORS))
        return (
            self.appeal
            + BRAND_WEIGHT * brand[self.brand]
            - PRICE_WEIGHT * np.abs(self.tier - tier)
            + COLOR_WEIGHT * color[self.color]
        )

    def _next_place(self, category: str, place: int, liked: list[str]) -> tuple[str, int]:
        rng = self.rng
        kinds = self.kinds[category]
        choice = rng.random()
        if choice < FOLLOW:
            place += 1 + (rng.random() < SKIP_ONE)
            if place < len(kinds):
                return category, place
            leads_to = self.categories[category].leads_to
            return (leads_to if leads_to in self.categories else liked[0]), 0
        if choice < FOLLOW + BROWSE:
            return category, int(rng.integers(len(kinds)))
        category = liked[int(rng.integers(len(liked)))]
        return category, int(rng.integers(3))

    def _length(self) -> int:
        rng = self.rng
        if rng.random() < SHORT_HISTORIES:
            length = int(rng.integers(1, 3))
        else:
            length = self.mean_length - LENGTH_SPREAD + int(rng.poisson(LENGTH_SPREAD))
        return min(length, MAX_LENGTH, max(1, int((~self.is_cold).sum()) // 2))


def make_interactions(
    products: list[Product], num_users: int, mean_length: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Draws the interactions of a shop.

    A user buys along the order of a category's kinds (tent, sleeping bag, mat, stove), sometimes
    looks around or starts something else, and within a kind prefers some brands, a price level and
    some colours. No user buys an item twice. Cold items occur as the last interaction at most.

    Args:
        products: the catalogue.
        num_users: number of users.
        mean_length: of a history; a few users have one or two interactions only.
        rng: source of all randomness.

    Returns:
        user_id, item_id, timestamp (seconds); now and then two items share an order and its time.
    """
    shop = Shop(products, mean_length, rng)
    numbers = rng.choice(np.arange(100_000, 1_000_000), size=num_users, replace=False)
    users, items, stamps = [], [], []
    for number in numbers:
        history = shop.draw()
        gaps = np.maximum(rng.exponential(20 * _DAY, size=len(history)), 600.0)
        same_order = rng.random(len(history)) < SAME_ORDER
        # A tie could put a cold item before the item that it came after.
        same_order[-1] &= not shop.is_cold[history[-1]]
        gaps[same_order] = 0.0
        times = _START + int(rng.integers(_SPAN)) + np.cumsum(gaps).astype(np.int64)
        users += [f"u{number}"] * len(history)
        items += [products[row].item_id for row in history]
        stamps.append(times)
    return pd.DataFrame({USER_ID: users, ITEM_ID: items, TIMESTAMP: np.concatenate(stamps)})

"""The demo domains: three small shops, drawn from a seed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ...errors import QBert4RecError
from ..domain import Domain
from ..domain_files import domain_folder
from .catalog import items_table, make_catalog
from .histories import make_interactions
from .images import draw_product

MIN_ITEMS, MIN_USERS = 24, 40


@dataclass(frozen=True)
class DemoShop:
    """Recipe of a demo shop at scale 1.

    Args:
        name: of the domain and its folder.
        prefix: start of its item ids.
        categories: what it sells; a very small shop sells the first of them only.
        num_items: items in its catalogue.
        num_users: users with histories.
        mean_length: of a history.
    """

    name: str
    prefix: str
    categories: tuple[str, ...]
    num_items: int
    num_users: int
    mean_length: int = 8


_SHOPS = (
    DemoShop(
        "outdoor",
        "OD",
        ("Camping", "Cycling", "Hiking", "Running", "Climbing", "Paddling"),
        600,
        2000,
    ),
    DemoShop(
        "home",
        "HM",
        ("Grilling", "Coffee", "Kitchen", "Gardening", "Bedroom", "Workshop"),
        600,
        2000,
    ),
    # Camping and Cycling are in the first shop too, Grilling in the second, Luggage in none.
    DemoShop("weekend", "WK", ("Camping", "Grilling", "Cycling", "Luggage"), 250, 700, 6),
)
DEMO_PRETRAIN = ("outdoor", "home")
DEMO_TARGET = "weekend"


def make_demo_domains(
    folder: str | os.PathLike, *, seed: int = 0, scale: float = 1.0
) -> list[Path]:
    """Draws three shops: two to pre-train on and a smaller third one to fine-tune on.

    The third shop shares some categories and brands with the first two. What can be learnt, and
    carried over, is in which order people buy kinds of products and that they stay with brands and
    price levels; both show in texts and pictures.

    Args:
        folder: gets one domain folder a shop.
        seed: the same seed gives the same files, byte for byte.
        scale: factor on the number of items and users.

    Returns:
        The domain folders, in the order of `DEMO_PRETRAIN` and then `DEMO_TARGET`.

    Raises:
        QBert4RecError: the scale is not positive, the seed negative, or the folder cannot be
            written.

    Example:
        >>> from qbert4rec_hf import Domain, make_demo_domains
        >>> folders = make_demo_domains("shops", scale=0.05)
        >>> [Domain.load(folder).name for folder in folders]
        ['outdoor', 'home', 'weekend']
    """
    if not scale > 0:
        raise QBert4RecError(f"scale must be above 0, got {scale}")
    if seed < 0:
        raise QBert4RecError(f"seed must be 0 or more, got {seed}")
    return [
        _make_shop(shop, number, Path(folder) / shop.name, seed, scale)
        for number, shop in enumerate(tqdm(_SHOPS, desc="Demo shops", unit="shop"))
    ]


def _make_shop(shop: DemoShop, number: int, folder: Path, seed: int, scale: float) -> Path:
    rng = np.random.default_rng([seed, number])
    products = make_catalog(
        shop.categories, max(MIN_ITEMS, round(shop.num_items * scale)), shop.prefix, rng
    )
    interactions = make_interactions(
        products, max(MIN_USERS, round(shop.num_users * scale)), shop.mean_length, rng
    )
    domain = Domain.from_tables(
        items_table(products),
        interactions,
        name=shop.name,
        source=f"demo shop, drawn with seed {seed}",
        tie_seed=seed,
    )
    with domain_folder(folder) as temporary:
        (temporary / "images").mkdir()
        for product in products:
            for view, image in enumerate(product.images):
                draw_product(product, view).save(temporary / image, compress_level=1)
        domain.write_into(temporary)
    return folder

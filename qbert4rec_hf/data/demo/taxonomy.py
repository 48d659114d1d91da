"""The form of the demo shops' category tree.

The kinds of a category stand in the order in which people buy them: who has the tent looks for a
sleeping bag next. What a shop shares with another one (a category, a brand, a word) means the same
in both, so that what is learnt in one shop helps in the other.
"""

from __future__ import annotations

from dataclasses import dataclass

OUTDOOR, CYCLES, HOME, GARDEN, TRAVEL = "Outdoor", "Bikes", "Home", "Garden", "Travel"


@dataclass(frozen=True)
class Kind:
    """A kind of product, the lowest level of the category tree.

    Args:
        name: its name in the category tree, plural.
        nouns: what a title calls it.
        price: middle price in euros.
        shape: silhouette that the pictures draw.
        uses: what it is good for, as the end of "made for ...".
    """

    name: str
    nouns: tuple[str, ...]
    price: float
    shape: str
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Category:
    """A category of the tree.

    Args:
        department: the level above.
        name: its name.
        leads_to: category that people move on to when they have what they need.
        materials: what its products are made of.
        details: selling points, whole phrases.
        kinds: kinds of product in the order of purchase.
    """

    department: str
    name: str
    leads_to: str
    materials: tuple[str, ...]
    details: tuple[str, ...]
    kinds: tuple[Kind, ...]

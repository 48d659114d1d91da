"""Words of the demo shops: categories, brands, colours and the sentences of descriptions."""

from __future__ import annotations

from dataclasses import dataclass

from .categories_home import HOME_CATEGORIES
from .categories_outdoor import OUTDOOR_CATEGORIES
from .taxonomy import CYCLES, GARDEN, HOME, OUTDOOR, TRAVEL

CATEGORIES = OUTDOOR_CATEGORIES + HOME_CATEGORIES


@dataclass(frozen=True)
class Brand:
    """A brand.

    Args:
        name: its name.
        tier: price level: 1 budget, 2 middle, 3 premium.
        departments: where it sells.
        mark: colour of its mark on pictures.
    """

    name: str
    tier: int
    departments: tuple[str, ...]
    mark: tuple[int, int, int]


BRANDS = (
    Brand("Norrland", 3, (OUTDOOR, TRAVEL), (24, 62, 92)),
    Brand("Tarnwell", 2, (OUTDOOR, CYCLES), (176, 58, 46)),
    Brand("Bivvy & Co", 1, (OUTDOOR, GARDEN, TRAVEL), (82, 122, 58)),
    Brand("Kestrel", 2, (OUTDOOR, CYCLES, TRAVEL), (222, 148, 30)),
    Brand("Alpinova", 3, (OUTDOOR,), (96, 58, 132)),
    Brand("Pedalia", 2, (CYCLES,), (20, 128, 132)),
    Brand("Rollfast", 1, (CYCLES, TRAVEL), (190, 40, 100)),
    Brand("Veloce Nord", 3, (CYCLES,), (40, 40, 44)),
    Brand("Hearthside", 2, (HOME, GARDEN), (158, 84, 44)),
    Brand("Oak & Ember", 3, (GARDEN, HOME), (64, 44, 36)),
    Brand("Simpla", 1, (HOME, GARDEN, TRAVEL), (44, 110, 190)),
    Brand("Fern Hill", 2, (GARDEN,), (38, 100, 62)),
    Brand("Casa Mira", 3, (HOME,), (188, 150, 60)),
    Brand("Daily Good", 1, (HOME, OUTDOOR), (232, 104, 74)),
    Brand("Lindqvist", 2, (HOME, TRAVEL), (116, 128, 140)),
    Brand("Wayfarer", 3, (TRAVEL, CYCLES), (130, 30, 40)),
)

COLORS = {
    "forest green": (46, 100, 66),
    "slate blue": (72, 96, 138),
    "rust red": (168, 70, 48),
    "mustard": (208, 164, 52),
    "charcoal": (62, 64, 70),
    "sand": (204, 184, 150),
    "petrol": (28, 108, 118),
    "burgundy": (116, 34, 54),
}

MODELS = (
    "Ridge", "Alder", "Fjell", "Solis", "Marlow", "Tundra", "Haven", "Brook", "Cairn", "Linden",
    "Ember", "Drift", "Summit", "Willow", "Vista", "Harbor", "Nova", "Juniper", "Atlas", "Moss",
    "Lumen", "Pike", "Sorrel", "Kestra", "Rowan", "Delta",
)  # fmt: skip

TIER_WORDS = {
    1: ("basic", "everyday", "handy", "compact"),
    2: ("classic", "sturdy", "versatile", "comfort"),
    3: ("premium", "pro", "expedition", "signature"),
}

# None needs an article: nouns come in singular and plural.
OPENINGS = (
    "The {model} by {brand}: {word} {noun}, made for {use}.",
    "{brand} designed the {model} with {use} in mind.",
    "Looking for something made for {use}? Try the {model}, our {word} {noun}.",
    "{word_start} {noun} in {color}, made for {use}.",
)
MIDDLES = (
    "What we like: {material}, {detail}.",
    "Made of {material}: {detail}.",
    "With {material} where it counts. {detail_start}.",
)
TIER_CLOSINGS = {
    1: ("Good value for a first set.", "A fair price for honest quality.", "Simple and reliable."),
    2: ("A favourite of our customers.", "Two-year guarantee.", "Solid quality for regular use."),
    3: ("Top of the range.", "Made in small series.", "Ten-year guarantee with repair service."),
}

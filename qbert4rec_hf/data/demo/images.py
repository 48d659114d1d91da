"""Pictures of the demo shops' products, drawn with simple shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .catalog import Product
from .vocabulary import BRANDS, CATEGORIES, COLORS

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

SIZE = 96
# Drawn larger and reduced, which smooths the edges.
_CANVAS = 2 * SIZE

Color = tuple[int, int, int]

_BACKGROUNDS: dict[str, Color] = {
    "Outdoor": (222, 234, 224),
    "Bikes": (226, 230, 238),
    "Home": (242, 234, 224),
    "Garden": (232, 240, 218),
    "Travel": (236, 226, 236),
}


def draw_product(product: Product, view: int = 0) -> Image.Image:
    """Draws a picture of a product.

    The silhouette and its pattern show the kind, the fill the colour, the tint behind it the
    department, and the mark in the corner the brand; size and place vary from item to item.

    Args:
        product: what to draw.
        view: 0 for the product as a whole, 1 for a closer look on white.

    Returns:
        RGB image of 96 by 96 pixels.
    """
    from PIL import Image, ImageDraw

    rng = np.random.default_rng([product.look, view])
    background = _BACKGROUNDS[product.category.department] if view == 0 else (250, 250, 250)
    image = Image.new("RGB", (_CANVAS, _CANVAS), background)
    draw = ImageDraw.Draw(image)
    fill = _vary(COLORS[product.color], rng)
    dark = _shade(fill, 0.62)
    radius = (0.33 if view == 0 else 0.41) * _CANVAS * rng.uniform(0.92, 1.08)
    x, y = _CANVAS * (0.5 + rng.uniform(-0.03, 0.03, size=2))
    if view == 0:
        shadow = _shade(background, 0.86)
        draw.ellipse((x - radius, y + 0.8 * radius, x + radius, y + 1.15 * radius), fill=shadow)
    pen = _Pen(draw, x, y, radius)
    _SHAPES[product.kind.shape](pen, fill, dark)
    _pattern(pen, product, _shade(fill, 1.45))
    _brand_mark(draw, product)
    return image.reduce(2)


class _Pen:
    """Draws in coordinates from -1 to 1 around the middle of the product."""

    def __init__(self, draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
        self.draw, self.x, self.y, self.radius = draw, x, y, radius
        self.width = max(2, round(0.07 * radius))

    def points(self, *values: float) -> list[tuple[float, float]]:
        pairs = zip(values[::2], values[1::2], strict=True)
        return [(self.x + a * self.radius, self.y + b * self.radius) for a, b in pairs]

    def polygon(self, *values: float, fill: Color, outline: Color) -> None:
        self.draw.polygon(self.points(*values), fill=fill, outline=outline, width=self.width)

    def ellipse(self, *box: float, fill: Color | None, outline: Color) -> None:
        self.draw.ellipse(self.points(*box), fill=fill, outline=outline, width=self.width)

    def box(self, *box: float, fill: Color, outline: Color, round_by: float = 0.1) -> None:
        self.draw.rounded_rectangle(
            self.points(*box),
            radius=round_by * self.radius,
            fill=fill,
            outline=outline,
            width=self.width,
        )

    def line(self, *values: float, fill: Color, thick: float = 0.1) -> None:
        self.draw.line(self.points(*values), fill=fill, width=max(2, round(thick * self.radius)))


def _triangle(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(-1, 0.8, 0, -0.8, 1, 0.8, fill=fill, outline=dark)
    pen.polygon(-0.25, 0.8, 0, -0.1, 0.25, 0.8, fill=dark, outline=dark)


def _capsule(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.box(-1, -0.42, 1, 0.42, fill=fill, outline=dark, round_by=0.42)


def _board(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(-1, 0.35, -0.6, -0.35, 1, -0.35, 0.6, 0.35, fill=fill, outline=dark)


def _burner(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.box(-0.7, 0.1, 0.7, 0.8, fill=fill, outline=dark)
    pen.polygon(-0.3, 0.05, 0, -0.8, 0.3, 0.05, fill=(240, 150, 40), outline=dark)


def _pot(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(-0.8, -0.4, 0.8, -0.4, 0.6, 0.8, -0.6, 0.8, fill=fill, outline=dark)
    pen.line(-0.95, -0.4, 0.95, -0.4, fill=dark, thick=0.16)


def _lamp(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.ellipse(-0.6, -0.85, 0.6, 0.3, fill=(250, 226, 130), outline=dark)
    pen.box(-0.4, 0.3, 0.4, 0.85, fill=fill, outline=dark)


def _boot(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(
        *(-0.7, -0.8, 0.05, -0.8, 0.1, 0.05, 0.9, 0.3, 0.95, 0.7, -0.7, 0.7),
        fill=fill,
        outline=dark,
    )
    pen.line(-0.75, 0.75, 1, 0.75, fill=dark, thick=0.16)


def _sock(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(
        *(-0.35, -0.9, 0.25, -0.9, 0.25, 0.15, 0.8, 0.5, 0.6, 0.85, -0.1, 0.6, -0.35, 0.3),
        fill=fill,
        outline=dark,
    )


def _bag(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.ellipse(-0.35, -0.95, 0.35, -0.2, fill=None, outline=dark)
    pen.box(-0.7, -0.6, 0.7, 0.85, fill=fill, outline=dark, round_by=0.25)


def _pouch(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(-0.45, -0.7, 0.45, -0.7, 0.75, 0.8, -0.75, 0.8, fill=fill, outline=dark)
    pen.line(-0.5, -0.45, 0.5, -0.45, fill=dark)


def _sticks(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.line(-0.7, 0.9, 0.3, -0.9, fill=fill, thick=0.18)
    pen.line(0.7, 0.9, -0.3, -0.9, fill=dark, thick=0.18)


def _jacket(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(
        *(-0.35, -0.8, 0.35, -0.8, 1, -0.2, 0.75, 0.15, 0.5, -0.1, 0.5, 0.85),
        *(-0.5, 0.85, -0.5, -0.1, -0.75, 0.15, -1, -0.2),
        fill=fill,
        outline=dark,
    )


def _suit(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(
        *(-0.4, -0.9, 0.4, -0.9, 0.75, -0.2, 0.4, -0.3, 0.45, 0.9, 0.1, 0.9, 0, 0.2),
        *(-0.1, 0.9, -0.45, 0.9, -0.4, -0.3, -0.75, -0.2),
        fill=fill,
        outline=dark,
    )


def _bottle(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.box(-0.18, -0.95, 0.18, -0.4, fill=dark, outline=dark)
    pen.box(-0.45, -0.55, 0.45, 0.9, fill=fill, outline=dark, round_by=0.25)


def _ring(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.ellipse(-0.8, -0.8, 0.8, 0.8, fill=fill, outline=dark)
    pen.ellipse(-0.42, -0.42, 0.42, 0.42, fill=(245, 245, 245), outline=dark)


def _coil(pen: _Pen, fill: Color, dark: Color) -> None:
    for size in (0.9, 0.7, 0.5, 0.3):
        pen.ellipse(-size, -size * 0.8, size, size * 0.8, fill=fill, outline=dark)


def _clip(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.box(-0.45, -0.9, 0.45, 0.9, fill=fill, outline=dark, round_by=0.45)
    pen.box(-0.18, -0.6, 0.18, 0.6, fill=(245, 245, 245), outline=dark, round_by=0.18)


def _dome(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.draw.pieslice(
        pen.points(-0.95, -0.75, 0.95, 1.15), 180, 360, fill=fill, outline=dark, width=pen.width
    )
    pen.line(-1, 0.25, 1, 0.25, fill=dark, thick=0.16)


def _tool(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.line(-0.65, 0.85, 0.35, -0.35, fill=fill, thick=0.3)
    pen.ellipse(0.1, -0.9, 0.85, -0.15, fill=dark, outline=dark)


def _watch(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.box(-0.28, -0.95, 0.28, 0.95, fill=dark, outline=dark)
    pen.ellipse(-0.6, -0.6, 0.6, 0.6, fill=fill, outline=dark)
    pen.line(0, 0, 0, -0.4, fill=dark)
    pen.line(0, 0, 0.3, 0.15, fill=dark)


def _grill(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.line(-0.35, 0.3, -0.65, 0.95, fill=dark)
    pen.line(0.35, 0.3, 0.65, 0.95, fill=dark)
    pen.ellipse(-0.8, -0.8, 0.8, 0.5, fill=fill, outline=dark)
    pen.line(-0.85, -0.1, 0.85, -0.1, fill=dark)


def _pan(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.line(0.4, 0, 1.1, 0, fill=dark, thick=0.2)
    pen.ellipse(-0.95, -0.65, 0.5, 0.65, fill=fill, outline=dark)


def _cup(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.ellipse(0.25, -0.35, 0.95, 0.35, fill=None, outline=dark)
    pen.box(-0.65, -0.6, 0.55, 0.7, fill=fill, outline=dark, round_by=0.2)


def _disc(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.ellipse(-0.8, -0.8, 0.8, 0.8, fill=fill, outline=dark)


def _blade(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.polygon(-0.2, 0.2, 0.9, -0.85, 0.75, -0.1, 0, 0.45, fill=(200, 204, 210), outline=dark)
    pen.line(-0.85, 0.85, -0.1, 0.3, fill=fill, thick=0.28)


def _leaf(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.box(-0.6, -0.85, 0.6, 0.85, fill=fill, outline=dark)
    pen.ellipse(-0.35, -0.4, 0.35, 0.4, fill=(120, 170, 80), outline=dark)


def _cloth(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.box(-0.9, 0.2, 0.9, 0.75, fill=fill, outline=dark)
    pen.box(-0.8, -0.25, 0.8, 0.25, fill=_shade(fill, 1.2), outline=dark)
    pen.box(-0.7, -0.65, 0.7, -0.2, fill=fill, outline=dark)


def _case(pen: _Pen, fill: Color, dark: Color) -> None:
    pen.box(-0.25, -0.95, 0.25, -0.4, fill=(245, 245, 245), outline=dark)
    pen.box(-0.85, -0.55, 0.85, 0.8, fill=fill, outline=dark, round_by=0.15)


_SHAPES: dict[str, Callable[[_Pen, Color, Color], None]] = {
    "triangle": _triangle,
    "capsule": _capsule,
    "board": _board,
    "burner": _burner,
    "pot": _pot,
    "lamp": _lamp,
    "boot": _boot,
    "sock": _sock,
    "bag": _bag,
    "pouch": _pouch,
    "sticks": _sticks,
    "jacket": _jacket,
    "suit": _suit,
    "bottle": _bottle,
    "ring": _ring,
    "coil": _coil,
    "clip": _clip,
    "dome": _dome,
    "tool": _tool,
    "watch": _watch,
    "grill": _grill,
    "pan": _pan,
    "cup": _cup,
    "disc": _disc,
    "blade": _blade,
    "leaf": _leaf,
    "cloth": _cloth,
    "case": _case,
}


def _pattern(pen: _Pen, product: Product, color: Color) -> None:
    """A pattern by category, so that one silhouette in two categories can be told apart."""
    number = [category.name for category in CATEGORIES].index(product.category.name)
    size = 0.12
    for place in range(1 + number % 4):
        x = -0.3 + 0.2 * place
        if number // 4 == 0:
            pen.ellipse(x - size, 0.3 - size, x + size, 0.3 + size, fill=color, outline=color)
        elif number // 4 == 1:
            pen.line(x, 0.15, x, 0.5, fill=color)
        elif number // 4 == 2:
            pen.line(-0.3, 0.05 + 0.2 * place, 0.3, 0.05 + 0.2 * place, fill=color)
        else:
            pen.polygon(x, 0.45, x + size, 0.2, x + 2 * size, 0.45, fill=color, outline=color)


def _brand_mark(draw: ImageDraw.ImageDraw, product: Product) -> None:
    """A badge in the lower right corner: colour and form by brand."""
    brand = product.brand
    number = [each.name for each in BRANDS].index(brand.name)
    left, top, right, bottom = (round(part * _CANVAS) for part in (0.78, 0.78, 0.95, 0.95))
    middle = (left + right) // 2
    if number % 3 == 0:
        draw.rectangle((left, top, right, bottom), fill=brand.mark)
    elif number % 3 == 1:
        draw.ellipse((left, top, right, bottom), fill=brand.mark)
    else:
        draw.polygon([(left, bottom), (middle, top), (right, bottom)], fill=brand.mark)


def _shade(color: Color, factor: float) -> Color:
    return tuple(min(255, round(part * factor)) for part in color)  # type: ignore[return-value]


def _vary(color: Color, rng: np.random.Generator) -> Color:
    parts = np.asarray(color) + rng.integers(-10, 11)
    return tuple(int(part) for part in np.clip(parts, 0, 255))  # type: ignore[return-value]

"""How objects show themselves: small HTML tables for a notebook, aligned text for a terminal.

A table takes its colours from the notebook, so that it reads in a light and in a dark one, and its
styles stand in the tags, since a notebook that is not trusted drops style sheets. Nothing comes
from outside, and text of others never acts as HTML, as a formula or on a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isfinite

MAX_TEXT = 100
NOTHING = "–"

_LINE = "border:0;border-bottom:1px solid rgba(128,128,128,.35);padding:.3em .8em"
_CELL = f"{_LINE};text-align:left;color:inherit;background:none;font-weight:normal"
_HEAD = f"{_CELL};font-weight:bold"
_NUMBER = "text-align:right;font-variant-numeric:tabular-nums"
_TABLE = "border-collapse:collapse;color:inherit;margin:.3em 0"
# Dollar signs in a title are no formula.
_NO_FORMULAS = "tex2jax_ignore mathjax_ignore"


class Markup(str):
    """HTML that `table` takes as it is; only functions of this file make it, from escaped text."""

    __slots__ = ()


def plain(text: object, limit: int | None = None) -> str:
    """Text on one line that neither steers a terminal nor turns the reading direction.

    Args:
        text: of anybody.
        limit: cut off what is longer.

    Example:
        >>> plain("Enamel\\x1b[31m bowl\\n ", limit=12)
        'Enamel [31m…'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def html(text: object, limit: int | None = MAX_TEXT) -> str:
    """Text as HTML that shows it and does nothing else; markup of this file stays as it is.

    Example:
        >>> html("Mug <b>XL</b>")
        'Mug &lt;b&gt;XL&lt;/b&gt;'
    """
    return text if isinstance(text, Markup) else escape(plain(text, limit))


def code(text: object) -> Markup:
    """Text in the notebook's type for code."""
    return Markup(
        '<code style="color:inherit;background:none;white-space:nowrap">'
        f"{escape(plain(text))}</code>"
    )


def unbroken(text: object) -> Markup:
    """Text that stays on one line, such as an id."""
    return Markup(f'<span style="white-space:nowrap">{escape(plain(text, MAX_TEXT))}</span>')


def meter(text: object, share: float) -> Markup:
    """A number with a bar under it.

    Args:
        text: the number.
        share: length of the bar, from 0 to 1.
    """
    width = round(100 * min(max(share, 0.0), 1.0)) if isfinite(share) else 0
    return Markup(
        f'<span style="display:inline-block;min-width:5em">{escape(plain(text))}'
        '<span aria-hidden="true" style="display:block;height:3px;border-radius:2px;'
        f'margin-left:auto;background:currentColor;opacity:.45;width:{width}%"></span></span>'
    )


def table(
    heading: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str = "",
    note: str = "",
    numbers: int = 0,
) -> str:
    """A table for a notebook; every cell is escaped.

    Args:
        heading: names of the columns; without any, or without rows, there is no heading.
        rows: cells; the first one of a row names it.
        caption: stands above.
        note: stands below.
        numbers: how many columns, counted from the right, hold numbers.
    """
    rows = [list(row) for row in rows]
    if not rows:
        heading = ()
    first_number = max(map(len, [heading, *rows]), default=0) - numbers

    def cell(tag: str, scope: str, style: str, column: int, value: object) -> str:
        style = f"{style};{_NUMBER}" if column >= first_number else style
        return f'<{tag}{scope} style="{style}">{html(value)}</{tag}>'

    head = "".join(
        cell("th", ' scope="col"', _HEAD, column, name) for column, name in enumerate(heading)
    )
    body = ""
    for row in rows:
        cells = "".join(
            cell("td", "", _CELL, column, value)
            if column
            else cell("th", ' scope="row"', _CELL, 0, value)
            for column, value in enumerate(row)
        )
        body += f"<tr>{cells}</tr>"
    above = (
        f'<caption style="caption-side:top;text-align:left;color:inherit;padding:.3em 0">'
        f"<strong>{html(caption, None)}</strong></caption>"
        if caption
        else ""
    )
    below = paragraph(note) if note else ""
    head = f"<thead><tr>{head}</tr></thead>" if head else ""
    return block(f'<table style="{_TABLE}">{above}{head}<tbody>{body}</tbody></table>{below}')


def facts(title: str, values: Mapping[str, object], *, note: str = "") -> str:
    """A table of names and values; a value of None is left out."""
    rows = [(name, value) for name, value in values.items() if value is not None]
    return table((), rows, caption=title, note=note)


def paragraph(text: str) -> str:
    """A sentence below a table."""
    return f'<p style="margin:.3em 0;opacity:.75">{html(text, None)}</p>'


def block(*parts: str) -> str:
    """Pieces of HTML below each other, in what a notebook typesets no formulas in."""
    return f'<div class="{_NO_FORMULAS}">{"".join(parts)}</div>'


def columns(
    heading: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()
) -> str:
    """A table for a terminal, without a line break at its end.

    Args:
        heading: names of the columns.
        rows: cells.
        numbers: columns that are aligned on the right.

    Example:
        >>> print(columns(["item", "score"], [["mug", "0.5"], ["teapot", "0.25"]], numbers=[1]))
        item    score
        mug       0.5
        teapot   0.25
    """
    lines = [[plain(cell, MAX_TEXT) for cell in line] for line in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = []
    for line in lines:
        cells = [
            cell.rjust(width) if number in numbers else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)

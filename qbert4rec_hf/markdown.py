"""Text of others inside Markdown: nothing in it may act as Markdown or HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

# What begins emphasis, links, code, cells, formulas and tags; then what makes a renderer link by
# itself. A character reference is never part of a Markdown construct, so one rule covers them all.
# Underscores inside a word mean nothing to Markdown and stay readable.
_ACTIVE = re.compile(
    r"[&<>`*\[\]\\|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.|@(?=\S*\.)"
)
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def one_line(text: object) -> str:
    """Text with every run of white space and control characters made one space."""
    return _SPACE.sub(" ", str(text)).strip()


def escape(text: object) -> str:
    """Text that a Markdown page shows as it is, in a heading, a sentence or a table cell.

    Example:
        >>> escape("Mug <b>XL</b> | 5*")
        'Mug &#60;b&#62;XL&#60;/b&#62; &#124; 5&#42;'
    """
    return _ACTIVE.sub(lambda match: f"&#{ord(match.group())};", one_line(text))


def yaml_text(text: object) -> str:
    """Text as a YAML value on one line, whatever it holds.

    Example:
        >>> yaml_text("a: b # c")
        '"a: b # c"'
    """
    quoted = json.dumps(one_line(text), ensure_ascii=False)
    # YAML refuses what cannot be shown; half of a character pair stands for nothing at all.
    quoted = re.sub("[\ud800-\udfff]", "\ufffd", quoted)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def code_block(code: str, language: str = "") -> str:
    """A fenced block that its content cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code.strip()}\n{fence}"


def table(heading: Sequence[object], rows: Sequence[Sequence[object]], numbers: int = 0) -> str:
    """A Markdown table; every cell is escaped.

    Args:
        heading: names of the columns.
        rows: cells.
        numbers: how many columns, counted from the right, hold numbers.
    """
    rules = ["---"] * (len(heading) - numbers) + ["---:"] * numbers
    lines = [[escape(cell) for cell in line] for line in (heading, *rows)]
    lines.insert(1, rules)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

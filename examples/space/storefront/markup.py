"""Pieces of HTML that several panels share. Text of the catalogue is escaped here and only here."""

from __future__ import annotations

import html
from collections.abc import Sequence

from qbert4rec_hf.markdown import one_line
from qbert4rec_hf.semantic_ids.tokenization_semantic_id import level_name, semantic_id_text

# Tints of the style sheet; further levels begin again.
_TINTS = 8
_ICONS = {
    "plus": '<path d="M8 3v10M3 8h10"/>',
    "tick": '<path d="M3 8.5 6.5 12 13 4.5"/>',
    "cross": '<path d="m4 4 8 8M12 4l-8 8"/>',
    "up": '<path d="M8 13V3M4 7l4-4 4 4"/>',
    "down": '<path d="M8 3v10M4 9l4 4 4-4"/>',
    "chevron": '<path d="m4 6 4 4 4-4"/>',
}


def esc(text: object) -> str:
    """Text of anybody, on one line, so that it shows as it is in a tag or an attribute."""
    return html.escape(one_line(text), quote=True)


def icon(name: str) -> str:
    """A drawn sign; the button that holds it has the words."""
    return f'<svg class="q-icon" viewBox="0 0 16 16" aria-hidden="true">{_ICONS[name]}</svg>'


def button(
    inside: str,
    act: str,
    value: object = "",
    *,
    label: str = "",
    css: str = "",
    where: str = "",
    extra: str = "",
) -> str:
    """A button that the panel's script reports as an action.

    Args:
        inside: HTML.
        act: name of the action (`visitor.act`).
        value: what it is about.
        label: what a screen reader says; the text inside by default.
        css: classes.
        where: tells two buttons of the same action and value in one panel apart.
        extra: further attributes, as HTML.
    """
    named = f' aria-label="{esc(label)}" title="{esc(label)}"' if label else ""
    key = esc(f"{act}:{where}:{value}")
    return (
        f'<button type="button" class="{css}" data-act="{esc(act)}" data-value="{esc(value)}"'
        f' data-key="{key}"{named} {extra}>{inside}</button>'
    )


def semantic_id(
    codes: Sequence[int], *, shared: int | None = None, link: str = "", first: int = 0
) -> str:
    """A semantic ID as a row of tinted tokens.

    Args:
        codes: of the first levels, or of all.
        shared: how many of the first codes to fill; the others are only outlined. All by default.
        link: place in the panel, if a click is to open the code tree there.
        first: level of the first code.
    """
    tokens = "".join(
        f'<span class="q-token q-l{level % _TINTS}{_hollow(level, shared)}">'
        f"{level_name(level)}<b>{code}</b></span>"
        for level, code in enumerate(codes, start=first)
    )
    if not link:
        return f'<span class="q-sid">{tokens}</span>'
    text = semantic_id_text(codes)
    label = f"Semantic ID {text}: show it in the code tree"
    return button(tokens, "branch", text, label=label, css="q-sid", where=link)


def _hollow(level: int, shared: int | None) -> str:
    return "" if shared is None or level < shared else " q-hollow"


def percent(share: float) -> str:
    """A probability in words that fit a narrow column."""
    if 0 < share < 0.0005:
        return "&lt; 0.1&#8239;%"
    return f"{100 * share:.1f}&#8239;%"


def points(share: float) -> str:
    """A difference of probabilities, with its sign."""
    value = round(100 * share, 1)
    if not value:
        return "&plusmn;0.0"
    return f"{'+' if value > 0 else '&minus;'}{abs(value):.1f}"


def bar(share: float, css: str = "") -> str:
    """A horizontal bar, `share` of its full width; decoration beside a number."""
    width = 100 * min(max(share, 0.0), 1.0)
    return f'<span class="q-bar {css}" aria-hidden="true"><i style="width:{width:.1f}%"></i></span>'


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def note(text: str, *, kind: str = "hint") -> str:
    """A sentence to the visitor; `kind` is `hint` or `problem`. The text is escaped."""
    role = "alert" if kind == "problem" else "status"
    return f'<p class="q-note q-{kind}" role="{role}">{esc(text)}</p>'

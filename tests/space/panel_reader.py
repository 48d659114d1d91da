"""Reads a panel as a browser would: tags, their attributes, and the text that is seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"img", "rect", "path", "circle", "br"}


@dataclass
class Panel(HTMLParser):
    """What stands in a panel.

    Attributes:
        tags: name and attributes of every tag, in order.
        texts: what is seen, piece by piece.
    """

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def actions(self, act: str) -> list[str]:
        """Values of the buttons with an action, in order."""
        return [about["data-value"] for _, about in self.tags if about.get("data-act") == act]

    def places(self) -> list[str]:
        return [about["data-key"] for _, about in self.tags if "data-key" in about]


def read(panel: str) -> Panel:
    """Reads a panel; fails on tags that are not closed, and on what may act."""
    found = Panel()
    found.feed(panel)
    found.close()
    assert not found.open, f"left open: {found.open}"
    for tag, about in found.tags:
        assert tag not in ("script", "style", "iframe", "object")
        assert not [name for name in about if name.startswith("on")]
        if tag == "img":
            assert about["src"].startswith("data:image/jpeg;base64,")
        if tag == "button":
            assert about["type"] == "button" and about["data-act"]
    buttons = [about for tag, about in found.tags if tag == "button"]
    hidden = [about for about in buttons if about.get("tabindex") == "-1"]
    assert len({about["data-key"] for about in buttons}) == len(buttons), "two keys are alike"
    assert all("strip" in about["data-key"] for about in hidden)
    return found

"""Nested dataclasses from plain values, with errors that name the key."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any, TypeVar, get_type_hints

from ..errors import QBert4RecError
from ..value_types import convert, show

T = TypeVar("T")


def build(cls: type[T], value: Any, *, source: str, prefix: str = "") -> T:
    """Makes a dataclass, and those inside it, from a mapping; absent keys take their defaults.

    Args:
        cls: the dataclass.
        value: the mapping.
        source: where the mapping comes from, for the error.
        prefix: dotted name of the mapping inside the source.

    Raises:
        QBert4RecError: a key that does not exist (the nearest one that does is named) or a value
            of the wrong type.
    """
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise QBert4RecError(
            f"{source}: {prefix or 'the whole file'} must be a mapping of names to values, "
            f"got {show(value)}"
        )
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    hints = get_type_hints(cls)
    arguments = {}
    for key, item in value.items():
        dotted = f"{prefix}.{key}" if prefix else str(key)
        if key not in names:
            raise QBert4RecError(
                f"{source}: unknown key {dotted!r}; {_nearest(key, names, prefix)}"
            )
        arguments[key] = _convert(hints[key], item, source=source, dotted=dotted)
    try:
        return cls(**arguments)
    except QBert4RecError as error:
        raise QBert4RecError(f"{source}: {prefix + ': ' if prefix else ''}{error}") from None


def override(value: dict[str, Any], assignments: list[str], *, parse: Any) -> dict[str, Any]:
    """Lays `section.key=value` texts over a nested mapping.

    Args:
        value: the mapping; it is not changed.
        assignments: for instance `["fusion.epochs=3", "seed=1"]`.
        parse: turns the text after `=` into a value.

    Raises:
        QBert4RecError: an assignment without `=`.
    """
    result = _copy(value)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise QBert4RecError(f"--set {assignment!r} must have the form section.key=value")
        inner = result
        *sections, last = name.split(".")
        for section in sections:
            following = inner.get(section)
            if following is None:
                # Absent, or a section that the file names and leaves empty.
                following = inner[section] = {}
            if not isinstance(following, dict):
                raise QBert4RecError(f"--set {assignment!r}: {section} is a value, not a section")
            inner = following
        inner[last] = parse(text)
    return result


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _nearest(key: Any, names: list[str], prefix: str) -> str:
    close = difflib.get_close_matches(str(key), names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {prefix + '.' if prefix else ''}{close[0]}?"
    return f"{prefix or 'the file'} may hold {', '.join(names)}"


def _convert(hint: Any, value: Any, *, source: str, dotted: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(hint, value, source=source, prefix=dotted)
    try:
        return convert(hint, value, dotted)
    except QBert4RecError as error:
        raise QBert4RecError(f"{source}: {error}") from None

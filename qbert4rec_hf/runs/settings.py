"""Nested dataclasses from plain values, with errors that name the key."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import QBert4RecError

T = TypeVar("T")
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


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
            f"got {_show(value)}"
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
            following = inner.setdefault(section, {})
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
    fits, converted = _fit(hint, value)
    if not fits:
        raise QBert4RecError(f"{source}: {dotted} must be {_describe(hint)}, got {_show(value)}")
    return converted


def _fit(hint: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value has a type, and the value as that type (an int where a float is due)."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True, value
    if origin in (Union, types.UnionType):
        for option in arguments:
            fits, converted = _fit(option, value)
            if fits:
                return True, converted
        return False, value
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in arguments), value
    if origin in (list, tuple):
        return _fit_sequence(origin, arguments, value)
    if origin is dict:
        return isinstance(value, dict), value
    if hint is float:
        if isinstance(value, str) and _EXPONENT.fullmatch(value):
            # YAML 1.1 reads 1e-4, without a point, as text.
            value = float(value)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number, float(value) if number else value
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return (value is None if hint in (None, type(None)) else isinstance(value, hint)), value


def _fit_sequence(origin: type, arguments: tuple, value: Any) -> tuple[bool, Any]:
    if not isinstance(value, list | tuple):
        return False, value
    inner = arguments[0] if arguments else Any
    pairs = [_fit(inner, item) for item in value]
    return all(fits for fits, _ in pairs), origin(converted for _, converted in pairs)


def _describe(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(option) for option in arguments)
    if origin is Literal:
        return "one of " + ", ".join(str(option) for option in arguments)
    if origin in (list, tuple):
        return f"a list of {_describe(arguments[0])}" if arguments else "a list"
    names = {
        int: "a whole number",
        float: "a number",
        str: "a text",
        bool: "true or false",
        type(None): "null",
        dict: "a mapping",
    }
    return names.get(origin or hint, str(hint))


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

"""Plain values from a file or a command line against the type hints of what takes them."""

from __future__ import annotations

import re
import types
from typing import Any, Literal, Union, get_args, get_origin

from .errors import QBert4RecError

_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
_NAMES = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    bool: ("true or false", "true or false"),
    type(None): ("null", "null"),
    dict: ("a mapping", "mappings"),
}


def convert(hint: Any, value: Any, name: str) -> Any:
    """A value as the type that a field has.

    Args:
        hint: type hint of the field: plain types, unions, literals, lists, tuples and dicts.
        value: as YAML or JSON gives it. A whole number becomes a float where one is due, and so
            does a text such as "1e-4", which YAML 1.1 does not read as a number.
        name: of the field, for the error.

    Raises:
        QBert4RecError: another type.
    """
    fits, converted = _fit(hint, value)
    if not fits:
        raise QBert4RecError(f"{name} must be {describe(hint)}, got {show(value)}")
    return converted


def describe(hint: Any, *, several: bool = False) -> str:
    """A type hint in words.

    Args:
        hint: as for `convert`.
        several: in the plural, as in "a list of numbers".
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        # Every whole number is a number.
        options = [option for option in arguments if option is not int or float not in arguments]
        return " or ".join(describe(option, several=several) for option in options)
    if origin is Literal:
        return "one of " + ", ".join(str(option) for option in arguments)
    if (origin or hint) in (list, tuple):
        list_ = "lists" if several else "a list"
        return f"{list_} of {describe(arguments[0], several=True)}" if arguments else list_
    return _NAMES.get(origin or hint, (str(hint), str(hint)))[several]


def show(value: Any) -> str:
    """A value as an error shows it: short."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fit(hint: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value has a type, and the value as that type."""
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
    if (origin or hint) in (list, tuple):
        return _fit_sequence(origin or hint, arguments, value)
    if origin is dict:
        return isinstance(value, dict), value
    if hint is float:
        if isinstance(value, str) and _EXPONENT.fullmatch(value):
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

"""Single lines of JSON, also in the loose forms that DuckDB refuses; Python literals likewise."""

from __future__ import annotations

import ast
import json
import warnings
from typing import Any

# Longer lines are not worth the memory of Python's parser.
_MAX_LITERAL = 4 << 20
TOO_DEEP = "nested too deep"


class LineError(ValueError):
    """Why a line cannot be understood, in a few words."""


def parse_object(text: str) -> dict[str, Any]:
    """Reads one JSON object, or one Python dict of plain literals (Amazon 2014's loose lines).

    Nothing is executed: `ast.literal_eval` knows literals only.

    Raises:
        LineError: it is neither.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise LineError(TOO_DEEP) from None
    except json.JSONDecodeError as error:
        value = _literal(text)
        if value is None:
            raise LineError(_reason(text, error)) from None
    except ValueError:
        # Python limits the digits of a whole number.
        raise LineError("a number of too many digits") from None
    if not isinstance(value, dict):
        raise LineError(f"{_kind(value)} instead of an object")
    return value


def is_literal(text: str) -> bool:
    """Whether a line is a Python dict and no JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return isinstance(_literal(text), dict)
    return False


def to_text(value: Any) -> str | None:
    """A plain value as text, as JSON writes it; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return mend_surrogates(str(value))


def mend_surrogates(text: str) -> str:
    """Replaces halves of surrogate pairs, which no encoding can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _literal(text: str) -> Any:
    text = text.strip()
    if not text.startswith("{") or len(text) > _MAX_LITERAL:
        return None
    try:
        with warnings.catch_warnings():
            # "\d" in a text is no matter of ours.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _reason(text: str, error: json.JSONDecodeError) -> str:
    if not text.lstrip().startswith("{"):
        return "no JSON object"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "JSON that stops in the middle"
    return f"no valid JSON ({error.msg.lower()} at character {error.pos + 1})"


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")

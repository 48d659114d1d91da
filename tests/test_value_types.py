from __future__ import annotations

from typing import Any, Literal

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.value_types import convert, describe, show


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 3, 3),
        (float, 1, 1.0),
        (float, "1e-4", 1e-4),
        (float | int, 1, 1.0),
        (int | list[int], [4, 5], [4, 5]),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (str | None, None, None),
        (Literal["a", 2], 2, 2),
        (dict[str, Any], {"a": 1}, {"a": 1}),
        (Any, object, object),
    ],
)
def test_values_that_fit(hint, value, expected):
    found = convert(hint, value, "field")
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, True),
        (int, 2.0),
        (int, "3"),
        (float, "fast"),
        (float, False),
        (str, 3),
        (list[int], 3),
        (list[int], [1, "x"]),
        (Literal[1], True),
        (int | None, "null"),
        (dict, [1]),
    ],
)
def test_values_that_do_not(hint, value):
    with pytest.raises(QBert4RecError, match="^field must be .*, got ") as caught:
        convert(hint, value, "field")
    assert describe(hint) in str(caught.value) and show(value) in str(caught.value)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int | list[int], "a whole number or a list of whole numbers"),
        (float | int, "a number"),
        (int | None, "a whole number or null"),
        (list[list[str]], "a list of lists of texts"),
        (Literal["a", "b"] | None, "one of a, b or null"),
        (list, "a list"),
    ],
)
def test_types_in_words(hint, words):
    assert describe(hint) == words


def test_a_long_value_is_cut():
    assert len(show("x" * 500)) == 60

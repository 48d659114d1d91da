from __future__ import annotations

import pytest

from qbert4rec_hf.data.readers.loose_json import LineError, is_literal, parse_object, to_text


def test_json_and_python_literals():
    assert parse_object('{"a": NaN, "b": "\\ud800"}')["b"] == "\ud800"
    literal = """{'asin': '0001', 'title': "It's", 'price': 5.5, 'related': None, 're': '\\d'}"""
    assert parse_object(literal) == {
        "asin": "0001",
        "title": "It's",
        "price": 5.5,
        "related": None,
        "re": "\\d",
    }
    assert is_literal(literal)
    assert not is_literal('{"a": 1}')


def test_nothing_is_executed(tmp_path):
    target = tmp_path / "made"
    for code in (f"open({str(target)!r}, 'w')", "__import__('os').getcwd()"):
        with pytest.raises(LineError):
            parse_object(f"{{'a': {code}}}")
    assert not target.exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"a": 1', "stops in the middle"),
        ('{"a": "tex', "stops in the middle"),
        ("[1, 2]", "a list instead of an object"),
        ("5", "a number instead of an object"),
        ("null", "null instead of an object"),
        ("<html>", "no JSON object"),
        ('{"a": ' + "9" * 5000 + "}", "a number of too many digits"),
        ('{"a" 1}', "no valid JSON"),
        ("{" * 100_000, "nested too deep|no valid JSON|stops in the middle"),
        ("[" * 100_000, "nested too deep|no JSON object"),
    ],
)
def test_reasons(line, why):
    with pytest.raises(LineError, match=why) as error:
        parse_object(line)
    assert len(str(error.value)) < 100


def test_values_as_text():
    assert to_text(None) is None
    assert to_text("007") == "007"
    assert to_text(12345678901234567890123) == "12345678901234567890123"
    assert to_text(True) == "true"
    assert to_text(["a", 1]) == '["a", 1]'
    assert to_text("x\ud800") == "x\ufffd"

from __future__ import annotations

import html
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.markdown import code_block, escape, one_line, table, yaml_text

HOSTILE = [
    "<script>alert(1)</script>",
    "a | b",
    "*bold* _it_ __b__ ~~s~~ `code`",
    "[click](https://example.org)",
    "![x](x.png)",
    "see https://example.org or www.example.org or a@example.org",
    "$x$ and \\(y\\)",
    "line\n---\n# heading",
    "&lt;b&gt;",
    "```\n</details>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(text):
    escaped = escape(text)
    assert html.unescape(escaped) == " ".join(text.split())
    without = re.sub(r"&#\d+;", "", escaped)
    assert not re.search(r"[<>`*\[\]\\|~$&\n]|(^|\W)_|_(\W|$)|://|www\.|@\S*\.", without)


def test_ordinary_text_stays_readable():
    text = 'Mug "XL", 0.3 l (it\'s blue) - item_12, HR@10 {a: 1}'
    assert escape(text) == text


@given(st.text())
def test_nothing_is_lost(text):
    shown = html.unescape(escape(text))
    blank = r"[\s\x00-\x1f\x7f-\x9f]+"
    assert re.sub(blank, "", shown) == re.sub(blank, "", text)


@given(st.text())
def test_text_survives_yaml(text):
    line = f"a: {yaml_text(text)}\nb: 1"
    assert yaml.safe_load(line) == {"a": one_line(text), "b": 1}


def test_broken_characters_become_valid_yaml():
    assert yaml.safe_load(yaml_text("a\ud800b\x9b\u2028c")) == "a\ufffdb c"


@given(st.text(alphabet="`~ab\n", min_size=1))
def test_a_code_block_cannot_be_closed_from_inside(code):
    fence, *inside, last = code_block(code).split("\n")
    assert fence == last and not any(fence in line for line in inside)


def test_a_table_keeps_its_columns():
    text = table(["name", "x|y"], [("a|b", 1), ("<i>", 2.5)], numbers=1)
    lines = text.split("\n")
    assert lines[1] == "| --- | ---: |"
    assert [line.count("|") for line in lines] == [3] * 4
    assert "<i>" not in text

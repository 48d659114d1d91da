from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.data.readers.clean_text import clean_text, clean_texts

TAG = re.compile(r"</?(?:span|div|p|br|b|i|a|script|style|li|ul|table|td)(?:\s[^<>]*=[^<>]*)?/?>")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Tom &amp; Jerry&#39;s", "Tom & Jerry's"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("caf&eacute; &amp;eacute; &#x1F600;", "café é 😀"),
        ("5 &lt; 6 &amp;&amp; 7 > 3", "5 < 6 && 7 > 3"),
        ("&lt;b&gt;Bold&lt;/b&gt; claim", "Bold claim"),
        ("<b>H</b><sub>2</sub>O", "H2O"),
        ("one<br/>two<p>three</p>", "one two three"),
        ('<span id="productTitle" class="a-size-large">Kettle</span>', "Kettle"),
        ('Kettle <span id="productTitle" class="a-si', "Kettle"),
        ("Kettle </span></span></span>", "Kettle"),
        ('class="a-keyvalue prodDetTable" role="presentation">Material', "Material"),
        ("<script>var x = '<b>';</script>Lamp<style>.a{color:red}</style>", "Lamp"),
        ("Lamp <script>alert(1)", "Lamp"),
        ("Lamp<!-- hidden <b> -->shade", "Lamp shade"),
        ("var aPageStart = (new Date()).getTime();", ""),
        (
            "<!doctype html><html><head><script>var aPageStart = (new Date()).getTime();</script>",
            "",
        ),
        ("var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();", ""),
        (".a-box-inner{background-color:#fff}#aloha .selected{color:#e77600;box-sh", ""),
        ("$12.99 .price{color:red} each", "$12.99 each"),
        ("a\x00b\x07c\x7fd", "a b c d"),
        ("caf\x92 \x80 5", "caf’ € 5"),
        ("zero\u200bwidth \ufeffmark", "zerowidth mark"),
        ("  lots \t of\r\n\r\n space\u00a0here ", "lots of space here"),
        ("lone \ud83d half", "lone \ufffd half"),
        ("", ""),
        ("   \n", ""),
    ],
)
def test_examples(raw, clean):
    assert clean_text(raw) == clean


@pytest.mark.parametrize(
    "text",
    [
        "I <3 this",
        "if a<b and c>d",
        "AT&T and R&D",
        "Q&notes, black&copyright",
        "50% > 40%",
        "Größe: 5'4\" – naïve façade",
        "مرحبا بالعالم، کتاب‌ها",
        "日本語のタイトル",
        "हिन्दी क्‍ष",
        "👩‍👩‍👧 family",
        "<Brand New> Chair",
        "C++ {templates} in depth",
        "Function (of the heart): a novel",
        "x" * 10_000,
        " ".join(f"word{number}" for number in range(60)),
        "ALL CAPS and lower",
    ],
)
def test_what_stays_as_it_is(text):
    assert clean_text(text) == text


texts = st.text(
    st.one_of(
        st.sampled_from("<>&;/='\"{}()# \n\t\x80\x92abpivr"),
        st.characters(),
    )
) | st.lists(
    st.sampled_from(
        [
            "<b>",
            "</b>",
            "<br>",
            "<span id=",
            '"x">',
            "&amp;",
            "&lt;",
            "&#60;",
            "amp;",
            "<!--",
            "-->",
        ]
        + [
            "<script>",
            "</script>",
            "var aPageStart = ",
            ".a{b:c}",
            "{",
            "}",
            " ",
            "word",
            "é",
            "日",
        ]
    )
).map("".join)


@given(texts)
def test_cleaning_twice_is_cleaning_once(text):
    once = clean_text(text)
    assert clean_text(once) == once
    assert not TAG.search(once)
    assert once == once.strip()
    assert not re.search(r"[\x00-\x1f\x7f\ud800-\udfff]|\s\s", once)


@given(st.text(st.characters(categories=["L", "N", "P"], exclude_characters="<>&{}()=#.$")))
def test_letters_of_any_script_survive(text):
    assert clean_text(text) == text


@given(
    st.text(st.characters(categories=["L", "N", "Zs", "P"], exclude_characters="<{}()=#.$&;")),
    st.integers(1, 4),
)
def test_escaping_is_undone_however_often(text, times):
    escaped = text
    for _ in range(times):
        escaped = html.escape(escaped)
    assert clean_text(escaped) == clean_text(text)


def test_lists_lose_empty_texts_and_repetitions():
    assert clean_texts(["<b>one</b>", "", "two", "one", "<p></p>"]) == ["one", "two"]

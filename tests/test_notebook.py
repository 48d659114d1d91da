from __future__ import annotations

import pytest
from html_laws import HOSTILE, read_html

from qbert4rec_hf.notebook import block, code, columns, facts, html, meter, plain, table, unbroken


def test_text_of_others_stays_text_everywhere():
    cells = (HOSTILE, code(HOSTILE), meter(HOSTILE, 0.5), unbroken(HOSTILE))
    rows, text = read_html(
        block(
            table([HOSTILE] * 4, [cells], caption=HOSTILE, note=HOSTILE, numbers=1),
            facts(HOSTILE, {HOSTILE: HOSTILE}),
        )
    )
    shown = plain(HOSTILE)
    assert rows == [[shown] * 4, [shown] * 4, [shown] * 2]
    assert text.count("<script>alert(1)</script>") == 4 + 4 + 2 + 2 + 1


@pytest.mark.parametrize("text", [HOSTILE, "a\tb\r\n\x07c", "\u202egnp.exe", "\ud800", "  x  "])
def test_plain_text_does_nothing_to_a_terminal(text):
    shown = plain(text)
    assert shown.isprintable() and shown == shown.strip()
    shown.encode()


def test_long_text_is_cut():
    assert html("y" * 500) == "y" * 99 + "…"
    assert plain("y" * 500) == "y" * 500 and plain("y" * 5, 5) == "y" * 5
    # Cutting comes before escaping, so that no entity is cut in two.
    assert html("&" * 200) == "&amp;" * 99 + "…"


@pytest.mark.parametrize(
    ("share", "width"), [(0.25, 25), (7.0, 100), (-1.0, 0), (float("nan"), 0), (float("inf"), 0)]
)
def test_a_bar_stays_inside_its_cell(share, width):
    assert f"width:{width}%" in meter("0.1", share)


def test_an_empty_table_shows_its_note_alone():
    rows, text = read_html(table(["a", "b"], [], note="Nothing here."))
    assert rows == [] and text == "Nothing here."


def test_facts_that_are_none_are_left_out():
    rows, _ = read_html(facts("x", {"a": 0, "b": None, "c": ""}))
    assert rows == [["a", "0"], ["c", ""]]


def test_columns_are_aligned():
    assert columns(["a", "n"], [["long", "1"], ["b\n", "10"]], numbers=[1]).splitlines() == [
        "a      n",
        "long   1",
        "b     10",
    ]

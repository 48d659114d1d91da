from __future__ import annotations

import math

import pytest

from qbert4rec_hf.data.readers.prices import parse_price


@pytest.mark.parametrize(
    ("value", "price"),
    [
        (12.99, 12.99),
        (5, 5.0),
        (0, 0.0),
        ("$1,250.00", 1250.0),
        ("12.99", 12.99),
        ("from 12.99", 12.99),
        ("From $12.99", 12.99),
        ("$9.99 - $25.00", 9.99),
        ("$9.99-$25.00", 9.99),
        ("US$ 12", 12.0),
        ("12,99 €", 12.99),
        ("1.250,00 €", 1250.0),
        ("1 250,00", 1250.0),
        ("£3.5", 3.5),
        ("EUR 7", 7.0),
        (" $5 ", 5.0),
        ("1,250", 1250.0),
    ],
)
def test_prices(value, price):
    assert parse_price(value) == price


@pytest.mark.parametrize(
    "value",
    [None, "", "None", "—", "free", ".a-box-inner{background-color:#fff}", math.nan, math.inf]
    + [
        -1,
        pytest.param(10**400, id="beyond all floats"),
        True,
        ["$5"],
        {"amount": 5},
        "\n\t\t     <div class=",
        "5" * 300,
        "$1 off $2 off",
        "1.2.3",
    ],
)
def test_no_prices(value):
    assert parse_price(value) is None

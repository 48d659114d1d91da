"""Prices as numbers."""

from __future__ import annotations

import math
import re
from typing import Any

_MONEY = r"(?:USD|EUR|GBP|CAD|AUD|INR|JPY|CNY|US|Rs\.?|[$€£¥₹])"
_AMOUNT = r"\d[\d,.'\u00a0\u202f ]*"
_PRICE = re.compile(
    rf"(?:from|ab|starting at)?\s*{_MONEY}?\s*{_MONEY}?\s*({_AMOUNT})\s*{_MONEY}?"
    rf"(?:\s*(?:-|–|—|to|bis)\s*{_MONEY}?\s*{_AMOUNT}\s*{_MONEY}?)?",
    re.IGNORECASE,
)
# A comma before two last digits is a decimal comma: 1.250,00.
_DECIMAL_COMMA = re.compile(r"(?:\d{1,3}(?:\.\d{3})+|\d+),\d{1,2}")


def parse_price(value: Any) -> float | None:
    """Reads a price: a number, or a text such as "$1,250.00", "from 12.99" or "$9.99 - $25.00".

    Of a range the lower end counts. What is no price (page fragments, "None", negative numbers)
    gives None.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _plausible(value)
    if not isinstance(value, str) or len(value) > 100:
        return None
    match = _PRICE.fullmatch(value.strip())
    if match is None:
        return None
    amount = re.sub(r"[\s'\u00a0\u202f]", "", match.group(1))
    if _DECIMAL_COMMA.fullmatch(amount):
        amount = amount.replace(".", "").replace(",", ".")
    try:
        return _plausible(float(amount.replace(",", "")))
    except ValueError:
        return None


def _plausible(value: float) -> float | None:
    try:
        value = float(value)
    except OverflowError:
        # Of Python's whole numbers there is no largest.
        return None
    return value if math.isfinite(value) and value >= 0 else None

"""Columns of values as JSON in as few letters as they can be said; ``page_columns.js`` reads them.

A column is a list, or one of these:

- ``{"all": value}``: the same everywhere
- ``{"from": number}``: numbers one after the other
- ``{"over": divisor, "values": [...]}``: numbers, whole ones divided; null stays
- ``{"digits": text}``: whole numbers from 0 to 9
- ``{"prefix": text, "joined": text}``: texts that begin alike, with ``|`` between
- ``{"texts": [...], "at": column}``: a few texts by their numbers
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_BETWEEN = "|"
# Whole numbers and divisors up to here are exact in a browser.
_MOST_DECIMALS, _LARGEST = 15, 2**53


def rounded(value: float | None) -> float | None:
    """A number to five digits, seldom more, and to four decimals at least; None where it is none.

    Rounded once more it gives what the number itself gives: 0.01574978, which figures write as
    0.0157, is 0.015749 instead of 0.01575.
    """
    if value is None or not math.isfinite(value):
        return None
    near = _five_digits(value)
    if abs(value) >= _LARGEST:
        return near  # which has no decimals to be rounded
    # No other number can be rounded to another side than the one that it stands for.
    if not repr(near).partition("e")[0].rstrip("0.").endswith("5"):
        return near
    unit = 10.0 ** (math.floor(math.log10(abs(near))) - 4) if abs(near) < 10 else 1e-4
    others = (near, _five_digits(near - unit), _five_digits(near + unit), float(f"{value:.7g}"))
    return next((to for to in others if _is_written_alike(to, value)), near)


def _five_digits(value: float) -> float:
    return float(f"{value:.5g}") if abs(value) < 10 else round(value, 4)


def _is_written_alike(short: float, value: float) -> bool:
    """Whether a browser rounds ``short`` as Python does ``value``: to four decimals, and to three
    and four digits. Of two numbers as near a browser takes the one farther from 0."""
    exact = Decimal(short)
    for text in (f"{value:.4f}", f"{value:.2e}", f"{value:.3e}"):
        wanted = Decimal(text)
        if exact.quantize(wanted, ROUND_HALF_UP) != wanted:
            return False
    return True


def packed(values: Sequence[Any]) -> Any:
    """A column of texts, numbers and None as the shortest of the forms above."""
    values = list(values)
    if not values:
        return values
    # A whole number equals the float that is written otherwise.
    if len({(type(value), value) for value in values}) == 1:
        return {"all": values[0]}
    forms: list[Any] = [values]
    if all(type(value) is int for value in values):
        if values == list(range(values[0], values[0] + len(values))):
            return {"from": values[0]}
        if min(values) >= 0 and max(values) <= 9:
            return {"digits": "".join(map(str, values))}
    elif all(value is None or isinstance(value, float | int) for value in values):
        forms += _as_whole_numbers(values)
    elif all(isinstance(value, str) for value in values):
        forms += [*_joined(values), *_by_number(values)]
    return min(forms, key=lambda form: len(json.dumps(form, separators=(",", ":"))))


def _as_whole_numbers(values: Sequence[float | None]) -> list[Any]:
    exact = [None if value is None else Decimal(repr(value)) for value in values]
    decimals = max(max(0, -int(value.as_tuple().exponent)) for value in exact if value is not None)
    if decimals > _MOST_DECIMALS:
        return []
    over = 10**decimals
    whole = [None if value is None else int(value * over) for value in exact]
    if any(abs(value) > _LARGEST for value in whole if value is not None):
        return []
    return [{"over": over, "values": whole}]


def _joined(texts: Sequence[str]) -> list[Any]:
    if any(_BETWEEN in text for text in texts):
        return []
    # What the first and the last in order have in common, all have.
    first, last = min(texts), max(texts)
    length = 0
    while length < len(first) and first[length] == last[length]:
        length += 1
    return [{"prefix": first[:length], "joined": _BETWEEN.join(text[length:] for text in texts)}]


def _by_number(texts: Sequence[str]) -> list[Any]:
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    if len(numbers) > len(texts) // 2:
        return []
    return [{"texts": list(numbers), "at": packed([numbers[text] for text in texts])}]

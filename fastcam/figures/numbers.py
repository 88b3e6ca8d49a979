"""Numbers as they stand on figures: short, in one form, and never rounded to nothing.

A bar and the labels of its panel agree: plain decimals with a leading zero, or all of them with an
exponent where the bar ends below 0.001. ``classic_tick`` and ``classic_weight`` are the forms of
``--style classic``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

# So that a number fits beside its bar.
_MOST_DECIMALS = 6
# Bars that end below or from here have numbers with exponents.
_LEAST_PLAIN, _MOST_PLAIN = 1e-3, 1e5

# A bar's number, of its span and the step to the next number.
TickText = Callable[[float, float, float], str]


def weight(value: float, span: float) -> str:
    """A patch weight for its label, in the form that :func:`tick` gives a bar of ``span``.

    Four decimals, or two significant digits when smaller.

    >>> weight(0.05904, 0.0333), weight(0.00042, 0.0333), weight(0.00042, 0.00051)
    ('0.0590', '0.00042', '4.2e-4')
    """
    if value == 0.0:
        return "0.0000" if span >= _LEAST_PLAIN else "0"
    if span < _LEAST_PLAIN or value < 1e-6:
        return _scientific(value)
    decimals = 4 if value >= 0.001 else 1 - math.floor(math.log10(value))
    return f"{value:.{decimals}f}"


def tick(value: float, span: float, step: float = 0.0) -> str:
    """A color bar's number, with as many decimals as its span asks for.

    ``step`` to the next number: one or two decimals more where these would else be the same.

    >>> tick(0.0333, 0.0333), tick(0.0, 0.0333), tick(0.5, 1.0), tick(2.5e-6, 1e-5)
    ('0.0333', '0', '0.50', '2.5e-6')
    >>> tick(0.00512, 0.00516, 4e-5), tick(0.9985, 1.0, 5e-4), tick(-0.0003, 1.9)
    ('0.00512', '0.9985', '0.00')
    """
    if value == 0.0:
        return "0"
    if span < _LEAST_PLAIN or span >= _MOST_PLAIN:
        return _scientific(value)
    text = _plain(value, span, step)
    return text.removeprefix("-") if float(text) == 0.0 else text


def classic_weight(value: float) -> str:
    """A patch weight as it stood on older figures.

    >>> classic_weight(0.05904), classic_weight(0.00042), classic_weight(3.1e-6)
    ('0.0590', '0.00042', '3.1e-06')
    """
    if value == 0.0 or value >= 0.001:
        return f"{value:.4f}"
    return f"{value:.2g}" if value < 0.0001 else f"{value:.5f}"


def classic_tick(value: float, span: float, step: float = 0.0) -> str:
    """A color bar's number as it stood on older figures, without a leading zero.

    >>> classic_tick(0.0333, 0.0333), classic_tick(0.00042, 0.00042)
    ('.0333', '4.2e-4')
    """
    if value == 0.0:
        return "0"
    if span < 5e-4 or span >= _MOST_PLAIN:
        return _scientific(value)
    text = _plain(value, span, step)
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _plain(value: float, span: float, step: float) -> str:
    decimals = 0 if span >= 100 else 1 if span >= 10 else 2 if span >= 0.5 else 4
    if span < 5e-3:
        decimals = 5
    if step > 0.0:
        decimals = min(max(decimals, math.ceil(-math.log10(step))), decimals + 2, _MOST_DECIMALS)
    return f"{value:.{decimals}f}"

"""Numbers as they stand on figures: short, and never rounded to nothing."""

from __future__ import annotations

import math

# So that a number fits beside its bar.
_MOST_DECIMALS = 6


def weight(value: float) -> str:
    """A patch weight for its label: four decimals, or two significant digits when smaller.

    >>> weight(0.05904), weight(0.00042), weight(3.1e-6), weight(0.0)
    ('0.0590', '0.00042', '3.1e-06', '0.0000')
    """
    if value == 0.0 or value >= 0.001:
        return f"{value:.4f}"
    return f"{value:.2g}" if value < 0.0001 else f"{value:.5f}"


def tick(value: float, span: float, step: float = 0.0) -> str:
    """A color bar's number, with as many decimals as its span asks for and no leading zero.

    ``step`` to the next number: one or two decimals more where these would else be the same.

    >>> tick(0.0333, 0.0333), tick(0.0, 0.0333), tick(0.5, 1.0), tick(2.5e-6, 1e-5)
    ('.0333', '0', '.50', '2.5e-6')
    >>> tick(0.00512, 0.00516, 4e-5), tick(0.9985, 1.0, 5e-4)
    ('.00512', '.9985')
    """
    if value == 0.0:
        return "0"
    if span < 5e-4 or span >= 1e5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    decimals = 0 if span >= 100 else 1 if span >= 10 else 2 if span >= 0.5 else 4
    if span < 5e-3:
        decimals = 5
    if step > 0.0:
        decimals = min(max(decimals, math.ceil(-math.log10(step))), decimals + 2, _MOST_DECIMALS)
    text = f"{value:.{decimals}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text

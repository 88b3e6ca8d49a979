from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.figures import numbers

FLOAT32 = st.floats(0, 3.4028234663852886e38, width=32)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (0.05904, "0.0590"),
        (1.0, "1.0000"),
        (0.001, "0.0010"),
        (0.00042, "0.00042"),
        (9.9e-5, "0.000099"),
        (3.14159e-6, "0.0000031"),
        (1e-9, "1.0e-9"),
    ],
)
def test_a_weight_beside_a_bar_of_plain_numbers(value, shown):
    assert numbers.weight(value, 0.0333) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.00083, "8.3e-4"), (0.0012, "1.2e-3"), (3.1e-6, "3.1e-6")]
)
def test_a_weight_beside_a_bar_of_exponents(value, shown):
    assert numbers.weight(value, 0.00083) == shown


@given(FLOAT32, FLOAT32)
def test_a_weight_is_never_rounded_to_nothing(value, span):
    shown = float(numbers.weight(value, span))
    assert (shown > 0) == (value > 0)
    assert shown == pytest.approx(value, rel=0.06, abs=0)


@given(st.floats(2**-19, 1.0, width=32), st.floats(2**-19, 1.0, width=32))
def test_weights_and_ticks_of_a_figure_have_one_form(value, span):
    shown = numbers.weight(value, span), numbers.tick(span, span)
    assert len({"e" in text for text in shown}) == 1
    assert not any(text.startswith(".") for text in shown)


@pytest.mark.parametrize(
    ("value", "span", "shown", "classic"),
    [
        (0.0, 0.5, "0", "0"),
        (0.0333, 0.0333, "0.0333", ".0333"),
        (0.5, 1.0, "0.50", ".50"),
        (1.0, 1.0, "1.00", "1.00"),
        (2.5e-6, 1e-5, "2.5e-6", "2.5e-6"),
        (12.34, 12.34, "12.3", "12.3"),
        (150.0, 150.0, "150", "150"),
        (-0.25, 1.0, "-0.25", "-.25"),
        (0.00321, 0.00321, "0.00321", ".00321"),
        (0.0007, 0.0007, "7.0e-4", ".00070"),
        (1e6, 1e6, "1.0e6", "1.0e6"),
        (-10.5, 20.0, "-10.5", "-10.5"),
    ],
)
def test_a_tick(value, span, shown, classic):
    assert numbers.tick(value, span) == shown
    assert numbers.classic_tick(value, span) == classic


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.00501, 0.00517, ["0.00501", "0.00505", "0.00509", "0.00513", "0.00517"]),
        (0.9, 0.92, ["0.900", "0.905", "0.910", "0.915", "0.920"]),
        (0.0, 0.032, ["0", "0.0080", "0.0160", "0.0240", "0.0320"]),
        (100.0, 101.0, ["100.0", "100.2", "100.5", "100.8", "101.0"]),
        (1e-6, 1.01e-6, ["1.0e-6"] * 5),
    ],
)
def test_ticks_of_a_narrow_bar_differ(low, high, shown):
    """As far as there is room for decimals."""
    step = (high - low) / 4
    assert [numbers.tick(low + at * step, high, step) for at in range(5)] == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.00042, "0.00042"), (9.9e-5, "9.9e-05"), (0.05904, "0.0590")]
)
def test_a_weight_of_classic_figures(value, shown):
    assert numbers.classic_weight(value) == shown


@given(FLOAT32.filter(lambda v: v > 0), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_ticks_tell_the_quarters_of_a_bar_apart(high, share):
    """Two significant digits are enough for four steps, and eight characters are all there is."""
    if high * share == 0:
        return
    shown = numbers.tick(high * share, high)
    assert len(shown) <= 8
    assert math.isclose(float(shown), high * share, rel_tol=0.051)

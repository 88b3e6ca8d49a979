"""Two ways measured in turns, so that a machine whose speed changes slows both."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any


def rates_in_turns(
    reference: tuple[str, Callable[[], float]], ours: tuple[str, Callable[[], float]], rounds: int
) -> dict[str, Any]:
    """Median rates of two ways by name, the ``ratios`` of the rounds and their median ``ratio``.

    A way is its name and what gives its rate, in anything a second. A round is one run of ours
    between two of the reference; its ratio is ours to the mean of these two.
    """
    references, rates = [reference[1]()], []
    for _ in range(rounds):
        rates.append(ours[1]())
        references.append(reference[1]())
    beside = [statistics.mean(pair) for pair in pairwise(references)]
    ratios = [rate / mean for rate, mean in zip(rates, beside, strict=True)]
    return {
        reference[0]: statistics.median(references),
        ours[0]: statistics.median(rates),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }

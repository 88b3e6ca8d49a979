"""Numbers with their uncertainty: the bootstrap over cases."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
CONFIDENCE = 0.95
# Resampled cases in memory at a time: 16 MB for each array of a statistic.
_BATCH_CASES = 2_000_000

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Statistic = Callable[[Indices], Floats]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its interval; None where it is undefined.

    Attributes:
        value: the number.
        low: lower end of its 95 % interval.
        high: upper end of its 95 % interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


def estimates(
    names: Sequence[str],
    values: Sequence[float],
    count: int,
    statistic: Statistic,
    distances: Collection[str] = (),
) -> dict[str, Estimate]:
    """``values`` by name, each with its percentile bootstrap interval (Efron & Tibshirani 1993).

    ``statistic`` takes indices of cases (r, n), from 0 to ``count`` - 1 and drawn with replacement,
    one resample a row, and gives (names, r). It may give NaN where a resample leaves a number
    undefined, say without a case of one class; these resamples are left out. The interval is None
    for fewer than two cases, and where more than half of the resamples are left out. The seed is
    fixed: the same cases give the same interval.

    ``distances``: those of ``names`` that add up how far shares lie from what they should be. Cases
    that are drawn twice bring noise of their own, so that resamples lie farther off than the cases
    do, and often all above the value: these intervals are moved until the median of the resamples
    is the value, and end at 0.
    """
    plain = [float(value) if np.isfinite(value) else None for value in values]
    if count < 2:
        return {name: Estimate(value) for name, value in zip(names, plain, strict=True)}
    # Imported here: scipy.stats takes 0.5 s.
    from scipy.stats import bootstrap

    with warnings.catch_warnings():
        # SciPy warns of numbers that no resample changes, or that some leave undefined.
        warnings.simplefilter("ignore")
        resamples = bootstrap(
            (np.arange(count),),
            lambda indices, axis: statistic(indices.reshape(-1, count)).reshape(
                len(names), *indices.shape[:-1]
            ),
            n_resamples=RESAMPLES,
            batch=max(1, _BATCH_CASES // count),
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
            vectorized=True,
            axis=-1,
        ).bootstrap_distribution
    tail = (1.0 - CONFIDENCE) / 2
    intervals = {}
    for name, value, row in zip(names, plain, resamples, strict=True):
        finite = row[np.isfinite(row)]
        if value is None or 2 * finite.size < row.size:
            intervals[name] = Estimate(value)
        else:
            low, middle, high = np.quantile(finite, [tail, 0.5, 1.0 - tail]).tolist()
            if name in distances:
                low, high = max(0.0, low + value - middle), high + value - middle
            intervals[name] = Estimate(value, low, high)
    return intervals

"""Intervals against what many test sets of one population give."""

from __future__ import annotations

import numpy as np
from scipy.stats import bootstrap

from fastcam.jobs.evaluate.metrics.bootstrap import Floats, Indices, estimates

_BINS, _CASES, _SETS = 15, 120, 60


def _test_set(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Probabilities, and whether each came true: a little more often than they say."""
    probability = rng.random(_CASES)
    return probability, (rng.random(_CASES) < probability**0.9).astype(float)


def _errors(probability: Floats, true: Floats) -> Floats:
    """Of every row of (r, n): Guo et al. 2017, equation 3."""
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    parts = [np.abs(np.where(bins == b, true - probability, 0).sum(1)) for b in range(_BINS)]
    errors: Floats = np.sum(parts, axis=0) / probability.shape[1]
    return errors


def test_intervals_of_distances_hold_what_test_sets_of_this_size_have() -> None:
    rng = np.random.default_rng(4)
    sets = [_test_set(rng) for _ in range(_SETS)]
    others = [_test_set(rng) for _ in range(2000)]
    expected = _errors(*map(np.stack, zip(*others, strict=True))).mean()
    moved, plain = 0, 0
    for probability, true in sets:

        def errors(indices: Indices, p: Floats = probability, y: Floats = true) -> Floats:
            return _errors(p[indices], y[indices])[None]

        value = float(_errors(probability[None], true[None])[0])
        (own,) = estimates(["e"], [value], _CASES, errors, ["e"]).values()
        (usual,) = estimates(["e"], [value], _CASES, errors).values()
        assert own.low is not None
        assert own.high is not None
        assert usual.low is not None
        assert usual.high is not None
        assert 0 <= own.low <= value <= own.high
        moved += own.low <= expected <= own.high
        plain += usual.low <= expected <= usual.high
    assert plain < 0.9 * _SETS < moved


def test_other_intervals_are_scipys_percentiles() -> None:
    values = np.random.default_rng(5).gamma(2.0, size=40)
    (own,) = estimates(["m"], [values.mean()], 40, lambda i: values[i].mean(1)[None]).values()
    expected = bootstrap(
        (values,), np.mean, n_resamples=1000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert own.low is not None
    assert own.high is not None
    np.testing.assert_allclose([own.low, own.high], expected, rtol=0.03)

"""Differences of methods against SciPy's paired bootstrap and statsmodels' rule by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, norm

from fastcam.jobs.evaluate.metrics.method_comparison import (
    MethodValues,
    differences_of,
    holm,
    means_of,
    statements,
)


def _method(name: str, **values: object) -> MethodValues:
    return MethodValues(name, {k: np.asarray(v, float) for k, v in values.items()})


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.5: times 4, 3, 2, 1, and never falling.
    assert holm([0.03, 0.5, None, 0.01, 0.02]) == pytest.approx(
        [0.06, 0.5, None, 0.04, 0.06], abs=1e-12
    )
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_difference_has_the_interval_and_the_p_of_the_paired_bootstrap() -> None:
    rng = np.random.default_rng(3)
    first = rng.normal(0.5, 0.2, 40)
    second = first - rng.normal(0.05, 0.1, 40)
    second[3] = np.nan
    methods = [_method("a", deletion=second), _method("b", deletion=first)]
    (difference,) = differences_of(methods)
    # Of deletion low values are good.
    assert (difference.better, difference.worse, difference.images) == ("a", "b", 39)
    paired = (second - first)[np.isfinite(second)]
    result = bootstrap((paired,), np.mean, n_resamples=20_000, method="percentile", rng=rng)
    estimate = difference.difference
    assert estimate.value == pytest.approx(paired.mean())
    assert estimate.low == pytest.approx(result.confidence_interval.low, abs=0.005)
    assert estimate.high == pytest.approx(result.confidence_interval.high, abs=0.005)
    below = (result.bootstrap_distribution >= 0).mean()
    assert difference.p == pytest.approx(2 * below, abs=0.004)


def test_many_images_have_the_limit_of_it() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, 3000)
    second = first + rng.normal(0.03, 0.8, 3000)
    (difference,) = differences_of([_method("a", inside=first), _method("b", inside=second)])
    paired = second - first
    z = paired.mean() / (paired.std() / np.sqrt(3000))
    assert difference.p == pytest.approx(2 * norm.sf(abs(z)))


def test_noise_is_said_to_be_noise() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(0, 0.1, 30)
    methods = [
        _method("good", inside=base + 1.0),
        _method("alike", inside=base + 1.0 + rng.normal(0, 0.1, 30)),
        MethodValues("blob", {"inside": base}, baseline=True),
        MethodValues("noise", {"inside": base - 1}, baseline=True),
    ]
    differences = differences_of(methods)
    pairs = {(d.better, d.worse): d.is_shown for d in differences}
    assert len(differences) == 5, "two baselines are no pair"
    assert pairs[("good", "blob")]
    assert not pairs.get(("good", "alike"), pairs.get(("alike", "good")))
    (line,) = statements(methods, differences)
    assert line.startswith("share inside the mask (high is good, 30 images): good is better")
    assert "within noise: " in line
    few = [_method(name, inside=np.arange(4.0)) for name in "ab"]
    assert "too few images" in statements(few, differences_of(few))[0]
    assert differences_of(few)[0].p is None


def test_equal_methods_and_missing_values() -> None:
    same = [_method(name, insertion=np.full(20, 0.5)) for name in "ab"]
    assert differences_of(same)[0].p == 1.0
    empty = _method("a", inside=[np.nan, np.nan], insertion=[1.0, 3.0])
    assert set(means_of(empty)) == {"insertion"}
    assert means_of(empty)["insertion"].value == 2.0
    assert not differences_of([empty, _method("b", inside=[1.0, 2.0])])

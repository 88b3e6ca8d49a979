"""Errors and agreement against scikit-learn, SciPy, and cases worked by hand."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError
from fastcam.jobs.evaluate.metrics import bootstrap
from fastcam.jobs.evaluate.metrics.regression import (
    _resample_metrics,
    fit_line,
    group_name,
    group_of,
    regression_metrics,
    value_groups,
)


def oracle(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    difference = predicted - true
    sd = math.sqrt(sum((d - difference.mean()) ** 2 for d in difference) / (len(true) - 1))
    return {
        "mae": sklearn.metrics.mean_absolute_error(true, predicted),
        "rmse": math.sqrt(sklearn.metrics.mean_squared_error(true, predicted)),
        "r2": sklearn.metrics.r2_score(true, predicted),
        "pearson": scipy.stats.pearsonr(true, predicted)[0],
        "spearman": scipy.stats.spearmanr(true, predicted)[0],
        "bias": difference.mean(),
        "sd": sd,
        "loa_low": difference.mean() - 1.96 * sd,
        "loa_high": difference.mean() + 1.96 * sd,
    }


@pytest.fixture
def noisy() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    true = np.round(rng.uniform(20, 80, 60))
    return true, true + np.round(rng.normal(2, 6, 60))


def test_the_metrics(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    found = regression_metrics(*noisy)
    wanted = oracle(*noisy)
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].value == pytest.approx(value, rel=1e-12), name


def test_the_metrics_of_resamples(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    true, predicted = noisy
    places = np.random.default_rng(0).integers(0, len(true), (20, len(true)))
    found = _resample_metrics(true, predicted, places)
    for at, row in enumerate(places):
        wanted = oracle(true[row], predicted[row])
        np.testing.assert_allclose(found[:, at], list(wanted.values()), rtol=1e-9)


def test_the_intervals_are_those_of_scipy(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    true, predicted = noisy
    found = regression_metrics(true, predicted)["mae"]
    # The same seed and the mean of the same errors: the very same interval.
    same = scipy.stats.bootstrap(
        (np.abs(predicted - true),),
        np.mean,
        n_resamples=bootstrap.RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((same.low, same.high), rel=1e-9)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(60):
        true = rng.uniform(0, 1, 80)
        bias = regression_metrics(true, true + rng.normal(0.5, 1, 80))["bias"]
        assert bias.low is not None
        assert bias.high is not None
        covered += bias.low <= 0.5 <= bias.high
    assert 51 <= covered <= 60  # 57 expected; 3.6 standard deviations below


def test_bland_altman_by_hand() -> None:
    # Differences 1, 3, 2, 2: mean 2, squares of deviations 1 + 1, sd = sqrt(2 / 3).
    found = regression_metrics(np.array([10.0, 20, 30, 40]), np.array([11.0, 23, 32, 42]))
    sd = math.sqrt(2 / 3)
    assert found["bias"].value == 2.0
    assert found["sd"].value == pytest.approx(sd)
    assert found["loa_low"].value == pytest.approx(2 - 1.96 * sd)
    assert found["loa_high"].value == pytest.approx(2 + 1.96 * sd)


@pytest.mark.parametrize(
    ("true", "predicted", "known"),
    [
        ([], [], set()),
        ([5], [6], {"mae", "rmse", "bias"}),
        ([5, 5, 5], [6, 7, 8], {"mae", "rmse", "bias", "sd", "loa_low", "loa_high"}),
        ([5, 6, 7], [6, 6, 6], {"mae", "rmse", "r2", "bias", "sd", "loa_low", "loa_high"}),
    ],
)
def test_what_is_undefined_is_none(
    true: list[float], predicted: list[float], known: set[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = regression_metrics(np.array(true, float), np.array(predicted, float))
    assert {name for name, value in found.items() if value.value is not None} == known
    for value in found.values():
        assert value.value is not None or value.low is None


def test_groups_by_hand_with_a_maximum_on_a_border() -> None:
    true = np.array([20.0, 29.99, 30.0, 39.0, 40.0])
    predicted = np.array([21.0, 26.99, 30.0, 43.0, 43.0])
    first, last = value_groups(true, predicted, 10)
    assert (group_name(first), group_name(last)) == ("[20, 30)", "[30, 40]")
    # Errors 1 and -3; 0, 4 and 3, of the age 40 too.
    assert (first.n, first.mae, first.bias) == (2, pytest.approx(2), pytest.approx(-1))
    assert first.rmse == pytest.approx(math.sqrt((1 + 9) / 2))
    assert (last.n, last.mae) == (3, pytest.approx(7 / 3))
    assert last.rmse == pytest.approx(math.sqrt(25 / 3))
    assert [group_of(value, [first, last]) for value in true] == ["[20, 30)"] * 2 + ["[30, 40]"] * 3


def test_groups_without_anybody_and_groups_of_one() -> None:
    made = value_groups(np.array([5.0, 25.0]), np.array([5.0, 26.0]), 10)
    assert [(g.low, g.high, g.n, g.mae) for g in made] == [
        (0, 10, 1, 0.0),
        (10, 20, 0, None),
        (20, 30, 1, 1.0),
    ]
    (one,) = value_groups(np.array([20.0]), np.array([20.0]), 10)
    assert (one.low, one.high, one.n) == (20, 30, 1)
    assert value_groups(np.array([]), np.array([]), 10) == []


@settings(deadline=None)
@given(
    st.lists(st.integers(-400, 400), min_size=1, max_size=30),
    st.sampled_from([0.1, 0.3, 1.0, 2.5, 10.0]),
)
def test_nobody_is_lost(tenths: list[int], width: float) -> None:
    true = np.array(tenths) / 10 if width >= 1 else np.array(tenths) / 100
    made = value_groups(true, true, width)
    assert sum(group.n for group in made) == len(true)
    # From the definition, in whole hundredths.
    hundredths = [round(value * 100) for value in true.tolist()]
    for group in made:
        low, high = round(group.low * 100), round(group.high * 100)
        inside = [v for v in hundredths if low <= v < high or (group.last and v == high)]
        assert len(inside) == group.n
    assert made[0].n
    assert made[-1].n
    assert [group.last for group in made] == [False] * (len(made) - 1) + [True]


@pytest.mark.parametrize(
    ("width", "words"), [(0, "above 0"), (math.nan, "above 0"), (0.01, "6000 groups")]
)
def test_widths_that_are_wrong(width: float, words: str) -> None:
    with pytest.raises(InputError, match=rf"--group-width .*{words}"):
        value_groups(np.array([20.0, 80.0]), np.array([20.0, 80.0]), width)


def test_the_fit() -> None:
    true = np.array([1.0, 2.0, 3.0])
    assert fit_line(true, 2 * true + 1) == pytest.approx((2, 1))
    assert fit_line(np.ones(3), true) is None

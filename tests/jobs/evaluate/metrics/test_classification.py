"""Classes: against scikit-learn, and calibration against a plain loop."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.metrics

from fastcam.jobs.evaluate.metrics import classification
from fastcam.jobs.evaluate.metrics.bootstrap import Estimate
from fastcam.jobs.evaluate.metrics.classification import (
    BINS,
    _calibration_errors,
    _count_metrics,
    _Ranking,
    classification_metrics,
    confusion_counts,
    reliability,
)

Made = tuple[np.ndarray, np.ndarray, np.ndarray]


def made(classes: int, count: int = 80, seed: int = 2) -> Made:
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, count)
    shares = rng.dirichlet(np.ones(classes), count)
    shares[np.arange(count), true] += 0.4
    shares = np.round(shares / shares.sum(axis=1, keepdims=True), 2)  # with ties
    return true, shares.argmax(axis=1), shares


def calibration(true: np.ndarray, predicted: np.ndarray, shares: np.ndarray) -> float:
    """Guo et al. 2017, equation 3: sum over bins of |B| / n * |acc(B) - conf(B)|."""
    confidence = shares[np.arange(len(true)), predicted]
    total = 0.0
    for at in range(BINS):
        inside = (confidence > at / BINS) & (confidence <= (at + 1) / BINS)
        if inside.any():
            right = (predicted == true)[inside].mean()
            total += inside.mean() * abs(right - confidence[inside].mean())
    return total


def oracle(true: np.ndarray, predicted: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    classes = shares.shape[1]
    if classes == 2:
        auc = sklearn.metrics.roc_auc_score(true, shares[:, 1])
    else:
        # Rounded rows don't add up to 1, which scikit-learn asks of its multi-class AUC.
        each = [sklearn.metrics.roc_auc_score(true == c, shares[:, c]) for c in range(classes)]
        auc = float(np.mean(each))
    average = "binary" if classes == 2 else "macro"
    return {
        "accuracy": sklearn.metrics.accuracy_score(true, predicted),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(true, predicted),
        "auc": auc,
        "f1": sklearn.metrics.f1_score(true, predicted, average=average),
        "calibration_error": calibration(true, predicted, shares),
    }


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_metrics(classes: int) -> None:
    found = classification_metrics(*made(classes))
    for name, value in oracle(*made(classes)).items():
        estimate = found[name]
        assert estimate.value == pytest.approx(value), name
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < estimate.high


@pytest.mark.parametrize("classes", [2, 4])
def test_the_metrics_of_resamples(classes: int) -> None:
    true, predicted, shares = made(classes)
    places = np.random.default_rng(1).integers(0, len(true), (15, len(true)))
    confidence = shares[np.arange(len(true)), predicted]
    accuracy, balanced, f1 = _count_metrics(true[places], predicted[places], classes)
    auc = _Ranking(true, shares).auc(places)
    gaps = _calibration_errors(predicted[places] == true[places], confidence[places])
    for at, row in enumerate(places):
        wanted = oracle(true[row], predicted[row], shares[row])
        found = [accuracy[at], balanced[at], auc[at], f1[at], gaps[at]]
        np.testing.assert_allclose(found, list(wanted.values()))


def test_scikit_learns_own_mean_auc() -> None:
    true, predicted, shares = made(3)
    shares = shares / shares.sum(axis=1, keepdims=True)
    wanted = sklearn.metrics.roc_auc_score(true, shares, multi_class="ovr", average="macro")
    assert classification_metrics(true, predicted, shares)["auc"].value == pytest.approx(wanted)


def test_one_class_has_no_auc() -> None:
    shares = np.array([[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classification_metrics(np.ones(3, np.int64), shares.argmax(axis=1), shares)
    assert found["auc"] == Estimate(None)
    assert found["accuracy"].value == pytest.approx(2 / 3)
    assert found["balanced_accuracy"].value == pytest.approx(2 / 3)


def test_a_class_that_no_image_has() -> None:
    true, predicted, shares = made(3)
    kept = true < 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classification_metrics(true[kept], predicted[kept], shares[kept])
    recalls = [(predicted[true == c] == c).mean() for c in (0, 1)]
    assert found["balanced_accuracy"].value == pytest.approx(np.mean(recalls))
    assert found["auc"].value is not None


def test_nobody_and_one() -> None:
    none = np.empty(0, np.int64)
    empty = classification_metrics(none, none, np.empty((0, 3)))
    assert all(value.value is None for value in empty.values())
    one = classification_metrics(np.array([1]), np.array([1]), np.array([[0.1, 0.9]]))
    assert one["accuracy"] == Estimate(1.0)
    assert one["auc"].value is None


def test_too_many_probabilities_leave_the_auc_without_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classification, "_MOST_RANKED", 100)
    found = classification_metrics(*made(3))["auc"]
    assert found.value is not None
    assert found.low is None


def test_reliability_and_confusion_by_hand() -> None:
    true, predicted = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 1])
    shares = np.array([[0.99, 0.01], [0.02, 0.98], [0.6, 0.4], [0.4, 0.6]])
    found = reliability(true, predicted, shares)
    np.testing.assert_allclose(found.confidence, [0.6, 0.985])
    np.testing.assert_allclose(found.accuracy, [0.0, 1.0])
    assert found.n.tolist() == [2, 2]
    assert confusion_counts(true, predicted, 3).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_no_cases_are_no_error() -> None:
    none = np.empty(0, np.int64)
    assert confusion_counts(none, none, 3).tolist() == [[0] * 3] * 3
    found = classification_metrics(none, none, np.empty((0, 3)))
    assert {estimate.value for estimate in found.values()} == {None}

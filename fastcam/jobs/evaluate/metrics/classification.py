"""How well classes were predicted: right and wrong, ranking, calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.metrics.bootstrap import Estimate, Floats, Indices, estimates

BINS = 15
# Class probabilities to be ranked in one resample; above it the AUC has no interval.
_MOST_RANKED = 1_000_000

METRICS = {
    "accuracy": "share predicted right",
    "balanced_accuracy": "mean of the recalls of the classes that occur",
    "auc": "area under the ROC curve; of more than two classes the mean of one against the rest",
    "f1": "F1 of class 1; of more than two classes the mean over classes",
    "calibration_error": f"expected calibration error in {BINS} bins of equal width over the "
    "confidence (Guo et al. 2017)",
}

# Sums of distances between shares, whose resamples lie too high.
DISTANCES = ("calibration_error",)

Classes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of the confidence that hold cases, one entry a bin.

    Attributes:
        confidence: (b,) mean confidence of the bin's cases, 0 to 1.
        accuracy: (b,) share of them that is predicted right, 0 to 1.
        n: (b,) number of cases.
    """

    confidence: Floats
    accuracy: Floats
    n: NDArray[np.int64]


def classification_metrics(
    true: Classes, predicted: Classes, probability: Floats, ranking: Floats | None = None
) -> dict[str, Estimate]:
    """METRICS of classes (n,) and ``probability`` (n, k), each with its 95 % interval.

    ``ranking`` (n, k) orders the cases for the AUC, which is None where fewer than two classes
    occur; without it the probability does.
    """
    ranking = probability if ranking is None else ranking
    values = dict.fromkeys(METRICS, math.nan)
    count = probability.shape[1]
    if true.size:
        from sklearn.metrics import accuracy_score, f1_score

        values["accuracy"] = accuracy_score(true, predicted)
        values["balanced_accuracy"] = _balanced(true, predicted)
        values["auc"] = _auc(true, ranking)
        average = "binary" if count == 2 else "macro"
        values["f1"] = f1_score(true, predicted, average=average, zero_division=0.0)
        values["calibration_error"] = _calibration_error(reliability(true, predicted, probability))
    ranked = _Ranking(true, ranking) if ranking.size <= _MOST_RANKED else None
    confidence = _confidence(predicted, probability)

    def resample_metrics(indices: Indices) -> Floats:
        return np.stack(
            [
                *_count_metrics(true[indices], predicted[indices], count),
                np.full(len(indices), np.nan) if ranked is None else ranked.auc(indices),
                _calibration_errors(predicted[indices] == true[indices], confidence[indices]),
            ]
        )[[0, 1, 3, 2, 4]]

    return estimates(list(values), list(values.values()), true.size, resample_metrics, DISTANCES)


def confusion_counts(true: Classes, predicted: Classes, count: int) -> NDArray[np.int64]:
    """Numbers of cases (k, k): rows are the true classes, columns the predicted ones.

    Zeros where there are no cases, which scikit-learn's confusion_matrix refuses.
    """
    return np.bincount(true * count + predicted, minlength=count**2).reshape(count, count)


def reliability(true: Classes, predicted: Classes, probability: Floats) -> Reliability:
    """Confidence against accuracy, in bins ``(i / BINS, (i + 1) / BINS]`` of the confidence."""
    confidence = _confidence(predicted, probability)
    bins = _bins(confidence)
    n = np.bincount(bins, minlength=BINS)
    right = np.bincount(bins, weights=predicted == true, minlength=BINS)
    sums = np.bincount(bins, weights=confidence, minlength=BINS)
    filled = n > 0
    return Reliability(sums[filled] / n[filled], right[filled] / n[filled], n[filled])


def _confidence(predicted: Classes, probability: Floats) -> Floats:
    confidence: Floats = np.take_along_axis(probability, predicted[:, None], axis=1)[:, 0]
    return confidence


def _bins(confidence: Floats) -> Indices:
    return np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)


def _calibration_error(bins: Reliability) -> float:
    return float((bins.n * np.abs(bins.accuracy - bins.confidence)).sum() / bins.n.sum())


def _balanced(true: Classes, predicted: Classes) -> float:
    from sklearn.metrics import recall_score

    # balanced_accuracy_score warns of predictions that are nobody's class.
    return float(recall_score(true, predicted, labels=np.unique(true), average="macro"))


def _auc(true: Classes, ranking: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    if len(np.unique(true)) < 2:
        return math.nan
    if ranking.shape[1] == 2:
        return float(roc_auc_score(true, ranking[:, 1]))
    # Class by class: scikit-learn's multi-class AUC refuses a test set in which one is missing.
    aucs = [roc_auc_score(true == c, ranking[:, c]) for c in np.unique(true)]
    return float(np.mean(aucs))


def _count_metrics(true: Classes, predicted: Classes, count: int) -> tuple[Floats, Floats, Floats]:
    """Accuracy, balanced accuracy and F1 of every row of (r, n)."""
    rows = np.arange(len(true))[:, None]
    size = len(true) * count

    def counts(classes: Classes, selection: NDArray[np.bool_] | None = None) -> Floats:
        weights = None if selection is None else selection.ravel()
        flat = (rows * count + classes).ravel()
        return np.bincount(flat, weights, size).reshape(-1, count).astype(np.float64)

    hits = counts(true, true == predicted)
    support, predictions = counts(true), counts(predicted)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = hits / support
        f1 = 2 * hits / (support + predictions)
    accuracy = hits.sum(axis=1) / true.shape[1]
    if count == 2:
        return accuracy, _mean(recall), np.nan_to_num(f1[:, 1])
    return accuracy, _mean(recall), _mean(f1)


def _mean(values: Floats) -> Floats:
    """The mean of each row's known values; every row has one."""
    finite = np.isfinite(values)
    mean: Floats = np.where(finite, values, 0.0).sum(axis=1) / finite.sum(axis=1)
    return mean


def _calibration_errors(right: NDArray[np.bool_], confidence: Floats) -> Floats:
    """The calibration error of every row of (r, n)."""
    rows = np.arange(len(right))[:, None]
    flat = (rows * BINS + _bins(confidence)).ravel()
    missing = np.bincount(flat, (right - confidence).ravel(), len(right) * BINS)
    errors: Floats = np.abs(missing.reshape(-1, BINS)).sum(axis=1) / right.shape[1]
    return errors


class _Ranking:
    """AUCs of resamples.

    Cases are ranked once; a resample then only counts, for each rank, the cases of the
    class and the others.
    """

    def __init__(self, true: Classes, ranking: Floats) -> None:
        present = np.unique(true)
        self._classes = [1] if ranking.shape[1] == 2 else present.tolist()
        if len(present) < 2:
            self._classes = []
        self._true = true
        self._ranks = {c: np.unique(ranking[:, c], return_inverse=True)[1] for c in self._classes}

    def auc(self, indices: Indices) -> Floats:
        """(r,) of (r, n); NaN where a class has no case, or all."""
        if not self._classes:
            return np.full(len(indices), np.nan)
        aucs = np.stack([self._class_auc(c, indices) for c in self._classes], axis=1)
        with np.errstate(invalid="ignore"):
            mean: Floats = np.where(
                np.isfinite(aucs).any(axis=1),
                np.nansum(aucs, axis=1) / np.isfinite(aucs).sum(axis=1),
                np.nan,
            )
        return mean

    def _class_auc(self, c: int, indices: Indices) -> Floats:
        ranks = self._ranks[c]
        width = int(ranks.max()) + 1
        flat = np.arange(len(indices))[:, None] * width + ranks[indices]
        own = self._true[indices] == c
        size = len(indices) * width
        positive = np.bincount(flat[own], minlength=size).reshape(-1, width)
        negative = np.bincount(flat[~own], minlength=size).reshape(-1, width)
        below = negative.cumsum(axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            auc: Floats = np.where(pairs > 0, (positive * below).sum(axis=1) / pairs, np.nan)
        return auc

"""How well many findings were predicted at once: by finding, and over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.metrics.bootstrap import Estimate, Floats, Indices, estimates

BINS = 15
METRICS = {
    "auc": "area under the ROC curve",
    "average_precision": "area under the precision-recall curve, by steps",
    "sensitivity": "share of the images with the finding that are predicted, at the threshold",
    "specificity": "share of the images without it that are not, at the threshold",
    "brier": "mean of (probability - 0 or 1)²",
    "calibration_error": f"expected calibration error in {BINS} bins of equal width over the "
    "probability (Guo et al. 2017)",
}
# Of all findings together, and their mean.
OVERALL = ("auc", "average_precision", "brier", "calibration_error")
# Sums of distances between shares, whose resamples lie too high.
DISTANCES = ("calibration_error",)


@dataclass(frozen=True, kw_only=True)
class FindingMetrics:
    """One finding over a test set.

    Attributes:
        name: what it is called.
        present: images that have it.
        absent: images that haven't.
        unknown: images of which it isn't said, which are left out.
        threshold: the probability at which sensitivity + specificity is highest (Youden 1950); None
            where all images have it, or none.
        metrics: METRICS, each with its interval.
    """

    name: str
    present: int
    absent: int
    unknown: int
    threshold: float | None
    metrics: dict[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class FindingsMetrics:
    """All findings of a test set.

    Attributes:
        findings: one by one, in the order of the model's outputs.
        micro: OVERALL of all known pairs of image and finding together.
        macro: the mean of OVERALL over the findings of which it is defined.
    """

    findings: tuple[FindingMetrics, ...]
    micro: dict[str, Estimate]
    macro: dict[str, Estimate]


def findings_metrics(
    true: Floats, probability: Floats, names: Sequence[str], ranking: Floats | None = None
) -> FindingsMetrics:
    """The metrics of ``true`` (n, k), 1 for present, 0 for absent and NaN for unknown, and
    ``probability`` (n, k), with 95 % intervals by resampling images.

    ``ranking`` (n, k) orders the images for AUC and average precision; without it the probability
    does. What is undefined, as an AUC where all images have the finding, is None.
    """
    ranking = probability if ranking is None else ranking
    columns = [
        _Column(*(values[:, k : k + 1] for values in (true, probability, ranking)))
        for k in range(true.shape[1])
    ]
    findings = []
    for name, column in zip(names, columns, strict=True):
        known = column.known
        findings.append(
            FindingMetrics(
                name=name,
                present=int((column.true[known] == 1).sum()),
                absent=int((column.true[known] == 0).sum()),
                unknown=int((~known).sum()),
                threshold=column.threshold,
                metrics=_estimates(METRICS, len(true), column.values),
            )
        )
    together = _Column(true, probability, ranking)

    def means(indices: Indices) -> Floats:
        parts = np.stack([column.values(indices, OVERALL) for column in columns])
        finite = np.isfinite(parts)
        with np.errstate(invalid="ignore"):
            mean: Floats = np.where(finite, parts, 0.0).sum(0) / finite.sum(0)
        return mean

    return FindingsMetrics(
        findings=tuple(findings),
        micro=_estimates(OVERALL, len(true), lambda i: together.values(i, OVERALL)),
        macro=_estimates(OVERALL, len(true), means),
    )


def _estimates(names: object, count: int, values: object) -> dict[str, Estimate]:
    listed = list(names)  # type: ignore[call-overload]
    if not count:
        return dict.fromkeys(listed, Estimate(None))
    whole = values(np.arange(count)[None])[:, 0]  # type: ignore[operator]
    return estimates(listed, whole.tolist(), count, values, DISTANCES)  # type: ignore[arg-type]


class _Column:
    """One finding, or several taken together: true values and probabilities (n, j) of images.

    Pairs are ranked once, by ``ranking`` (n, j); a resample then only counts, for each rank, those
    that are present and those that are absent.
    """

    def __init__(self, true: Floats, probability: Floats, ranking: Floats) -> None:
        self.true, self.probability = true, probability
        self.known: NDArray[np.bool_] = np.isfinite(true)
        _, ranks = np.unique(ranking, return_inverse=True)
        self._ranks = ranks.reshape(probability.shape)
        self._width = int(self._ranks.max(initial=0)) + 1
        self.threshold = self._best_threshold()

    def _best_threshold(self) -> float | None:
        true, probability = self.true[self.known] == 1, self.probability[self.known]
        if not true.any() or true.all():
            return None
        from sklearn.metrics import roc_curve

        wrong, right, thresholds = roc_curve(true, probability)
        best = int(np.argmax(right - wrong))
        # The first threshold lies above all probabilities.
        value = float(thresholds[best])
        return value if math.isfinite(value) else float(probability.max())

    def values(self, indices: Indices, names: Sequence[str] = tuple(METRICS)) -> Floats:
        """``names`` of resamples ``indices`` (r, n) of the images: (names, r)."""
        true, labeled = self.true[indices], self.known[indices]
        shape = (len(indices), -1)
        flat_true = np.where(labeled, true, 0.0).reshape(shape)
        flat_known = labeled.reshape(shape)
        probability = self.probability[indices].reshape(shape)
        present = flat_known & (flat_true == 1)
        absent = flat_known & (flat_true == 0)
        counts = flat_known.sum(1)
        results: dict[str, Floats] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            if {"auc", "average_precision"} & {*names}:
                positive, negative = (self._by_rank(indices, part) for part in (present, absent))
                below = negative.cumsum(1) - negative / 2
                pairs = positive.sum(1) * negative.sum(1)
                results["auc"] = np.where(pairs > 0, (positive * below).sum(1) / pairs, np.nan)
                hits = positive[:, ::-1].cumsum(1)
                precision = hits / (hits + negative[:, ::-1].cumsum(1))
                gain = positive[:, ::-1] / positive.sum(1, keepdims=True)
                results["average_precision"] = np.where(
                    positive.sum(1) > 0, np.nansum(precision * gain, axis=1), np.nan
                )
            if "sensitivity" in names:
                predicted = np.zeros_like(present)
                if self.threshold is not None:
                    predicted = probability >= self.threshold
                undefined = np.nan if self.threshold is None else 0.0
                results["sensitivity"] = (present & predicted).sum(1) / present.sum(1) + undefined
                results["specificity"] = (absent & ~predicted).sum(1) / absent.sum(1) + undefined
            squares = np.where(flat_known, (probability - flat_true) ** 2, 0.0)
            results["brier"] = squares.sum(1) / counts
            results["calibration_error"] = self._calibration(
                probability, np.where(flat_known, flat_true - probability, 0.0), counts
            )
        return np.stack([results[name] for name in names])

    def _by_rank(self, indices: Indices, part: NDArray[np.bool_]) -> Floats:
        """How many pairs of ``part`` (r, n·j) have each rank: (r, ranks)."""
        rows = np.arange(len(indices))[:, None] * self._width
        flat = rows + self._ranks[indices].reshape(len(indices), -1)
        counts = np.bincount(flat[part], minlength=len(indices) * self._width)
        return counts.reshape(len(indices), -1).astype(np.float64)

    @staticmethod
    def _calibration(probability: Floats, differences: Floats, counts: Floats) -> Floats:
        bins = np.clip(np.ceil(probability * BINS).astype(np.intp) - 1, 0, BINS - 1)
        rows = np.arange(len(probability))[:, None] * BINS
        sums = np.bincount(
            (rows + bins).ravel(), differences.ravel(), len(probability) * BINS
        ).reshape(-1, BINS)
        errors: Floats = np.abs(sums).sum(1) / counts
        return errors

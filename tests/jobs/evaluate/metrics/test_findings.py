"""Metrics of many findings against scikit-learn, and against loops over resamples."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from fastcam.jobs.evaluate.metrics.bootstrap import Floats
from fastcam.jobs.evaluate.metrics.findings import METRICS, OVERALL, _Column, findings_metrics


def _set(count: int = 60, findings: int = 4) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(3)
    true = (rng.random((count, findings)) < 0.4).astype(float)
    probability = np.clip(0.3 * true + 0.7 * rng.random(true.shape), 0, 1)
    # Ties, and unknown values.
    probability[::5] = np.round(probability[::5], 1)
    true[rng.random(true.shape) < 0.15] = np.nan
    return true, probability


def test_each_finding_is_scikit_learns() -> None:
    true, probability = _set()
    result = findings_metrics(true, probability, list("abcd"))
    for number, finding in enumerate(result.findings):
        known = np.isfinite(true[:, number])
        y, p = true[known, number], probability[known, number]
        values = {name: estimate.value for name, estimate in finding.metrics.items()}
        assert values["auc"] == pytest.approx(roc_auc_score(y, p))
        assert values["average_precision"] == pytest.approx(average_precision_score(y, p))
        assert values["brier"] == pytest.approx(brier_score_loss(y, p))
        assert (finding.present, finding.absent, finding.unknown) == (
            int(y.sum()), int((1 - y).sum()), int((~known).sum()),
        )  # fmt: skip
        candidates = [((p[y == 1] >= t).mean() + (p[y == 0] < t).mean(), t) for t in np.unique(p)]
        assert finding.threshold is not None
        best = max(candidates)[0]
        assert values["sensitivity"] is not None
        assert values["specificity"] is not None
        assert values["sensitivity"] + values["specificity"] == pytest.approx(best)
        assert values["sensitivity"] == pytest.approx((p[y == 1] >= finding.threshold).mean())
        error, edges = 0.0, np.linspace(0, 1, 16)
        for low, high in pairwise(edges):
            inside = (p > low) & (p <= high) | ((low == 0) & (p == 0))
            error += abs((y[inside] - p[inside]).sum()) / len(y)
        assert values["calibration_error"] == pytest.approx(error)


def test_micro_and_macro_are_scikit_learns() -> None:
    true, probability = _set()
    result = findings_metrics(true, probability, list("abcd"))
    known = np.isfinite(true)
    assert result.micro["auc"].value == pytest.approx(
        roc_auc_score(true[known], probability[known])
    )
    assert result.micro["average_precision"].value == pytest.approx(
        average_precision_score(true[known], probability[known])
    )
    for name in OVERALL:
        parts = [finding.metrics[name].value or 0.0 for finding in result.findings]
        assert result.macro[name].value == pytest.approx(float(np.mean(parts)))


def test_resamples_are_as_one_by_one() -> None:
    true, probability = _set(25, 2)
    column = _Column(true, probability, probability)
    indices = np.random.default_rng(1).integers(0, 25, (7, 25))
    values = column.values(indices)
    for row, chosen in enumerate(indices):
        y, p = true[chosen].ravel(), probability[chosen].ravel()
        known = np.isfinite(y)
        table = dict(zip(METRICS, values[:, row], strict=True))
        assert table["auc"] == pytest.approx(roc_auc_score(y[known], p[known]))
        assert table["average_precision"] == pytest.approx(
            average_precision_score(y[known], p[known])
        )
        assert table["brier"] == pytest.approx(brier_score_loss(y[known], p[known]))


def test_intervals_contain_their_values() -> None:
    result = findings_metrics(*_set(), list("abcd"))
    for metrics in (result.micro, result.macro, *(f.metrics for f in result.findings)):
        for estimate in metrics.values():
            assert estimate.low is not None
            assert estimate.value is not None
            assert estimate.high is not None
            assert estimate.low <= estimate.value <= estimate.high + 1e-9


def test_what_is_undefined_is_none() -> None:
    true = np.array([[1.0, 0.0, np.nan], [1.0, 1.0, np.nan], [1.0, 0.0, np.nan]])
    probability = np.array([[0.9, 0.2, 0.5], [0.8, 0.7, 0.5], [0.7, 0.3, 0.5]])
    always, mixed, never = findings_metrics(true, probability, list("abc")).findings
    assert always.metrics["auc"].value is None
    assert always.threshold is None
    assert always.metrics["brier"].value is not None
    assert mixed.metrics["auc"].value == 1.0
    assert never.metrics["brier"].value is None
    assert never.unknown == 3

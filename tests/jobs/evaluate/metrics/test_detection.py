"""Means over explained boxes, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from fastcam.jobs.evaluate.metrics.detection import BoxMeasure, target_metrics
from fastcam.jobs.evaluate.metrics.localization import Localization, unmeasured


def _measure(label: int, score: float, share: float | None, mask: float | None) -> BoxMeasure:
    def against(value: float | None) -> Localization:
        if value is None:
            return unmeasured("no mask")
        return Localization(value, 0.25, value / 0.25, value > 0.5, 0.25, value / 2, 0.5)

    return BoxMeasure(
        label=label,
        score=score,
        corners=(0.0, 0.0, 1.0, 1.0),
        inside_box=against(share),
        inside_mask=against(mask),
    )


def test_what_is_undefined_is_in_no_mean() -> None:
    generator = np.random.default_rng(0)
    scores, shares = generator.random((2, 12))
    labels = generator.integers(0, 2, 12)
    measures: list[BoxMeasure | None] = [
        _measure(int(label), float(score), float(share) if n else None, None if n % 2 else 0.75)
        for n, (label, score, share) in enumerate(zip(labels, scores, shares, strict=True))
    ]
    found = target_metrics("box:best", [*measures, None, None], {0: "cat"}, True)
    assert (found.boxes, found.missing) == (12, 2)
    metrics = found.metrics
    assert metrics["score"].value == pytest.approx(scores.mean())
    assert metrics["share_inside_box"].value == pytest.approx(shares[1:].mean())
    assert metrics["peak_inside_box"].value == pytest.approx((shares[1:] > 0.5).mean())
    assert metrics["box_iou"].value == pytest.approx(shares[1:].mean() / 2)
    assert metrics["share_inside_mask"].value == pytest.approx(0.75)
    assert metrics["share_inside_mask"].low == pytest.approx(0.75)
    # The percentile bootstrap's interval is about two standard errors of the mean to either side.
    error = shares[1:].std() / np.sqrt(11)
    low, high = metrics["share_inside_box"].low, metrics["share_inside_box"].high
    assert low is not None
    assert high is not None
    assert high - low == pytest.approx(3.92 * error, rel=0.15)
    assert found.inside_box.reasons == {"no mask": 1}
    assert (found.inside_box.n, found.inside_box.measured) == (12, 11)
    assert found.inside_mask is not None
    assert found.inside_mask.measured == 6
    for entry in found.labels:
        chosen = labels == entry.label
        assert entry.name == ("cat" if entry.label == 0 else "1")
        assert entry.boxes == chosen.sum()
        assert entry.metrics["score"] == pytest.approx(scores[chosen].mean())
        of_maps = chosen & (np.arange(12) > 0)
        assert entry.metrics["share_inside_box"] == pytest.approx(shares[of_maps].mean())


def test_no_box_at_all() -> None:
    found = target_metrics("box:2", [None, None], {}, False)
    assert (found.boxes, found.missing, found.labels) == (0, 2, ())
    assert found.metrics["score"].value is None
    assert "share_inside_mask" not in found.metrics
    assert found.inside_mask is None

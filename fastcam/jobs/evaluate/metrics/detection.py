"""The explained boxes of a test set: their scores, and where their maps lie, as means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastcam.jobs.evaluate.metrics.bootstrap import Estimate, Floats, Indices, estimates
from fastcam.jobs.evaluate.metrics.localization import (
    Localization,
    LocalizationSummary,
    compare_groups,
)

_BOX = {
    "score": "score of the explained box",
    "share_inside_box": "share of the map that lies inside the box; by chance box_area",
    "box_area": "the box's share of what the model saw",
    "peak_inside_box": "share of the images whose map is highest inside the box; by chance "
    "box_area",
    "box_iou": "intersection over union of the box and the map at its best threshold",
}
_MASK = {
    "share_inside_mask": "share of the map that lies inside the mask; by chance mask_area",
    "mask_area": "the mask's share of what the model saw",
    "peak_inside_mask": "share of the images whose map is highest inside the mask; by chance "
    "mask_area",
    "mask_iou": "intersection over union of the mask and the map at its best threshold",
}
METRICS = {**_BOX, **_MASK}


@dataclass(frozen=True, kw_only=True)
class BoxMeasure:
    """One explained box of one image.

    Attributes:
        label: its class, as the model numbers them.
        score: as the model gives it.
        corners: x1, y1, x2, y2 in pixels of the image.
        inside_box: where its map lies against the box.
        inside_mask: where it lies against the image's mask; None without one.
    """

    label: int
    score: float
    corners: tuple[float, float, float, float]
    inside_box: Localization
    inside_mask: Localization | None = None

    def numbers(self) -> dict[str, float | None]:
        """METRICS of this box; None for what is undefined."""
        values: dict[str, float | None] = {"score": self.score}
        for name, entry in (("box", self.inside_box), ("mask", self.inside_mask)):
            own = Localization() if entry is None else entry
            values |= {
                f"share_inside_{name}": own.share,
                f"{name}_area": own.area,
                f"peak_inside_{name}": None if own.hit is None else float(own.hit),
                f"{name}_iou": own.iou,
            }
        return values


@dataclass(frozen=True, kw_only=True)
class LabelMetrics:
    """The boxes of one class.

    Attributes:
        label: the class.
        name: what it is called.
        boxes: how many there are.
        metrics: METRICS by name, each the mean over the boxes of which it is defined; None where
            there are none.
    """

    label: int
    name: str
    boxes: int
    metrics: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class TargetMetrics:
    """What one target explains, over a test set.

    Attributes:
        target: as ``box:best``.
        boxes: images that have such a box.
        missing: images that have none; they are in no mean.
        metrics: METRICS, each the mean over the images of which it is defined, with its interval;
            those of masks only where there are any.
        labels: the same by class of the box, without intervals.
        inside_box: all maps against their boxes.
        inside_mask: all maps against the images' masks; None where there are none.
    """

    target: str
    boxes: int
    missing: int
    metrics: dict[str, Estimate]
    labels: tuple[LabelMetrics, ...]
    inside_box: LocalizationSummary
    inside_mask: LocalizationSummary | None


def target_metrics(
    target: str, measures: Sequence[BoxMeasure | None], names: Mapping[int, str], masked: bool
) -> TargetMetrics:
    """The numbers of one target, of which ``measures`` has one an image, None where it has no such
    box.

    ``names``: what classes are called; others are their numbers. ``masked``: whether there are
    masks. Intervals are of 95 %, by resampling the images that have such a box.
    """
    own = [entry for entry in measures if entry is not None]
    metrics = [*_BOX, *(_MASK if masked else ())]
    labels = []
    for label in sorted({entry.label for entry in own}):
        of_label = [entry for entry in own if entry.label == label]
        means = _means(_table(of_label, metrics), np.arange(len(of_label))[None])[:, 0].tolist()
        values = {
            name: mean if np.isfinite(mean) else None
            for name, mean in zip(metrics, means, strict=True)
        }
        name = names.get(label, str(label))
        labels.append(LabelMetrics(label=label, name=name, boxes=len(of_label), metrics=values))
    in_masks = [entry.inside_mask for entry in own if entry.inside_mask is not None]
    return TargetMetrics(
        target=target,
        boxes=len(own),
        missing=len(measures) - len(own),
        metrics=_estimates(own, metrics),
        labels=tuple(labels),
        inside_box=_summary([entry.inside_box for entry in own]),
        inside_mask=_summary(in_masks) if masked else None,
    )


def _summary(localizations: Sequence[Localization]) -> LocalizationSummary:
    # Without true values no prediction is good or bad.
    return compare_groups(localizations, [None] * len(localizations))


def _estimates(measures: Sequence[BoxMeasure], metrics: Sequence[str]) -> dict[str, Estimate]:
    if not measures:
        return dict.fromkeys(metrics, Estimate(None))
    table = _table(measures, metrics)
    whole = _means(table, np.arange(len(table))[None])[:, 0].tolist()
    return estimates(metrics, whole, len(table), lambda indices: _means(table, indices))


def _table(measures: Sequence[BoxMeasure], metrics: Sequence[str]) -> Floats:
    """(n, metrics), NaN for what is undefined."""
    rows = [[entry.numbers()[name] for name in metrics] for entry in measures]
    return np.array(rows, np.float64).reshape(len(rows), len(metrics))


def _means(table: Floats, indices: Indices) -> Floats:
    """The means (metrics, r) of what is finite in the rows that ``indices`` (r, n) draw."""
    drawn = table[indices]
    finite = np.isfinite(drawn)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(finite, drawn, 0.0).sum(1) / finite.sum(1)
    return means.T

"""How well the classes of pixels were predicted: overlap and surface distances, by MONAI."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.jobs.evaluate.metrics.bootstrap import Estimate, Floats, Indices, estimates
from fastcam.models.external import import_errors

METRICS = {
    "dice": "2 |true and predicted| / (|true| + |predicted|); 0 where only one of them is there",
    "iou": "|true and predicted| / |true or predicted|; 0 where only one of them is there",
    "surface_distance": "mean distance from the surface of either to that of the other",
    "hausdorff95": "95th percentile of the distances from one surface to the other, the larger of "
    "both directions",
}
# Of two masks; above it overlap is called good (Zijdenbos et al. 1994).
GOOD_DICE = 0.7
_METRICS = "monai.metrics"


@dataclass(frozen=True, slots=True)
class Overlap:
    """A class's true pixels against its predicted ones, of one image.

    Attributes:
        dice: 0 to 1; None where the class is neither there nor predicted.
        iou: likewise.
        surface_distance: 0 or more, in the unit of the spacing; None unless the class is both.
        hausdorff95: likewise.
        true_pixels: how many pixels, or voxels, are the class.
        predicted_pixels: how many are predicted as it.
    """

    dice: float | None = None
    iou: float | None = None
    surface_distance: float | None = None
    hausdorff95: float | None = None
    true_pixels: int = 0
    predicted_pixels: int = 0


@dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    """One class over a test set.

    Attributes:
        label: the class, from 0.
        name: what it is called.
        present: images that have it.
        missed: images that have it, where it isn't predicted at all.
        invented: images that don't have it, where it is predicted.
        metrics: METRICS, the mean over the images of which they are defined, with its interval.
    """

    label: int
    name: str
    present: int
    missed: int
    invented: int
    metrics: dict[str, Estimate]


def check_monai() -> None:
    """InputError where MONAI, which measures, isn't installed or doesn't load."""
    try:
        with import_errors("monai", "monai"):
            importlib.import_module(_METRICS)
    except InputError as error:
        raise InputError(f"--task segmentation is measured by MONAI: {error}") from error


def overlap_of(
    true: NDArray[np.bool_], predicted: NDArray[np.bool_], spacing: Sequence[float]
) -> Overlap:
    """One class's ``true`` and ``predicted`` pixels, both (h, w) or (d, h, w), by MONAI.

    ``spacing``: the distance of neighbors along each axis; distances are in its unit.
    """
    counts = int(np.count_nonzero(true)), int(np.count_nonzero(predicted))
    if not any(counts):
        return Overlap()
    if not all(counts):
        return Overlap(0.0, 0.0, None, None, *counts)
    # Imported here: it takes seconds, and only this task needs it.
    import torch

    metrics = importlib.import_module(_METRICS)
    pair = [torch.from_numpy(np.ascontiguousarray(part))[None, None] for part in (predicted, true)]
    options = {"include_background": True, "spacing": list(spacing)}
    values = (
        metrics.compute_dice(*pair),
        metrics.compute_iou(*pair),
        metrics.compute_average_surface_distance(*pair, symmetric=True, **options),
        metrics.compute_hausdorff_distance(*pair, percentile=95, **options),
    )
    dice, iou, surface, hausdorff = (float(value) for value in values)
    return Overlap(dice, iou, surface, hausdorff, *counts)


def class_metrics(
    overlaps: Sequence[Sequence[Overlap]], labels: Sequence[int], names: Sequence[str]
) -> list[ClassMetrics]:
    """The classes ``labels`` over all images: ``overlaps`` has a row an image, a column a class.

    Intervals are of 95 %, by resampling images.
    """
    table = _table(overlaps, len(labels))
    metrics = []
    for column, (label, name) in enumerate(zip(labels, names, strict=True)):
        of_class = [row[column] for row in overlaps]
        values = table[:, column]
        metrics.append(
            ClassMetrics(
                label=label,
                name=name,
                present=sum(entry.true_pixels > 0 for entry in of_class),
                missed=sum(bool(e.true_pixels) and not e.predicted_pixels for e in of_class),
                invented=sum(bool(e.predicted_pixels) and not e.true_pixels for e in of_class),
                metrics=_estimates(values[:, None]),
            )
        )
    return metrics


def overall_metrics(overlaps: Sequence[Sequence[Overlap]], classes: int) -> dict[str, Estimate]:
    """METRICS, each the mean over the classes of their means over images."""
    return _estimates(_table(overlaps, classes))


def mean_dice(overlaps: Sequence[Overlap]) -> float | None:
    """The mean over the classes of one image that are there or predicted; None where none is."""
    values = [entry.dice for entry in overlaps if entry.dice is not None]
    return float(np.mean(values)) if values else None


def _table(overlaps: Sequence[Sequence[Overlap]], classes: int) -> Floats:
    """(n, classes, metrics), NaN for what is undefined."""
    rows = [[[getattr(entry, name) for name in METRICS] for entry in row] for row in overlaps]
    return np.array(rows, np.float64).reshape(len(rows), classes, len(METRICS))


def _estimates(table: Floats) -> dict[str, Estimate]:
    """The means over images (n, classes, metrics), then over classes."""
    if not len(table):
        return dict.fromkeys(METRICS, Estimate(None))

    def means(indices: Indices) -> Floats:
        by_class = _mean(table[indices], 1)  # (r, classes, metrics)
        return _mean(by_class, 1).T

    whole = means(np.arange(len(table))[None])[:, 0]
    return estimates(list(METRICS), whole.tolist(), len(table), means)


def _mean(values: Floats, axis: int) -> Floats:
    """The mean of what is finite along ``axis``; NaN where nothing is."""
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(finite, values, 0.0).sum(axis) / finite.sum(axis)
    return mean

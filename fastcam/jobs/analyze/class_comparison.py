"""Classes of a test set compared: what their maps have in common, and where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.map_scales import is_constant
from fastcam.jobs.analyze.map_statistics import FeatureStatistics, normalized
from fastcam.jobs.analyze.results import ImageResult
from fastcam.report.statistics import FEWEST_IN_GROUP, Spread, rank_sum, spread

# Metrics of a layer's CAM; the center in shares of the image's width and height.
LAYER_METRICS: dict[str, Callable[..., float | None]] = {
    "max_activation": lambda image, layer: _stats(image, layer).raw.max_activation,
    "mean_activation": lambda image, layer: _stats(image, layer).raw.mean_activation,
    "activation_area": lambda image, layer: _stats(image, layer).activation_area,
    "center_x": lambda image, layer: _center(image, layer)[0],
    "center_y": lambda image, layer: _center(image, layer)[1],
}
IMAGE_METRICS: dict[str, Callable[[ImageResult], float | None]] = {
    "confidence": lambda image: image.confidence,
    "left_share": lambda image: image.left_share,
}
# The one group of a regression's images.
_ALL_IMAGES = "all"
# A correlation takes two maps.
_FEWEST_MAPS = 2


@dataclass(frozen=True, slots=True)
class ClassLayerSummary:
    """A layer's maps on the images of a class.

    Attributes:
        consistency: mean of Pearson's correlations between the maps of each two images, each at the
            layer's resolution; None below two maps that have any evidence.
        metrics: spread of each of ``LAYER_METRICS``.
    """

    consistency: float | None
    metrics: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """The images of a class.

    Attributes:
        name: the class.
        n: number of images.
        right: how many were predicted right; None where that is not known.
        metrics: spread of each of ``IMAGE_METRICS``.
        layers: each analyzed layer by its name.
    """

    name: str
    n: int
    right: int | None
    metrics: Mapping[str, Spread]
    layers: Mapping[str, ClassLayerSummary]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDifference:
    """One metric compared between classes.

    Two classes are compared by Mann-Whitney U (two-sided), more by Kruskal-Wallis H.

    Attributes:
        layer: the layer; empty for metrics of the image.
        metric: the metric's name.
        classes: the compared classes.
        test: the test's name.
        statistic: U or H.
        p: the test's p.
        q: ``p`` corrected for all comparisons of the analysis (Benjamini & Hochberg 1995).
        effect: of two classes the rank-biserial correlation, above 0 where the first is higher; of
            more ε² = H / (n - 1), 0 to 1 (Tomczak & Tomczak 2014).
        effect_name: the effect's name.
    """

    layer: str
    metric: str
    classes: tuple[str, ...]
    test: str
    statistic: float
    p: float
    q: float
    effect: float
    effect_name: str


@dataclass(frozen=True)
class ClassComparison:
    """The classes of all images.

    Attributes:
        grouped_by: "folder", "predicted", or empty where there is only one group.
        classes: each class.
        differences: each metric that could be compared.
        mean_maps: by class and layer, the mean of its normalized maps (h, w) float32.
    """

    grouped_by: str
    classes: tuple[ClassSummary, ...]
    differences: tuple[ClassDifference, ...]
    mean_maps: Mapping[str, Mapping[str, NDArray[np.float32]]] = field(default_factory=dict)


def class_groups(images: Sequence[ImageResult]) -> tuple[str, dict[str, list[int]]]:
    """How images are grouped, and the indices of each group by name.

    By the folders of their classes where there are two or more, else by the predicted class. Images
    in which a detector has no box to explain are in no group.
    """
    grouped = [(index, image) for index, image in enumerate(images) if not image.without_box]
    by_folder = len({image.class_folder for _, image in grouped}) > 1
    groups: dict[str, list[int]] = {}
    for index, image in grouped:
        predicted = _ALL_IMAGES if image.predicted is None else image.predicted_name
        groups.setdefault(image.class_folder if by_folder else predicted, []).append(index)
    grouped_by = "folder" if by_folder else "predicted"
    return grouped_by if len(groups) > 1 else "", {name: groups[name] for name in sorted(groups)}


def compare_classes(
    images: Sequence[ImageResult],
    layers: Sequence[str],
    read: Callable[[int, str], NDArray[np.float32]],
) -> ClassComparison:
    """The classes of ``images``; ``read(index, layer)`` gives the raw map (h, w) of an image."""
    grouped_by, groups = class_groups(images)
    classes, mean_maps = [], {}
    for name, indices in groups.items():
        members = [images[index] for index in indices]
        of_layers = {layer: _mean_and_consistency(indices, layer, read) for layer in layers}
        mean_maps[name] = {layer: m for layer, (m, _) in of_layers.items() if m is not None}
        verdicts = [image.right for image in members if image.right is not None]
        classes.append(
            ClassSummary(
                name=name,
                n=len(members),
                right=sum(verdicts) if verdicts else None,
                metrics={
                    metric: spread(_known_values(members, value_of))
                    for metric, value_of in IMAGE_METRICS.items()
                },
                layers={
                    layer: _class_layer(members, layer, consistency)
                    for layer, (_, consistency) in of_layers.items()
                },
            )
        )
    differences = _differences(images, groups, layers)
    return ClassComparison(grouped_by, tuple(classes), differences, mean_maps)


def _class_layer(
    images: Sequence[ImageResult], layer: str, consistency: float | None
) -> ClassLayerSummary:
    metrics = {
        metric: spread(_known_values(images, partial(value_of, layer=layer)))
        for metric, value_of in LAYER_METRICS.items()
    }
    return ClassLayerSummary(consistency, metrics)


def _mean_and_consistency(
    indices: Sequence[int], layer: str, read: Callable[[int, str], NDArray[np.float32]]
) -> tuple[NDArray[np.float32] | None, float | None]:
    """The mean of normalized maps, and the mean correlation of each two.

    Σ over pairs of correlations from one pass: with each map centered and of length 1 it is
    (|Σ u|² - n) / 2.
    """
    total: NDArray[np.float64] | None = None
    units: NDArray[np.float64] | None = None
    count = unit_count = 0
    for index in indices:
        try:
            values = read(index, layer)
        except CaseError:
            continue  # a damaged chunk, which is a failure where the image is drawn
        scaled = normalized(values).astype(np.float64)
        total = scaled if total is None else total + scaled
        count += 1
        if is_constant(values):
            continue
        centered = scaled - scaled.mean()
        unit = centered / np.linalg.norm(centered)
        units = unit if units is None else units + unit
        unit_count += 1
    mean = None if total is None else (total / count).astype(np.float32)
    if units is None or unit_count < _FEWEST_MAPS:
        return mean, None
    pairs = unit_count * (unit_count - 1)
    return mean, (float((units * units).sum()) - unit_count) / pairs


def _differences(
    images: Sequence[ImageResult], groups: Mapping[str, Sequence[int]], layers: Sequence[str]
) -> tuple[ClassDifference, ...]:
    """Every metric between the classes of at least three images each."""
    from scipy.stats import false_discovery_control

    names = [name for name, members in groups.items() if len(members) >= FEWEST_IN_GROUP]
    if len(names) < 2:
        return ()
    sides = [[images[index] for index in groups[name]] for name in names]
    differences = [
        _difference("", metric, names, [_known_values(side, value_of) for side in sides])
        for metric, value_of in IMAGE_METRICS.items()
    ]
    differences += [
        _difference(
            layer,
            metric,
            names,
            [_known_values(side, partial(value_of, layer=layer)) for side in sides],
        )
        for layer in layers
        for metric, value_of in LAYER_METRICS.items()
    ]
    testable = [difference for difference in differences if difference is not None]
    if not testable:
        return ()
    corrected = false_discovery_control([difference.p for difference in testable])
    return tuple(
        replace(difference, q=float(q)) for difference, q in zip(testable, corrected, strict=True)
    )


def _difference(
    layer: str, metric: str, names: Sequence[str], values: Sequence[NDArray[np.float64]]
) -> ClassDifference | None:
    """None where a class has too few values, or all are the same."""
    pooled = np.concatenate(values)
    if min(of_class.size for of_class in values) < FEWEST_IN_GROUP or (pooled == pooled[0]).all():
        return None
    if len(values) == 2:
        result = rank_sum(values[0], values[1])
        assert result is not None
        return ClassDifference(
            layer=layer,
            metric=metric,
            classes=tuple(names),
            test="Mann-Whitney U",
            statistic=result.u,
            p=result.p,
            q=result.p,
            effect=result.effect,
            effect_name="rank-biserial correlation",
        )
    from scipy.stats import kruskal

    h_test = kruskal(*values)
    h, p = float(h_test.statistic), float(h_test.pvalue)
    return ClassDifference(
        layer=layer,
        metric=metric,
        classes=tuple(names),
        test="Kruskal-Wallis H",
        statistic=h,
        p=p,
        q=p,
        effect=h / (len(pooled) - 1),
        effect_name="epsilon squared",
    )


def _stats(image: ImageResult, layer: str) -> FeatureStatistics:
    return image.layers[layer].feature_statistics


def _center(image: ImageResult, layer: str) -> tuple[float | None, float | None]:
    point = _stats(image, layer).center_of_mass
    if point is None:
        return None, None
    height, width = image.size
    return (point.x + 0.5) / width, (point.y + 0.5) / height


def _known_values(
    images: Sequence[ImageResult], value_of: Callable[[ImageResult], float | None]
) -> NDArray[np.float64]:
    values = [value_of(image) for image in images]
    return np.array([value for value in values if value is not None], dtype=np.float64)

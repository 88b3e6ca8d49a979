"""Classes of a test set compared: what their maps have in common, and where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.map_scales import is_constant
from fastcam.jobs.analyze.map_statistics import FeatureStatistics, normalised
from fastcam.jobs.analyze.results import ImageResult
from fastcam.report.statistics import Spread, rank_sum, spread

# Metrics of a layer's CAM; the centre in shares of the image's width and height.
LAYER_METRICS: dict[str, Callable[..., float | None]] = {
    "max_activation": lambda image, layer: _stats(image, layer).raw.max_activation,
    "mean_activation": lambda image, layer: _stats(image, layer).raw.mean_activation,
    "activation_area": lambda image, layer: _stats(image, layer).activation_area,
    "center_x": lambda image, layer: _centre(image, layer)[0],
    "center_y": lambda image, layer: _centre(image, layer)[1],
}
IMAGE_METRICS: dict[str, Callable[[ImageResult], float | None]] = {
    "confidence": lambda image: image.confidence,
    "left_share": lambda image: image.left_share,
}
# What a regression's images are called together.
_EVERY = "all"
# A class of one image has no spread to compare.
_LEAST = 2


@dataclass(frozen=True, slots=True)
class ClassLayer:
    """A layer's maps on the images of a class.

    ``consistency``: the mean of Pearson's correlations between the maps of each two images, each at
    the layer's resolution; None below two maps that have any evidence.
    """

    consistency: float | None
    metrics: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """A class: its images, how many were predicted right (None: not known), and its layers."""

    name: str
    n: int
    right: int | None
    metrics: Mapping[str, Spread]
    layers: Mapping[str, ClassLayer]


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric compared between classes; ``layer`` is "" for metrics of the image.

    Two classes: Mann-Whitney U (two-sided), ``effect`` the rank-biserial correlation, above 0 where
    the first class is higher. More: Kruskal-Wallis H, ``effect`` ε² = H / (n - 1), 0 to 1 (Tomczak
    & Tomczak 2014). ``q`` is ``p`` corrected for all comparisons of the analysis (Benjamini &
    Hochberg 1995).
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
class Cohort:
    """All classes. ``grouped_by``: "folder", "predicted", or "" where there is only one group."""

    grouped_by: str
    classes: tuple[ClassSummary, ...]
    differences: tuple[Difference, ...]
    mean_maps: Mapping[str, Mapping[str, NDArray[np.float32]]] = field(default_factory=dict)


def group_of(images: Sequence[ImageResult]) -> tuple[str, dict[str, list[int]]]:
    """How images are grouped, and the indices of each group by name: by the folders of their
    classes where there are two or more, else by the predicted class."""
    folders = {image.class_folder for image in images}
    by_folder = len(folders) > 1
    groups: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        answer = _EVERY if image.predicted is None else image.predicted_name
        name = image.class_folder if by_folder else answer
        groups.setdefault(name, []).append(index)
    how = "folder" if by_folder else "predicted"
    return how if len(groups) > 1 else "", {name: groups[name] for name in sorted(groups)}


def compare_classes(
    images: Sequence[ImageResult],
    layers: Sequence[str],
    read: Callable[[int, str], NDArray[np.float32]],
) -> Cohort:
    """The classes of ``images``; ``read(index, layer)`` gives the raw map (h, w) of an image."""
    how, groups = group_of(images)
    found, means = [], {}
    for name, members in groups.items():
        here = [images[index] for index in members]
        gathered = {layer: _gathered(members, layer, read) for layer in layers}
        means[name] = {layer: mean for layer, (mean, _) in gathered.items() if mean is not None}
        known = [image.right for image in here if image.right is not None]
        found.append(
            ClassSummary(
                name, len(here), sum(known) if known else None,
                {metric: spread(_known(here, take)) for metric, take in IMAGE_METRICS.items()},
                {layer: _class_layer(here, layer, gathered[layer][1]) for layer in layers},
            )
        )  # fmt: skip
    return Cohort(how, tuple(found), _differences(images, groups, layers), means)


def _class_layer(
    images: Sequence[ImageResult], layer: str, consistency: float | None
) -> ClassLayer:  # fmt: skip
    metrics = {
        metric: spread(_known(images, partial(take, layer=layer)))
        for metric, take in LAYER_METRICS.items()
    }
    return ClassLayer(consistency, metrics)


def _gathered(
    members: Sequence[int], layer: str, read: Callable[[int, str], NDArray[np.float32]]
) -> tuple[NDArray[np.float32] | None, float | None]:
    """The mean of normalised maps, and the mean correlation of each two.

    Σ over pairs of correlations from one pass: with each map centred and of length 1 it is
    (|Σ u|² - n) / 2.
    """
    total: NDArray[np.float64] | None = None
    units: NDArray[np.float64] | None = None
    count = told = 0
    for index in members:
        try:
            cells = read(index, layer)
        except CaseError:
            continue  # a damaged chunk: said where the image is drawn
        shown = normalised(cells).astype(np.float64)
        total = shown if total is None else total + shown
        count += 1
        if is_constant(cells):
            continue
        centred = shown - shown.mean()
        unit = centred / np.linalg.norm(centred)
        units = unit if units is None else units + unit
        told += 1
    mean = None if total is None else (total / count).astype(np.float32)
    if units is None or told < _LEAST:
        return mean, None
    return mean, (float((units * units).sum()) - told) / (told * (told - 1))


def _differences(
    images: Sequence[ImageResult], groups: Mapping[str, Sequence[int]], layers: Sequence[str]
) -> tuple[Difference, ...]:
    """Every metric between the classes of at least two images each."""
    from scipy.stats import false_discovery_control

    names = [name for name, members in groups.items() if len(members) >= _LEAST]
    if len(names) < 2:
        return ()
    sides = [[images[index] for index in groups[name]] for name in names]
    made = [
        _difference("", metric, names, [_known(side, take) for side in sides])
        for metric, take in IMAGE_METRICS.items()
    ]
    made += [
        _difference(
            layer, metric, names,
            [_known(side, partial(take, layer=layer)) for side in sides],
        )
        for layer in layers
        for metric, take in LAYER_METRICS.items()
    ]  # fmt: skip
    tested = [one for one in made if one is not None]
    if not tested:
        return ()
    corrected = false_discovery_control([one.p for one in tested])
    return tuple(replace(one, q=float(q)) for one, q in zip(tested, corrected, strict=True))


def _difference(
    layer: str, metric: str, names: Sequence[str], values: Sequence[NDArray[np.float64]]
) -> Difference | None:
    """None where a class has too few values, or all are the same."""
    every = np.concatenate(values)
    if min(len(one) for one in values) < _LEAST or (every == every[0]).all():
        return None
    if len(values) == 2:
        found = rank_sum(values[0], values[1])
        assert found is not None
        return Difference(
            layer, metric, tuple(names), "Mann-Whitney U", found.u, found.p, found.p,
            found.effect, "rank-biserial correlation",
        )  # fmt: skip
    from scipy.stats import kruskal

    result = kruskal(*values)
    h, p = float(result.statistic), float(result.pvalue)
    return Difference(
        layer, metric, tuple(names), "Kruskal-Wallis H", h, p, p, h / (len(every) - 1),
        "epsilon squared",
    )  # fmt: skip


def _stats(image: ImageResult, layer: str) -> FeatureStatistics:
    return image.layers[layer].feature_statistics


def _centre(image: ImageResult, layer: str) -> tuple[float | None, float | None]:
    place = _stats(image, layer).center_of_mass
    if place is None:
        return None, None
    height, width = image.size
    return (place.x + 0.5) / width, (place.y + 0.5) / height


def _known(
    images: Sequence[ImageResult], take: Callable[[ImageResult], float | None]
) -> NDArray[np.float64]:
    values = [take(image) for image in images]
    return np.array([value for value in values if value is not None], dtype=np.float64)

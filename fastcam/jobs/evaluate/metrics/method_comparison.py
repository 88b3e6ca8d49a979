"""Several methods' maps of one test set, compared: intervals, differences, and what is noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.metrics.bootstrap import Estimate, estimates

Floats = NDArray[np.float64]

# What is measured of each image, and whether high values are good.
MEASURES: dict[str, tuple[str, bool]] = {
    "inside": ("share inside the mask", True),
    "pointing": ("pointing game", True),
    "deletion": ("deletion", False),
    "insertion": ("insertion", True),
    "randomized": ("likeness to maps of random weights", False),
    "stability": ("stability under flips", True),
}
LEVEL = 0.05
# Fewer images than this tell nothing of a difference.
_FEWEST = 6
# So many that p can fall below 5 % after the rule of Holm for a hundred pairs.
_RESAMPLES = 10_000
_MOST_RESAMPLED = 1000


@dataclass(frozen=True, eq=False)
class MethodValues:
    """What was measured of one method's maps.

    - ``name``: the method, with its layer where there are several; or a baseline
    - ``values``: by measure (n,) float64 of the images, NaN where it wasn't measured; every method
      has the same images
    - ``passes``: forward passes for a map; 0 for a baseline
    - ``seconds``: for a map
    - ``baseline``: whether it is no map of the model
    """

    name: str
    values: Mapping[str, Floats]
    passes: float = 0.0
    seconds: float = 0.0
    baseline: bool = False

    def images_of(self, measure: str) -> int:
        """How many images have a measure."""
        return int(np.isfinite(self.values.get(measure, np.empty(0))).sum())


@dataclass(frozen=True)
class Difference:
    """Two methods in one measure.

    - ``measure``: a key of ``MEASURES``
    - ``better``, ``worse``: names of the methods, by their means
    - ``images``: that have both
    - ``difference``: mean of better minus worse over the images, with its interval
    - ``p``: of the paired bootstrap, two-sided; None below six images
    - ``adjusted``: ``p`` after Holm (1979), over all pairs of the measure
    """

    measure: str
    better: str
    worse: str
    images: int
    difference: Estimate
    p: float | None
    adjusted: float | None

    @property
    def is_shown(self) -> bool:
        """Whether it is more than noise at the level of 5 %."""
        return self.adjusted is not None and self.adjusted < LEVEL


def measured_by(methods: Sequence[MethodValues]) -> list[str]:
    """The measures that any of the methods has, in the order of ``MEASURES``."""
    return [
        name
        for name in MEASURES
        if any(np.isfinite(method.values.get(name, np.empty(0))).any() for method in methods)
    ]


def means_of(method: MethodValues) -> dict[str, Estimate]:
    """The mean of each measure over the images that have it, with its bootstrap interval."""
    means: dict[str, Estimate] = {}
    for name, values in method.values.items():
        known = values[np.isfinite(values)]
        if known.size:
            means |= _mean_estimate(name, known)
    return means


def differences_of(methods: Sequence[MethodValues]) -> list[Difference]:
    """Every pair of methods, baselines among them, in every measure that both have.

    The images are resampled, both methods on the same ones (paired bootstrap, Efron & Tibshirani
    1993, chapter 16): p is twice the share of the resampled means on the other side of 0. Pairs of
    two baselines are left out.
    """
    differences: list[Difference] = []
    for measure in measured_by(methods):
        pairs = [
            _difference(measure, first, second)
            for first, second in itertools.combinations(methods, 2)
            if not (first.baseline and second.baseline)
        ]
        of_measure = [pair for pair in pairs if pair is not None]
        adjusted = holm([pair.p for pair in of_measure])
        differences += [
            replace(pair, adjusted=p) for pair, p in zip(of_measure, adjusted, strict=True)
        ]
    return differences


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values adjusted by Holm's step-down rule (1979); None stays None and doesn't count."""
    known = sorted((p, place) for place, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[place] = highest
    return adjusted


def statements(methods: Sequence[MethodValues], differences: Sequence[Difference]) -> list[str]:
    """For each measure a sentence: which methods differ, and which differences are noise."""
    lines = []
    for measure in measured_by(methods):
        title, high = MEASURES[measure]
        own = [d for d in differences if d.measure == measure]
        if not own:
            continue
        images = max(difference.images for difference in own)
        order = f"{title} ({'high' if high else 'low'} is good, {images} images)"
        if all(difference.p is None for difference in own):
            lines.append(f"{order}: too few images to tell a difference from noise")
            continue
        noise = [f"{d.better} and {d.worse}" for d in own if not d.is_shown]
        parts = _shown([d for d in own if d.is_shown])
        parts += [f"within noise: {', '.join(noise)}"] if noise else []
        lines.append(f"{order}: {'; '.join(parts)}")
    return lines


def _shown(differences: Sequence[Difference]) -> list[str]:
    """For each method that is better than others a part of a sentence."""
    parts = []
    for name in dict.fromkeys(d.better for d in differences):
        own = [d for d in differences if d.better == name]
        worse = ", ".join(d.worse for d in own)
        highest = max(d.adjusted or 0.0 for d in own)
        parts.append(f"{name} is better than {worse} (p up to {highest:.3f})")
    return parts


def _mean_estimate(name: str, values: Floats) -> dict[str, Estimate]:
    return estimates(
        [name], [float(values.mean())], len(values), lambda rows: values[rows].mean(1)[None]
    )


def _difference(measure: str, first: MethodValues, second: MethodValues) -> Difference | None:
    if measure not in first.values or measure not in second.values:
        return None
    paired = first.values[measure] - second.values[measure]
    paired = paired[np.isfinite(paired)]
    if not paired.size:
        return None
    high = MEASURES[measure][1]
    if (paired.mean() > 0) != high:
        first, second, paired = second, first, -paired
    p = _paired_p(paired) if paired.size >= _FEWEST else None
    estimate = _mean_estimate(measure, paired)[measure]
    return Difference(measure, first.name, second.name, paired.size, estimate, p, None)


def _paired_p(paired: Floats) -> float:
    if paired.size > _MOST_RESAMPLED:
        # The resampled means of so many are normal, and a hundred million numbers to draw.
        deviation = paired.std() / math.sqrt(paired.size)
        return math.erfc(abs(paired.mean()) / deviation / math.sqrt(2)) if deviation else 1.0
    rng = np.random.default_rng(0)
    means = paired[rng.integers(0, paired.size, (_RESAMPLES, paired.size))].mean(1)
    # Below one in the resamples nothing is known.
    side = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0)) + 1
    return float(min(1.0, 2 * side / (_RESAMPLES + 1)))

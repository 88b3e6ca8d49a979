"""Scales of attention and CAM maps: which values the ends of the color table stand for.

``patient`` compares within one image or volume and ``cohort`` within a run, both from the lowest
to the highest value; ``slice`` is each picture's own min-max; ``rank`` shows how many values of
the image or volume a value is not below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fastcam_kernels import resize
from fastcam_kernels.blend import levels_of
from numpy.typing import NDArray

from fastcam.options import Scale

# A highest value of less than so many times the mean singles out no place: an untrained model's
# rollout reaches 1.02 to 1.05 times it.
NEARLY_UNIFORM = 1.25
# Attention that is the same everywhere lies in the middle of the table, not at its hot end.
LEAST_HIGH = 2.0

# What pytorch-grad-cam adds to the range, so that a map without one can be divided by it.
EPS = 1e-7
# Values that differ by less, relative to the largest, differ by the rounding of float32 only.
_ROUNDING = 1e-6
# The level in the middle of the table, where a diverging one has its neutral color.
_MIDDLE = 128


@dataclass(frozen=True, eq=False)
class MapScale:
    """The scale of one map of one image or volume.

    Attributes:
        kind: what is compared on it.
        limits: the raw values at the two ends of the color table; ``slice`` has its own for each
            picture.
        diverging: whether the map has evidence for and against, and 0 is the table's middle.
        constant: whether the map has one value everywhere, which is no evidence for any place.
        ranks: (m,) float32 ascending, the magnitudes above 0 of the whole map, for ``rank``.
        uniform: of attention the raw value that it would have everywhere if it were the same for
            every place; None of other maps, and where raw values are shown.
        highest: the highest value.
    """

    kind: Scale
    limits: tuple[float, float]
    diverging: bool = False
    constant: bool = False
    ranks: NDArray[np.float32] | None = None
    uniform: float | None = None
    highest: float = 0.0

    @property
    def times_uniform(self) -> float | None:
        """The highest value as a multiple of ``uniform``; None where there is none."""
        return None if self.uniform is None else self.highest / self.uniform

    @property
    def nearly_uniform(self) -> bool:
        """Whether it is attention that singles out no place."""
        multiple = self.times_uniform
        return multiple is not None and multiple < NEARLY_UNIFORM


def attention_bounds(values: NDArray[np.float32]) -> tuple[float, float]:
    """Limits for maps of attention as multiples of uniform: 0, and the highest but at least 2."""
    uniform = uniform_value(values)
    return 0.0, max(LEAST_HIGH, float(values.max()) / uniform if uniform else 0.0)


def uniform_value(values: NDArray[np.float32]) -> float:
    """The value that attention has everywhere if it is the same for every place: its mean.

    The tokens before the patches have their share, which belongs to no place.
    """
    return float(values.mean(dtype=np.float64))


def has_negatives(values: NDArray[np.float32]) -> bool:
    """Whether values lie below zero, beyond the rounding of float32: such a map has a diverging
    table, even where all of it is below zero."""
    low, high = float(values.min()), float(values.max())
    return -low > _ROUNDING * max(-low, high)


def bounds(values: NDArray[np.float32], diverging: bool) -> tuple[float, float]:
    """Limits for maps of these values: the lowest and the highest, or ``-m, m`` with the largest
    magnitude m where ``diverging``.

    Not from 0, as those of patch heat: attention has a floor that softmax gives to every patch,
    and on a table from 0 rollout is one color all over.
    """
    low, high = float(values.min()), float(values.max())
    if diverging:
        largest = max(abs(low), abs(high))
        return -largest, largest
    return low, high


def is_constant(values: NDArray[np.float32]) -> bool:
    """Whether all values are the same up to the rounding of float32."""
    return is_range_constant(float(values.min()), float(values.max()))


def is_range_constant(low: float, high: float) -> bool:
    """Whether ``low`` and ``high`` are the same up to the rounding of float32."""
    return high - low <= _ROUNDING * max(abs(low), abs(high))


def map_scale(
    values: NDArray[np.float32],
    kind: Scale,
    diverging: bool = False,
    cohort: tuple[float, float] | None = None,
    attention: bool = False,
) -> MapScale:
    """The scale of a map (h, w) or (d, h, w) float32, raw, at its layer's resolution.

    ``cohort`` are the limits over all images of the run, for ``kind`` ``cohort``. ``attention``:
    the map is shown as multiples of uniform attention, which ``cohort`` are, too, and from 0.
    """
    constant = is_constant(values)
    if attention and not constant and kind != "rank":
        return _attention_scale(values, kind, cohort)
    if cohort is not None and cohort[0] < 0.0 and diverging:
        cohort = -max(-cohort[0], cohort[1]), max(-cohort[0], cohort[1])
    if kind == "rank":
        sizes = np.abs(values)
        ranks = np.sort(sizes[sizes > 0], axis=None)
        return MapScale(kind, (-1.0 if diverging else 0.0, 1.0), diverging, constant, ranks)
    limits = bounds(values, diverging)
    if kind == "cohort" and cohort is not None:
        limits = cohort
    return MapScale(kind, limits, diverging, constant)


def _attention_scale(
    values: NDArray[np.float32], kind: Scale, cohort: tuple[float, float] | None
) -> MapScale:
    uniform = uniform_value(values)
    low, high = attention_bounds(values) if cohort is None else cohort
    return MapScale(
        kind,
        (low * uniform, high * uniform),
        uniform=uniform,
        highest=float(values.max()),
    )


def map_levels(
    scale: MapScale,
    values: NDArray[np.float32],
    height: int,
    width: int,
    method: int = resize.BILINEAR,
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """A map (h, w), enlarged to (height, width) levels of the color table, and its limits.

    Enlarging is bilinear with half-pixel centers (``align_corners=False``), or by another
    ``method`` of ``fastcam_kernels.resize``. ``slice`` is always bilinear and does what
    pytorch-grad-cam does: min-max at the layer's resolution, enlarge, min-max again, both with
    ``EPS``; its limits are the raw values that the two ends stand for then.
    """
    if scale.constant:
        value = float(values.flat[0])
        return np.full((height, width), _level_of_none(scale), dtype=np.uint8), (value, value)
    if scale.kind == "slice" and not scale.diverging:
        return _min_max(values, height, width)
    if scale.kind == "rank" and scale.ranks is not None:
        values = _shares(values, scale.ranks)
    enlarged = resize.resize(values, height, width, method)
    limits = bounds(enlarged, True) if scale.kind == "slice" else scale.limits
    if limits[0] == limits[1]:
        # An empty slice on a scale of its own: nothing for, nothing against.
        return np.full((height, width), _level_of_none(scale), dtype=np.uint8), limits
    return levels_of(enlarged, *limits), limits


def _level_of_none(scale: MapScale) -> int:
    return _MIDDLE if scale.diverging else 0


def _min_max(
    values: NDArray[np.float32], height: int, width: int
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    low = float(values.min())
    span = EPS + (float(values.max()) - low)
    small = ((values - np.float32(low)) / np.float32(span)).astype(np.float32, copy=False)
    enlarged = resize.resize(small, height, width, resize.BILINEAR)
    bottom, top = float(enlarged.min()), float(enlarged.max())
    top += EPS
    return levels_of(enlarged, bottom, top), (low + bottom * span, low + top * span)


def _shares(values: NDArray[np.float32], ranks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share of magnitudes at or below each value's own, with the value's sign; 0 stays 0.

    Interpolated values of a volume may lie between two magnitudes, and count as the one below.
    """
    sizes = np.abs(values)
    shares = np.searchsorted(ranks, sizes, side="right") / max(1, len(ranks))
    signed: NDArray[np.float32] = (np.sign(values) * shares).astype(np.float32)
    return signed

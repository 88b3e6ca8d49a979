"""Does a map lie where it should: inside a mask, with what chance would give beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastcam_kernels import resize
from numpy.typing import NDArray

from fastcam.figures.map_scales import is_constant
from fastcam.report.statistics import (
    FEWEST_IN_GROUP,
    RankSum,
    Spread,
    p_text,
    rank_sum,
    signed_rank_p,
    spread,
)

# Thresholds that iou tries, in equal steps up to the map's highest value.
THRESHOLDS = 256
_TESTED = ("share", "lift", "iou")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Localization:
    """One map against one mask.

    Without a mask or without anything in the map that could be compared the numbers are None.

    Attributes:
        share: share of the map that lies inside the mask, 0 to 1; values below 0 count as 0.
        area: the mask's share of the image, 0 to 1: what ``share`` and ``hit`` would be by chance.
        lift: ``share / area``; 1 is chance.
        hit: pointing game: whether the map's highest value lies inside the mask.
        chance_hit: share of the image's pixels that would count as a hit, 0 to 1.
        iou: intersection over union of mask and thresholded map, at the best threshold, 0 to 1.
        threshold: the threshold of ``iou``, as a share of the map's highest value.
        reason: why there are no numbers, or not all; empty otherwise.
    """

    share: float | None = None
    area: float | None = None
    lift: float | None = None
    hit: bool | None = None
    chance_hit: float | None = None
    iou: float | None = None
    threshold: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLocalization:
    """The maps of a group.

    Attributes:
        n: number of maps that were measured.
        share: spread of :attr:`Localization.share`.
        area: spread of :attr:`Localization.area`.
        lift: spread of :attr:`Localization.lift`.
        iou: spread of :attr:`Localization.iou`.
        hits: number of maps whose peak is a hit.
        hit_rate: share of maps whose peak is a hit; None where none has a peak.
        chance_hit_rate: what points placed at random would reach; None likewise.
        p_share: Wilcoxon signed-rank test (1945) of share against area, two-sided; None below six
            maps, where it can't fall under 0.05.
    """

    n: int
    share: Spread
    area: Spread
    lift: Spread
    iou: Spread
    hits: int
    hit_rate: float | None
    chance_hit_rate: float | None
    p_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizationSummary:
    """All maps, and those of good beside those of bad predictions.

    Attributes:
        n: number of images.
        measured: number of images that have numbers.
        all: every map.
        good: maps of good predictions.
        bad: maps of bad predictions.
        tests: good against bad by measure, effect above 0 where good predictions are higher; None
            where a group is empty.
        reasons: why the other images have no numbers, and how many images each concerns.
    """

    n: int
    measured: int
    all: GroupLocalization
    good: GroupLocalization
    bad: GroupLocalization
    tests: dict[str, RankSum | None]
    reasons: dict[str, int]


def localize(
    values: NDArray[np.float32], mask: NDArray[np.bool_], tolerance: float = 0.0
) -> Localization:
    """A map (h, w), raw, at its layer's resolution, against a mask (H, W) of the same field.

    Or of a volume, (d, h, w) against (D, H, W), with voxels for pixels. The map is enlarged to the
    mask as in the figures: linearly along each axis, half-pixel centers. ``share`` is the
    energy-based pointing game (Wang et al. 2020, Score-CAM, section 4.3) and ``hit`` the pointing
    game (Zhang et al. 2018, section 5.1), which counts a peak within ``tolerance`` pixels of the
    mask as well (they took 15). The peak is the pixel in the middle of the map's highest cell
    (ties: the first), which is where the enlarged map is highest. ``iou`` tries the 255 thresholds
    k/255 of the highest value; the whole image would reach ``area``.
    """
    inside = np.ascontiguousarray(mask, np.bool_)
    count = int(np.count_nonzero(inside))
    if not count:
        return unmeasured("the mask is empty")
    area = count / inside.size
    if not np.isfinite(values).all():
        return Localization(area=area, reason="the map is not finite (NaN or infinite)")
    enlarged = _enlarged(values, inside.shape)
    peak = float(enlarged.max())
    if peak <= 0.0:
        return Localization(area=area, reason="the map has no value above 0")
    # By the highest value first: the sum of tiny gradients' squares is nothing to divide by. In
    # place: each new array of this size costs as much as what is done with it.
    np.divide(enlarged, np.float32(peak), out=enlarged)
    np.maximum(enlarged, 0, out=enlarged)
    share = float(enlarged[inside].sum(dtype=np.float64) / enlarged.sum(dtype=np.float64))
    near = _within(inside, tolerance)
    constant = is_constant(values)
    iou, threshold = _best_iou(enlarged, inside, count)
    return Localization(
        share=share,
        area=area,
        lift=share / area,
        hit=None if constant else bool(near[_peak(values, inside.shape)]),
        chance_hit=float(np.count_nonzero(near)) / near.size,
        iou=iou,
        threshold=threshold,
        reason="the map has one value everywhere, and so no peak" if constant else "",
    )


def unmeasured(reason: str) -> Localization:
    """No numbers, and why."""
    return Localization(reason=reason)


def compare_groups(
    localizations: Sequence[Localization], good: Sequence[bool | None]
) -> LocalizationSummary:
    """Maps of ``good`` predictions beside those of bad ones; None is neither."""
    right, wrong = split_by_good(localizations, good)
    return LocalizationSummary(
        n=len(localizations),
        measured=len(_measured(localizations)),
        all=group_of(localizations),
        good=group_of(right),
        bad=group_of(wrong),
        tests={name: rank_sum(numbers(right, name), numbers(wrong, name)) for name in _TESTED},
        reasons=dict(Counter(entry.reason for entry in localizations if entry.reason)),
    )


def split_by_good(
    localizations: Sequence[Localization], good: Sequence[bool | None]
) -> tuple[list[Localization], list[Localization]]:
    """The maps of good predictions, and those of bad ones."""
    right, wrong = (
        [entry for entry, is_good in zip(localizations, good, strict=True) if is_good is side]
        for side in (True, False)
    )
    return right, wrong


def group_of(localizations: Sequence[Localization]) -> GroupLocalization:
    """The numbers of one group."""
    measured = _measured(localizations)
    with_peak = [entry for entry in measured if entry.hit is not None]
    hits = sum(bool(entry.hit) for entry in with_peak)
    chances = numbers(with_peak, "chance_hit")
    return GroupLocalization(
        n=len(measured),
        share=spread(numbers(measured, "share")),
        area=spread(numbers(measured, "area")),
        lift=spread(numbers(measured, "lift")),
        iou=spread(numbers(measured, "iou")),
        hits=hits,
        hit_rate=hits / len(with_peak) if with_peak else None,
        chance_hit_rate=float(chances.mean()) if with_peak else None,
        p_share=signed_rank_p(numbers(measured, "share") - numbers(measured, "area")),
    )


def numbers(localizations: Sequence[Localization], measure: str) -> Floats:
    """The values (n,) of those that have the measure, in order."""
    values = [getattr(entry, measure) for entry in localizations]
    return np.array([value for value in values if value is not None], np.float64)


def localization_lines(summary: LocalizationSummary) -> list[str]:
    """What the numbers say, a sentence each, with chance beside it."""
    if not summary.measured:
        return [f"localization: none of {summary.n} maps could be measured{_why(summary)}"]
    lines = [
        f"localization: {summary.measured} of {summary.n} maps measured{_why(summary)}",
        _group_line("all", summary.all),
    ]
    for name, group in (("good predictions", summary.good), ("bad predictions", summary.bad)):
        if group.n:
            lines.append(_group_line(name, group))
    test = summary.tests["share"]
    if test is not None:
        lines.append(
            f"share inside the mask, good against bad: effect {test.effect:+.2f} (-1 to 1), "
            f"p {p_text(test.p, True)}"
        )
    elif summary.good.n and summary.bad.n:
        lines.append(
            f"share inside the mask, good against bad: not tested, with fewer than "
            f"{FEWEST_IN_GROUP} in a group"
        )
    return lines


def _group_line(name: str, group: GroupLocalization) -> str:
    parts = [
        f"{name} ({group.n}): {_percent(group.share.mean)} of the map inside the mask, which is "
        f"{_percent(group.area.mean)} of the image"
    ]
    if group.hit_rate is not None:
        parts.append(
            f"peak inside {_percent(group.hit_rate)}, by chance {_percent(group.chance_hit_rate)}"
        )
    return "; ".join(parts)


def _why(summary: LocalizationSummary) -> str:
    if not summary.reasons:
        return ""
    return f" ({'; '.join(f'{count}: {reason}' for reason, count in summary.reasons.items())})"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"


def _measured(localizations: Sequence[Localization]) -> list[Localization]:
    return [entry for entry in localizations if entry.share is not None]


def _enlarged(values: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """A map, or the maps of a volume, at ``size``."""
    *depth, high, wide = size
    if not depth:
        return resize.resize(values, high, wide, resize.BILINEAR)
    enlarged = np.empty(size, np.float32)
    for z in range(depth[0]):
        layer = np.ascontiguousarray(resize.slice_of(values, z, depth[0]), np.float32)
        enlarged[z] = resize.resize(layer, high, wide, resize.BILINEAR)
    return enlarged


def _peak(values: NDArray[np.float32], size: tuple[int, ...]) -> tuple[int, ...]:
    cell = np.unravel_index(int(values.argmax()), values.shape)
    # Not the enlarged map's argmax: at its border a cell's value repeats, up to rounding.
    return tuple(
        (2 * int(index) + 1) * length // (2 * count)
        for index, count, length in zip(cell, values.shape, size, strict=True)
    )


def _within(inside: NDArray[np.bool_], tolerance: float) -> NDArray[np.bool_]:
    """Pixels whose center is at most ``tolerance`` pixels from that of one inside."""
    if tolerance <= 0.0:
        return inside
    from scipy.ndimage import distance_transform_edt

    near: NDArray[np.bool_] = distance_transform_edt(~inside) <= tolerance
    return near


def _best_iou(
    relative: NDArray[np.float32], inside: NDArray[np.bool_], count: int
) -> tuple[float, float]:
    """The best IoU and its threshold; ``relative``, 0 to 1, is written over; ``count``
    pixels are inside."""
    top = THRESHOLDS - 1
    # Counted by level once: sorting a picture of 512x512 takes ten times as long.
    levels = np.multiply(relative, np.float32(top), out=relative).astype(np.uint8)
    everywhere = np.bincount(levels.ravel(), minlength=THRESHOLDS)
    within = np.bincount(levels[inside], minlength=THRESHOLDS)
    above, both = (np.cumsum(counts[:0:-1])[::-1] for counts in (everywhere, within))
    ratios = both / (above + count - both)
    best = int(ratios.argmax())
    return float(ratios[best]), (best + 1) / top

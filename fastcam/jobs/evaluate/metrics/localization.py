"""Does a map lie where it should: inside a mask, with what chance would give beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastcam_kernels import resize
from numpy.typing import NDArray

from fastcam.figures.map_scales import is_constant
from fastcam.report.statistics import RankSum, Spread, rank_sum, spread

MEASURES = {
    "share": "share of the map that lies inside the mask; values below 0 count as 0",
    "area": "the mask's share of the image: what share and hit would be by chance",
    "lift": "share / area: 1 is chance",
    "hit": "pointing game: the map's highest value lies inside the mask",
    "chance_hit": "share of the image's pixels that would count as a hit",
    "iou": "intersection over union of mask and thresholded map, at the best threshold",
    "threshold": "the threshold of iou, as a share of the map's highest value",
}
# Thresholds that iou tries, in equal steps up to the map's highest value.
THRESHOLDS = 256
_TESTED = ("share", "lift", "iou")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Localisation:
    """One map against one mask; ``MEASURES`` explains the numbers.

    Without a mask or without anything in the map that could be compared they are None, and
    ``reason`` says why.
    """

    share: float | None = None
    area: float | None = None
    lift: float | None = None
    hit: bool | None = None
    chance_hit: float | None = None
    iou: float | None = None
    threshold: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GroupLocalisation:
    """A group's maps; ``n`` counts those that were measured.

    ``hit_rate`` and ``chance_hit_rate``: share of maps whose peak is a hit, and what points placed
    at random would reach. ``p_share``: Wilcoxon signed-rank test (1945) of share against area,
    two-sided; None below six maps, where it can't fall under 0.05.
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


@dataclass(frozen=True, slots=True)
class LocalisationSummary:
    """All maps, and those of good beside those of bad predictions.

    ``n`` images, of which ``measured`` have numbers; ``reasons`` counts why the others have none.
    ``tests``: good against bad (:class:`RankSum`, effect above 0: higher where the prediction is
    good); None where a group is empty.
    """

    n: int
    measured: int
    all: GroupLocalisation
    good: GroupLocalisation
    bad: GroupLocalisation
    tests: dict[str, RankSum | None]
    reasons: dict[str, int]


def localise(
    values: NDArray[np.float32], mask: NDArray[np.bool_], tolerance: float = 0.0
) -> Localisation:
    """A map (h, w), raw, at its layer's resolution, against a mask (H, W) of the same field.

    Or of a volume, (d, h, w) against (D, H, W), with voxels for pixels. The map is enlarged to the
    mask as in the figures: linearly along each axis, half-pixel centres. ``share`` is the
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
        return Localisation(area=area, reason="the map is not finite (NaN or infinite)")
    enlarged = _enlarged(values, inside.shape)
    peak = float(enlarged.max())
    if peak <= 0.0:
        return Localisation(area=area, reason="the map has no value above 0")
    # By the highest value first: the sum of tiny gradients' squares is nothing to divide by. In
    # place: each new array of this size costs as much as what is done with it.
    np.divide(enlarged, np.float32(peak), out=enlarged)
    np.maximum(enlarged, 0, out=enlarged)
    share = float(enlarged[inside].sum(dtype=np.float64) / enlarged.sum(dtype=np.float64))
    near = _within(inside, tolerance)
    even = is_constant(values)
    iou, threshold = _best_iou(enlarged, inside, count)
    return Localisation(
        share=share,
        area=area,
        lift=share / area,
        hit=None if even else bool(near[_peak(values, inside.shape)]),
        chance_hit=float(np.count_nonzero(near)) / near.size,
        iou=iou,
        threshold=threshold,
        reason="the map has one value everywhere, and so no peak" if even else "",
    )


def unmeasured(reason: str) -> Localisation:
    """No numbers, and why."""
    return Localisation(reason=reason)


def compare_groups(
    found: Sequence[Localisation], good: Sequence[bool | None]
) -> LocalisationSummary:
    """Maps of ``good`` predictions beside those of bad ones; None is neither."""
    groups = by_group(found, [None if g is None else "good" if g else "bad" for g in good])
    right, wrong = (
        [one for one, g in zip(found, good, strict=True) if g is wanted] for wanted in (True, False)
    )
    return LocalisationSummary(
        n=len(found),
        measured=len(_measured(found)),
        all=group_of(found),
        good=groups.get("good") or group_of([]),
        bad=groups.get("bad") or group_of([]),
        tests={name: rank_sum(known(right, name), known(wrong, name)) for name in _TESTED},
        reasons=dict(Counter(one.reason for one in found if one.reason)),
    )


def by_group(
    found: Sequence[Localisation], groups: Sequence[str | None]
) -> dict[str, GroupLocalisation]:
    """Each group by its name, in the order in which names first come; None is in no group."""
    members: dict[str, list[Localisation]] = {}
    for one, group in zip(found, groups, strict=True):
        if group is not None:
            members.setdefault(group, []).append(one)
    return {group: group_of(ones) for group, ones in members.items()}


def group_of(found: Sequence[Localisation]) -> GroupLocalisation:
    """The numbers of one group."""
    measured = _measured(found)
    pointed = [one for one in measured if one.hit is not None]
    hits = sum(bool(one.hit) for one in pointed)
    chances = known(pointed, "chance_hit")
    return GroupLocalisation(
        n=len(measured),
        share=spread(known(measured, "share")),
        area=spread(known(measured, "area")),
        lift=spread(known(measured, "lift")),
        iou=spread(known(measured, "iou")),
        hits=hits,
        hit_rate=hits / len(pointed) if pointed else None,
        chance_hit_rate=float(chances.mean()) if pointed else None,
        p_share=_against_chance(known(measured, "share") - known(measured, "area")),
    )


def known(found: Sequence[Localisation], measure: str) -> Floats:
    """The values of those that have the measure, in order."""
    values = [getattr(one, measure) for one in found]
    return np.array([value for value in values if value is not None], np.float64)


def describe(summary: LocalisationSummary) -> list[str]:
    """What the numbers say, a sentence each, with chance beside it."""
    if not summary.measured:
        return [f"localisation: none of {summary.n} maps could be measured{_why(summary)}"]
    lines = [
        f"localisation: {summary.measured} of {summary.n} maps measured{_why(summary)}",
        *_told("all", summary.all),
        *(_told("good predictions", summary.good) if summary.good.n else []),
        *(_told("bad predictions", summary.bad) if summary.bad.n else []),
    ]
    test = summary.tests["share"]
    if test is not None:
        lines.append(
            f"share inside the mask, good against bad: effect {test.effect:+.2f} (-1 to 1), "
            f"p {'< 0.001' if test.p < 0.001 else f'= {test.p:.3f}'}"
        )
    return lines


def _told(name: str, group: GroupLocalisation) -> list[str]:
    words = [
        f"{name} ({group.n}): {_percent(group.share.mean)} of the map inside the mask, which is "
        f"{_percent(group.area.mean)} of the image"
    ]
    if group.hit_rate is not None:
        words.append(
            f"peak inside {_percent(group.hit_rate)}, by chance {_percent(group.chance_hit_rate)}"
        )
    return ["; ".join(words)]


def _why(summary: LocalisationSummary) -> str:
    if not summary.reasons:
        return ""
    return f" ({'; '.join(f'{count}: {reason}' for reason, count in summary.reasons.items())})"


def _percent(value: Any) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"


def _measured(found: Sequence[Localisation]) -> list[Localisation]:
    return [one for one in found if one.share is not None]


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
        (2 * int(at) + 1) * length // (2 * cells)
        for at, cells, length in zip(cell, values.shape, size, strict=True)
    )


def _within(inside: NDArray[np.bool_], tolerance: float) -> NDArray[np.bool_]:
    """Pixels whose centre is at most ``tolerance`` pixels from that of one inside."""
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


def _against_chance(differences: Floats) -> float | None:
    if differences.size < 6:
        return None
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue)

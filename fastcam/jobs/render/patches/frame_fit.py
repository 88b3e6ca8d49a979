"""Whether a case's boxes lie where the chosen frame puts them, and which frame fits if not.

A results file says of each patch how much of it lay inside the mask when the model saw it
(``mask_ratio``). Measured again under the chosen frame, axes and slices this comes out the same, or
the boxes are drawn elsewhere than the model looked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.options import AUTO_FRAME, Axes, Sources
from fastcam.read.results.case import Case
from fastcam.read.volumes import frames, orientation
from fastcam.read.volumes.masks import Mask

# A sample of a case: 0.6 ms to measure in whole slices, 5 ms in crops that are resized.
_SLICES, _A_SLICE = 6, 6
# Of fewer patches than this a wrong frame may fit by chance.
_FEWEST = 4

# Mean distance of a box's share inside the mask from its mask_ratio. Right frames of real results
# files came out at 0.000 to 0.015, crops two pixels off at 0.03, whole slices for crops at 0.4.
FITS = 0.05
# More than this is odd, even where nothing that was tried comes closer.
_ODD = 0.1

# Tried from left to right; of those that fit alike the first is taken.
_SIDES = (244, 224, 256, 512, 384, 320, 288, 448, 192, 160, 128, 112, 96, 64, 299, 640, 768, 1024)
_COUNTS = (100, 64, 50, 128, 32, 20, 40, 16, 24, 48, 60, 80, 96, 120, 150, 200)
# Sides beyond the last box: patches at a stride leave less than one stride at the edge.
_BEYOND = 64
_ALIKE = 0.01


@dataclass(frozen=True, eq=False)
class Evidence:
    """Patches of a case whose share inside the mask is known, and how its mask is opened.

    Attributes:
        boxes: (n, 4) int32 ``x1, y1, x2, y2`` in pixels of the frame, ends exclusive.
        slices: (n,) int32, the slice of each.
        ratios: (n,) float32, share of each inside the mask, 0 to 1.
        reach: the largest end of all boxes of the case.
        last: the last slice that holds patches.
        open_mask: gives (mask, number of the volume's slices) for an order of axes. CaseError
            where there is none.
    """

    boxes: NDArray[np.int32]
    slices: NDArray[np.int32]
    ratios: NDArray[np.float32]
    reach: int
    last: int
    open_mask: Callable[[Axes], tuple[Mask, int]]


@dataclass(frozen=True)
class Fit:
    """How well a frame fits.

    Attributes:
        sources: the frame, axes and slices.
        measured: mean share of the boxes inside the mask, 0 to 1.
        mask_ratio: mean of their ``mask_ratio``.
        distance: mean distance of the two, box by box.
    """

    sources: Sources
    measured: float
    mask_ratio: float
    distance: float

    @property
    def fits(self) -> str:
        """In words, that it fits."""
        return f"{options_of(self.sources)} fits (off by {self.distance:.2f})"

    @property
    def misfit(self) -> str:
        """In words, how far boxes are off."""
        return (
            f"the share of mask in a box with {options_of(self.sources)} ({self.measured:.2f} on "
            f"average) is off its mask_ratio ({self.mask_ratio:.2f}) by {self.distance:.2f}"
        )


def options_of(sources: Sources) -> str:
    """The options that choose a frame."""
    return f"--frame {sources.frame} --axes {sources.axes} --slices {sources.slices}"


def evidence_of(case: Case, open_mask: Callable[[Axes], tuple[Mask, int]]) -> Evidence | None:
    """A sample of the patches whose ``mask_ratio`` is known; None where too few are."""
    patches = np.flatnonzero(~np.isnan(case.mask_ratio))
    if len(patches) < _FEWEST:
        return None
    indices = np.unique(case.slices[patches])
    parts = [
        _spread(patches[case.slices[patches] == index], _A_SLICE)
        for index in _spread(indices, _SLICES)
    ]
    sample = np.concatenate(parts)
    return Evidence(
        case.boxes[sample],
        case.slices[sample],
        case.mask_ratio[sample],
        int(case.boxes[:, 2:].max()),
        int(case.slices.max()),
        open_mask,
    )


def fit_of(evidence: Evidence, sources: Sources) -> Fit | None:
    """How well one frame fits a case; None where its slices or its mask can't be those."""
    try:
        mask, depth = evidence.open_mask(sources.axes)
    except CaseError:
        return None
    return _fit(evidence, mask, depth, sources)


def check_fit(evidence: Evidence, sources: Sources) -> str:
    """What is odd about a case in its frame; empty where it fits. CaseError that names the frame
    that fits, where the chosen one doesn't and another does."""
    fit = fit_of(evidence, sources)
    if fit is None or fit.distance <= FITS:
        return ""
    better = best_fit([evidence], sources)
    if explains(better, fit):
        raise CaseError(f"{fit.misfit}; {better.fits}")
    return unexplained(fit)


def unexplained(fit: Fit) -> str:
    """The warning where no other frame fits better; empty where the fit is not that bad."""
    if fit.distance <= _ODD:
        return ""
    return f"{fit.misfit}, and no other frame fits: check that the mask is the one the model had"


def explains(better: Fit | None, fit: Fit) -> TypeGuard[Fit]:
    """Whether ``better`` is so much closer that ``fit`` must be wrong."""
    return better is not None and better.distance <= min(_ODD, fit.distance / 2)


def best_fit(evidence: Sequence[Evidence], sources: Sources) -> Fit | None:
    """The frame, axes and slices that fit some cases best, of those that are usual.

    All are tried on the first case, the closest on the others. Other slices than those of
    ``sources`` are tried where nothing fits with these.
    """
    best = None
    for candidates in (_frames(evidence[0], sources), _ranges(evidence[0], sources)):
        fits = [
            fit for candidate in candidates if (fit := fit_of(evidence[0], candidate)) is not None
        ]
        if not fits:
            continue
        least = min(fit.distance for fit in fits)
        of_all = [
            joined([fit, *(fit_of(other, fit.sources) for other in evidence[1:])])
            for fit in fits
            if fit.distance <= least + FITS
        ]
        least = min(fit.distance for fit in of_all)
        closest = next(fit for fit in of_all if fit.distance <= least + _ALIKE)
        if best is None or closest.distance < best.distance:
            best = closest
        if best.distance <= FITS:
            break
    return best


def joined(fits: Iterable[Fit | None]) -> Fit:
    """One fit of several cases with the same sources; a case that has none is as far off as can
    be."""
    fits = list(fits)
    present = [fit for fit in fits if fit is not None]
    return replace(
        present[0],
        measured=float(np.mean([fit.measured for fit in present])),
        mask_ratio=float(np.mean([fit.mask_ratio for fit in present])),
        distance=float(np.mean([1.0 if fit is None else fit.distance for fit in fits])),
    )


def _frames(evidence: Evidence, sources: Sources) -> Iterator[Sources]:
    """Every frame with either order of the axes, those of ``sources`` first."""
    sides = {*_SIDES, *range(evidence.reach, evidence.reach + _BEYOND)}
    usual = sorted(side for side in sides if evidence.reach <= side <= frames.MAX_SIZE)
    names = ["image", *(f"mask-crop:{side}" for side in sorted(usual, key=_rank))]
    for axes in _both_axes(sources):
        for frame in names:
            yield replace(sources, frame=frame, axes=axes)


def _rank(side: int) -> tuple[int, int]:
    """Usual sides first, then round ones."""
    if side in _SIDES:
        return 0, _SIDES.index(side)
    return 1, -(side & -side)


def _ranges(evidence: Evidence, sources: Sources) -> Iterator[Sources]:
    """Other ranges of slices that hold all patches, with the usual frames."""
    try:
        _, depth = evidence.open_mask(sources.axes)
    except CaseError:
        return
    counts = [count for count in (*_COUNTS, evidence.last + 1) if evidence.last < count < depth]
    own = () if sources.frame == AUTO_FRAME else (sources.frame,)
    for axes in _both_axes(sources):
        for slices in ("all", *(f"middle:{count}" for count in dict.fromkeys(counts))):
            for frame in dict.fromkeys((*own, "image", "mask-crop:244", "mask-crop:224")):
                if slices != sources.slices:
                    yield replace(sources, frame=frame, axes=axes, slices=slices)


def _both_axes(sources: Sources) -> tuple[Axes, Axes]:
    return ("zyx", "xyz") if sources.axes == "zyx" else ("xyz", "zyx")


def _fit(evidence: Evidence, mask: Mask, depth: int, sources: Sources) -> Fit | None:
    numbering = frames.parse_slices(sources.slices)
    if evidence.last >= numbering.length(depth):
        return None
    first, shared = numbering.first(depth), len(mask.inside) == 1
    turn, side = orientation.for_frame(sources.axes), frames.parse_frame(sources.frame).crop

    @cache
    def framed(z: int) -> NDArray[np.uint8]:
        layer: NDArray[np.uint8] = turn.apply(mask.slice(z))
        if side is None:
            return layer
        height, width = layer.shape
        return frames.plan_crop(layer, height, width, side).apply_mask(layer)

    shares = np.array(
        [
            _share(framed(0 if shared else first + index), box)
            for box, index in zip(evidence.boxes.tolist(), evidence.slices.tolist(), strict=True)
        ]
    )
    distance = float(np.abs(shares - evidence.ratios).mean())
    return Fit(sources, float(shares.mean()), float(evidence.ratios.mean()), distance)


def _share(inside: NDArray[np.uint8], box: Sequence[int]) -> float:
    """Share of a box inside the mask (h, w); what sticks out of the picture is not."""
    left, top, right, bottom = box
    x1, y1 = max(left, 0), max(top, 0)
    pixels = inside[y1 : max(bottom, y1), x1 : max(right, x1)]
    return int(np.count_nonzero(pixels)) / ((right - left) * (bottom - top))


def _spread(values: NDArray[Any], count: int) -> NDArray[Any]:
    """At most ``count`` of the values, from the first to the last at even distances."""
    if len(values) <= count:
        return values
    return values[np.linspace(0, len(values) - 1, count).round().astype(np.intp)]

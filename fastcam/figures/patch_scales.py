"""Which heat values the two ends of the color table stand for: ``--scale``.

Heat is compared within a slice, a case (``patient``) or all cases of a run (``cohort``); ``rank``
replaces heat by its rank among the heated pixels of the case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from fastcam_kernels import heat
from numpy.typing import NDArray

from fastcam.options import Scale
from fastcam.read.results.case import Case


def by_slice(case: Case) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.float32]]]:
    """Each slice that holds patches, ascending, with its boxes (n, 4) and weights (n,)."""
    for index, members in case.members.items():
        yield index, case.boxes[members], case.weights[members]


def peak(case: Case, height: int, width: int) -> float:
    """The highest heat of a case, over all its slices of ``height`` x ``width`` pixels."""
    highest = 0.0
    for _, boxes, weights in by_slice(case):
        highest = max(highest, heat.heat_peak(boxes, weights, height, width)[1])
    return highest


@dataclass(frozen=True)
class Ranks:
    """Empirical distribution of a case's heat over its heated pixels.

    Attributes:
        values: (m,) float32, ascending and distinct.
        shares: (m,) float32, the share of heated pixels at or below each value; the highest has 1.
    """

    values: NDArray[np.float32]
    shares: NDArray[np.float32]

    def apply(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Heat (h, w) replaced by its share, 0 to 1; pixels without heat stay 0."""
        if not len(self.values):
            return np.zeros_like(picture)
        ranks = np.minimum(np.searchsorted(self.values, picture), len(self.values) - 1)
        return np.where(picture > 0, self.shares[ranks], np.float32(0))


def ranks(case: Case, height: int, width: int) -> Ranks:
    """Rank every heated pixel of a case among all of them."""
    counts: dict[float, int] = {}
    for _, boxes, weights in by_slice(case):
        picture = heat.patch_heat(boxes, weights, height, width)
        values, pixels = np.unique(picture[picture > 0], return_counts=True)
        for value, count in zip(values.tolist(), pixels.tolist(), strict=True):
            counts[value] = counts.get(value, 0) + count
    values = np.array(sorted(counts), dtype=np.float32)
    totals = np.cumsum([counts[v] for v in sorted(counts)], dtype=np.float64)
    shares = (totals / totals[-1]).astype(np.float32) if len(totals) else values
    return Ranks(values, shares)


@dataclass(frozen=True)
class CaseScale:
    """The scale of one case's figures.

    Attributes:
        kind: what is compared on it.
        high: the highest heat, for ``patient`` and ``cohort``.
        ranks: the distribution of the case's heat, for ``rank``.
    """

    kind: Scale
    high: float = 0.0
    ranks: Ranks | None = None

    def heat_and_limits(
        self, picture: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], tuple[float, float]]:
        """A slice's heat (h, w) as it is shown, and the limits of its color bar."""
        if self.kind == "rank" and self.ranks is not None:
            return self.ranks.apply(picture), (0.0, 1.0)
        if self.kind == "slice":
            low, high = float(picture.min()), float(picture.max())
            return picture, (low if high > low else 0.0, high)
        return picture, (0.0, self.high)


def case_scale(case: Case, kind: Scale, height: int, width: int, cohort_high: float) -> CaseScale:
    """Scale of a case whose frames have ``height`` x ``width`` pixels."""
    if kind == "rank":
        return CaseScale(kind, 1.0, ranks(case, height, width))
    if kind == "cohort":
        return CaseScale(kind, cohort_high)
    return CaseScale(kind, peak(case, height, width) if kind == "patient" else 0.0)

"""How far the maps of changed images agree, of right and of wrong predictions."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcam.report.statistics import FEWEST_IN_GROUP
from fastcam.run.csv_cells import csv_row
from fastcam.store.map_schema import MapHeader

STABILITY = "stability.csv"
_SUFFIX = ": stability"


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """The stability of one map, of one target.

    - ``map``, ``target``: what they are called; ``target`` empty where there is but one
    - ``kind``: how images were changed
    - ``right``, ``wrong`` (m,) float64: of the images that are predicted right, and wrong
    - ``p``: whether they differ (Mann & Whitney 1947, two-sided); None where one has too few
    """

    map: str
    target: str
    kind: str
    right: NDArray[np.float64]
    wrong: NDArray[np.float64]
    p: float | None

    @property
    def line(self) -> str:
        """All of it in words, with the medians."""
        shown = ", ".join(filter(None, [self.map, self.target]))
        texts = [
            f"{word} {np.median(group):.3f} (n = {len(group)})" if len(group) else f"{word} none"
            for word, group in (("right", self.right), ("wrong", self.wrong))
        ]
        line = f"stability of {shown} under {self.kind}, median: {', '.join(texts)}"
        return line if self.p is None else f"{line}, p = {self.p:.2g}"


def stability_of(
    headers: Sequence[MapHeader],
    good: ArrayLike,
    names: Sequence[str],
    kind: str,
    targets: Sequence[str] = ("",),
) -> list[Stability]:
    """Of each map whose stability was measured, and each of its targets; none without.

    ``headers`` of the n evaluated images; ``good`` (n,), or (n, targets): 1 where it is right, 0
    where it is wrong, NaN where that isn't known; ``names`` of the measures, where that of a map
    stands once for each target; ``kind``: how images were changed; ``targets``: what they are
    called.
    """
    found = []
    rights = np.asarray(good, np.float64).reshape(len(headers), -1)
    of_maps = [name for name in dict.fromkeys(names) if name.endswith(_SUFFIX)]
    for name, (number, target) in itertools.product(of_maps, enumerate(targets)):
        columns = [column for column, other in enumerate(names) if other == name]
        if number >= len(columns):
            continue
        values = np.array([header.measures[columns[number]] for header in headers], np.float64)
        right = rights[:, min(number, rights.shape[1] - 1)]
        groups = values[right == 1], values[right == 0]
        p = None
        if min(map(len, groups)) >= FEWEST_IN_GROUP:
            from scipy.stats import mannwhitneyu

            p = float(mannwhitneyu(*groups).pvalue)
        found.append(Stability(name.removesuffix(_SUFFIX), target, kind, *groups, p))
    return found


def stability_table(found: Sequence[Stability]) -> str:
    """``stability.csv``: a row for each, medians and numbers of images."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = ("map", "target", "changed_by", "right_median", "right_images", "wrong_median")
    writer.writerow((*columns, "wrong_images", "p"))
    for one in found:
        groups = [(f"{np.median(g):.6g}" if len(g) else "", len(g)) for g in (one.right, one.wrong)]
        p = "" if one.p is None else f"{one.p:.6g}"
        writer.writerow(csv_row((one.map, one.target, one.kind, *groups[0], *groups[1], p)))
    return out.getvalue()

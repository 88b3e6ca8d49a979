"""How far the maps of changed images agree, of right and of wrong predictions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastcam.report.statistics import FEWEST_IN_GROUP
from fastcam.store.map_schema import MapHeader

_SUFFIX = ": stability"


def stability_lines(
    headers: Sequence[MapHeader],
    good: ArrayLike,
    names: Sequence[str],
    kind: str,
    targets: Sequence[str] = ("",),
) -> list[str]:
    """A line for each map whose stability was measured, and each of its targets: its median over
    right and wrong predictions, and whether they differ (Mann & Whitney 1947, two-sided).

    ``headers`` of the n evaluated images; ``good`` (n,), or (n, targets): 1 where it is right, 0
    where it is wrong, NaN where that isn't known; ``names`` of the measures, where that of a map
    stands once for each target; ``kind``: how images were changed; ``targets``: what they are
    called. Nothing where none was measured.
    """
    lines = []
    rights = np.asarray(good, np.float64).reshape(len(headers), -1)
    of_maps = [name for name in dict.fromkeys(names) if name.endswith(_SUFFIX)]
    for name, (number, target) in itertools.product(of_maps, enumerate(targets)):
        columns = [column for column, other in enumerate(names) if other == name]
        if number >= len(columns):
            continue
        values = np.array([header.measures[columns[number]] for header in headers], np.float64)
        right = rights[:, min(number, rights.shape[1] - 1)]
        groups = [values[right == 1], values[right == 0]]
        texts = [
            f"{word} {np.median(group):.3f} (n = {len(group)})" if len(group) else f"{word} none"
            for word, group in zip(("right", "wrong"), groups, strict=True)
        ]
        shown = ", ".join(filter(None, [name.removesuffix(_SUFFIX), target]))
        line = f"stability of {shown} under {kind}, median: "
        line += ", ".join(texts)
        if min(map(len, groups)) >= FEWEST_IN_GROUP:
            from scipy.stats import mannwhitneyu

            line += f", p = {mannwhitneyu(groups[0], groups[1]).pvalue:.2g}"
        lines.append(line)
    return lines

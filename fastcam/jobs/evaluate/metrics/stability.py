"""How far the maps of changed images agree, of right and of wrong predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastcam.report.statistics import FEWEST_IN_GROUP
from fastcam.store.map_schema import MapHeader

_SUFFIX = ": stability"


def stability_lines(
    headers: Sequence[MapHeader], good: Sequence[bool], names: Sequence[str], kind: str
) -> list[str]:
    """A line for each map whose stability was measured: its median over right and wrong
    predictions, and whether they differ (Mann & Whitney 1947, two-sided).

    ``headers`` of the evaluated images, ``good`` whether each is right, ``names`` of the measures;
    ``kind``: how images were changed. Of several targets the first counts. Nothing where none was
    measured.
    """
    lines = []
    for name in dict.fromkeys(name for name in names if name.endswith(_SUFFIX)):
        column = list(names).index(name)
        values = np.array([header.measures[column] for header in headers], np.float64)
        right = np.array(good, np.bool_)
        groups = [values[right], values[~right]]
        texts = [
            f"{word} {np.median(group):.3f} (n = {len(group)})" if len(group) else f"{word} none"
            for word, group in zip(("right", "wrong"), groups, strict=True)
        ]
        line = f"stability of {name.removesuffix(_SUFFIX)} under {kind}, median: "
        line += ", ".join(texts)
        if min(map(len, groups)) >= FEWEST_IN_GROUP:
            from scipy.stats import mannwhitneyu

            line += f", p = {mannwhitneyu(groups[0], groups[1]).pvalue:.2g}"
        lines.append(line)
    return lines

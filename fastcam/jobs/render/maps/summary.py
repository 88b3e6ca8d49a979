"""The text beside one volume's figures: what was predicted, and its slices ranked by heat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastcam.errors import one_line


@dataclass(frozen=True)
class RankedSlices:
    """What is told of a volume: ``facts`` line by line, and slice -> mean heat."""

    facts: Mapping[str, str]
    averages: Mapping[int, float]
    best_slice: int


def map_summary(told: RankedSlices) -> str:
    """The text of ``_summary.txt``, ending with a newline. Slices are ranked by their mean heat,
    ties by index; BEST marks the one that holds the highest value."""
    width = max(map(len, told.facts)) + 2
    lines = [f"{name + ':':<{width}}{one_line(value)}" for name, value in told.facts.items()]
    lines += ["", "Slices by average heat:", "rank  slice  average"]
    ranked = sorted(told.averages.items(), key=lambda pair: (-pair[1], pair[0]))
    for rank, (index, average) in enumerate(ranked, 1):
        best = "  BEST" if index == told.best_slice else ""
        lines.append(f"{rank:>4}  {index:>5}  {average:#.4g}{best}")
    return "\n".join(lines) + "\n"

"""What the figures of a segmentation's test set say: the Dice coefficients of their images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from fastcam.figures.map_figure import Heading
from fastcam.figures.slice_facts import SliceFacts
from fastcam.jobs.evaluate.metrics.segmentation import GOOD_DICE, Overlap, mean_dice
from fastcam.jobs.evaluate.scoring import NO_CLASSES, Score, Scoring
from fastcam.store.map_schema import MapHeader

# More classes than these don't fit into a heading.
_MOST_NAMED = 4


@dataclass(frozen=True)
class SegmentationScoring(Scoring):
    """How images of a segmentation are scored: by the mean of their classes' Dice coefficients.

    Attributes:
        labels: the classes that are measured.
        overlaps: an image's place in the run, and one :class:`Overlap` for each of them.
    """

    labels: tuple[int, ...] = ()
    overlaps: tuple[tuple[int, tuple[Overlap, ...]], ...] = ()

    @cached_property
    def _by_place(self) -> dict[int, tuple[Overlap, ...]]:
        return dict(self.overlaps)

    def score(self, header: MapHeader) -> Score | None:
        """How many classes there are and are predicted, and 1 - their mean Dice coefficient, 0
        where there are none; None for an image that isn't measured."""
        overlaps = self._by_place.get(header.place)
        if overlaps is None:
            return None
        dice = mean_dice(overlaps)
        error = 0.0 if dice is None else 1.0 - dice
        return Score(
            float(sum(entry.true_pixels > 0 for entry in overlaps)),
            float(sum(entry.predicted_pixels > 0 for entry in overlaps)),
            error,
            1.0 - error >= GOOD_DICE,
            NO_CLASSES,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The fields, the measured ones as a fingerprint."""
        plain = {e.name: getattr(self, e.name) for e in fields(self) if e.name != "overlaps"}
        digest = hashlib.sha256(repr(self.overlaps).encode()).hexdigest()
        return {"judging": {**plain, "overlaps": digest}}

    def heading(self, header: MapHeader, index: int | None = None, best: bool = True) -> Heading:
        """The file's name, and which slice of a volume; Dice coefficients, green where good."""
        title = "/".join(filter(None, [header.group, header.source.name]))
        if index is not None:
            title += f"  ·  {SliceFacts(header.shape[0]).index_text(index, self.classic)}"
        score, overlaps = self.score(header), self._by_place.get(header.place, ())
        if score is None:
            return Heading(title, "not measured")
        parts = [f"Dice {1.0 - score.error:.3f}"]
        if all(entry.dice is None for entry in overlaps):
            parts = ["none of the classes is there or predicted"]
        elif 1 < len(overlaps) <= _MOST_NAMED:
            for label, entry in zip(self.labels, overlaps, strict=True):
                dice = "-" if entry.dice is None else f"{entry.dice:.3f}"
                parts.append(f"{self.value_text(label)} {dice}")
        return Heading(title, "  ·  ".join(parts), score.good)

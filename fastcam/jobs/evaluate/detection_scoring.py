"""What the figures of a detector's test set say: their boxes, and how much of the map is inside."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from fastcam.figures.box_outlines import box_text
from fastcam.figures.map_figure import Heading
from fastcam.jobs.evaluate.metrics.detection import BoxMeasure
from fastcam.jobs.evaluate.scoring import NO_CLASSES, Score, Scoring
from fastcam.store.map_schema import MapHeader


@dataclass(frozen=True)
class DetectionScoring(Scoring):
    """How images of a detector are scored: by the share of a map that lies inside its box.

    Attributes:
        boxes: an image's place in the run, and what was measured of each target's box.
    """

    boxes: tuple[tuple[int, tuple[BoxMeasure | None, ...]], ...] = ()

    @cached_property
    def _by_place(self) -> dict[int, tuple[BoxMeasure | None, ...]]:
        return dict(self.boxes)

    def score(self, header: MapHeader) -> Score | None:
        """Of the first target that has a box: its label, 1 - the share of its map inside, and good
        where the map is highest inside; None for an image without any box.

        A map without a share counts as one outside of its box.
        """
        found = [entry for entry in self._by_place.get(header.place, ()) if entry is not None]
        if not found:
            return None
        inside = found[0].inside_box
        error = 1.0 - (inside.share or 0.0)
        # No true value is known.
        return Score(math.nan, float(found[0].label), error, bool(inside.hit), NO_CLASSES)

    @property
    def settings(self) -> dict[str, Any]:
        """The fields, the measured ones as a fingerprint."""
        plain = {e.name: getattr(self, e.name) for e in fields(self) if e.name != "boxes"}
        digest = hashlib.sha256(repr(self.boxes).encode()).hexdigest()
        return {"judging": {**plain, "boxes": digest}}

    def value_text(self, value: float) -> str:
        """The name of a class, or its number."""
        label = int(value)
        return self.names[label] if 0 <= label < len(self.names) else str(label)

    def heading(self, header: MapHeader, index: int | None = None, best: bool = True) -> Heading:
        """The file's name; each box with its score and the share of its map inside, green where the
        map of the first is highest inside of it."""
        title = "/".join(filter(None, [header.group, header.source.name]))
        measures = self._by_place.get(header.place, (None,) * len(header.boxes))
        parts = []
        for box, measure in zip(header.boxes, measures, strict=False):
            text = box_text(box, self.value_text)
            inside = None if measure is None else measure.inside_box
            if inside is not None and inside.share is not None and inside.area is not None:
                text += f", {inside.share:.0%} of the map in {inside.area:.1%} of the image"
            elif inside is not None:
                text += f", {inside.reason}"
            parts.append(text)
        score = self.score(header)
        first = next((entry for entry in measures if entry is not None), None)
        known = score is not None and first is not None and first.inside_box.hit is not None
        return Heading(title, "  ·  ".join(parts), score.good if score and known else None)

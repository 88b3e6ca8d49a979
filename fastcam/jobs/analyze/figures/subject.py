"""What a figure of an analysis is of: a picture, how it is turned, and how maps lie on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fastcam.attribution.box_target import NO_BOX
from fastcam.figures import layout
from fastcam.figures.box_outlines import with_boxes
from fastcam.figures.map_figure import Heading
from fastcam.figures.slice_facts import NO_FACTS, SliceFacts
from fastcam.figures.view_panels import panel_size
from fastcam.options import Style
from fastcam.read.inputs.bilateral_halves import whole_image_map
from fastcam.read.volumes.orientation import IDENTITY, Orientation

# What the picture is called where there is one.
ONLY_IMAGE = "image"


def found_boxes(boxes: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    """Those of ``boxes`` (t, 6) that there are, as :attr:`Subject.boxes`; ``size`` is that of the
    model's input."""
    sides = np.array([size[-1], size[-2]] * 2, np.float32)
    there: NDArray[np.float32] = boxes[boxes[:, 4] != NO_BOX, :4] / sides
    return there


@dataclass(frozen=True, eq=False)
class Subject:
    """What a figure is of.

    Attributes:
        heading: its title and verdict.
        picture: (h, w, 1 or 3) uint8, what the model saw of the image, turned by ``display``.
        halves: how maps lie on it: "no", or on each of its "plain" or "mirror" halves.
        left_share: the left half's share of Σ|gradient × input|, 0 to 1; None without halves.
        display: from the image as it is stored to what is shown; maps are turned with it, but for
            those of halves.
        left_side: the letter of the patient's side at the left edge, where it is known.
        name: what the picture is called.
        facts: what else is known of a slice.
        boxes: (t, 4) float32 x1, y1, x2, y2 in shares of the picture before it was turned: what a
            detector has found and is explained.
        over: by layer the picture that its map lies over, where that is another one.
    """

    heading: Heading
    picture: NDArray[np.uint8]
    halves: str = "no"
    left_share: float | None = None
    display: Orientation = IDENTITY
    left_side: str = ""
    name: str = ONLY_IMAGE
    facts: SliceFacts = NO_FACTS
    boxes: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32))
    over: Mapping[str, Subject] = field(default_factory=dict)

    def panel_size(self, style: Style) -> tuple[int, int]:
        """(height, width) of a panel that shows the picture, its longer side the style's."""
        return panel_size(self.picture, style.panel_size, self._aspect(style))

    def enlarged(self, style: Style) -> tuple[int, int]:
        """The same, but never smaller than the picture."""
        height, width = self.picture.shape[:2]
        return layout.enlarged(height, width, style.panel_size, self._aspect(style))

    def _aspect(self, style: Style) -> float:
        return style.shown_aspect(self.facts.pixel_aspect)

    def with_drawn_boxes(self) -> Subject:
        """The same with its boxes as a part of the picture, where other lines come over them."""
        if not len(self.boxes):
            return self
        boxes = np.pad(self.boxes, ((0, 0), (0, 2)))
        picture = with_boxes(self.picture, boxes, (1, 1), turn=self.display.apply)
        return replace(self, picture=picture, boxes=self.boxes[:0])

    def of(self, layer: str) -> Subject:
        """That with the picture which the map of ``layer`` lies over."""
        return self.over.get(layer, self)

    def whole_map(
        self, values: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """A layer's map over the whole picture; of halves as large as its panel, so that nothing
        runs over the midline when it is drawn."""
        if self.halves == "no":
            return np.ascontiguousarray(self.display.apply(values))
        return whole_image_map(values, height, width, self.halves)

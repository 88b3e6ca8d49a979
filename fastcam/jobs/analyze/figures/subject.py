"""What a figure of an analysis is of: a picture, how it is turned, and how maps lie on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.map_figure import Heading
from fastcam.figures.slice_facts import NO_FACTS, SliceFacts
from fastcam.figures.view_panels import panel_size
from fastcam.options import Style
from fastcam.read.inputs.bilateral_halves import whole_image_map
from fastcam.read.volumes.orientation import IDENTITY, Orientation

# What the picture is called where there is one.
ONLY_IMAGE = "image"


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

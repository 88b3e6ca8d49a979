"""How figures show one picture of several that a model takes together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.slice_facts import NO_FACTS, SliceFacts
from fastcam.read.volumes.orientation import IDENTITY, Orientation


@dataclass(frozen=True)
class PictureDisplay:
    """How figures show a picture.

    Attributes:
        orientation: from the picture as it is stored to what is shown; its maps are turned with it.
        left_side: the letter of the patient's side at the left edge, where it is known.
        facts: what else is known of a slice.
    """

    orientation: Orientation = IDENTITY
    left_side: str = ""
    facts: SliceFacts = NO_FACTS

    def turned(self, picture: NDArray[Any]) -> NDArray[Any]:
        """A picture (h, w[, c]) or map (h, w) as it is shown, of the same type."""
        return np.ascontiguousarray(self.orientation.apply(picture))


AS_STORED = PictureDisplay()

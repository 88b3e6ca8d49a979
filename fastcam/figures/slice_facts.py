"""Where a slice lies in the patient, and how its pixels are shown, as figures say it."""

from __future__ import annotations

import math
from dataclasses import dataclass

# A scale bar takes at most this share of a panel's width.
_BAR_SHARE = 0.25
# Between the parts of a caption.
CAPTION_SEPARATOR = "  ·  "


@dataclass(frozen=True, slots=True)
class SlicePosition:
    """Millimetres along the axis of the patient that slices are stacked along.

    Attributes:
        below: the letter of the side that negative numbers lie on: ``L``, ``P`` or ``I``.
        above: that of positive ones: ``R``, ``A`` or ``S``.
        first: of the middle of slice 0, in mm.
        step: from one slice to the next, in mm.
    """

    below: str
    above: str
    first: float
    step: float

    def text(self, index: int) -> str:
        """The position of a slice: ``S 23.5 mm``."""
        millimetres = self.first + index * self.step
        return f"{self.above if millimetres >= 0 else self.below} {abs(millimetres):.1f} mm"


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """What is known of a slice beside its pixels; empty and 0 where it isn't known.

    Attributes:
        depth: number of slices.
        index: which of them it is, from 0; negative where that isn't known.
        position: where the slice lies, as :class:`SlicePosition` says it.
        window: center and width of the grey window, and their unit: ``C 40 W 80 HU``.
        top_side: the letter of the patient's side at the top edge.
        pixel_width: of one pixel as shown, in mm.
        pixel_aspect: the height of a pixel as shown over its width, by their mm; 1 where these are
            the same but for 1 %, too.
        series: what the scanner calls the series.
    """

    depth: int = 0
    position: str = ""
    window: str = ""
    top_side: str = ""
    pixel_width: float = 0.0
    pixel_aspect: float = 1.0
    series: str = ""
    index: int = -1

    def index_text(self, index: int, classic: bool = False) -> str:
        """``slice 8 of 154``, counted from 0 as files are; of style ``classic`` ``slice 008``."""
        if classic:
            return f"slice {index:03d}"
        return f"slice {index}" + (f" of {self.depth}" if self.depth else "")

    def caption(self, name: str) -> str:
        """The caption of the slice's panel; the name of the series stands aside."""
        return CAPTION_SEPARATOR.join(filter(None, [name, self.position, self.window]))

    def numbered_caption(self, name: str) -> str:
        """:meth:`caption` with the slice's number, for figures whose title doesn't have it."""
        known = self.index >= 0 and self.depth > 1
        return self.caption(f"{name}, {self.index_text(self.index)}" if known else name)

    def scale_bar(self, columns: int, width: int) -> tuple[int, str]:
        """Pixels and text of a scale bar on a panel of ``width`` pixels that shows ``columns``."""
        if not (self.pixel_width > 0 and math.isfinite(self.pixel_width)):
            return 0, ""
        per_mm = width / (columns * self.pixel_width)
        most = width * _BAR_SHARE / per_mm
        power = 10.0 ** math.floor(math.log10(most))
        length = max(step for step in (power, 2 * power, 5 * power) if step <= most)
        return max(1, round(length * per_mm)), f"{length:g} mm"


NO_FACTS = SliceFacts()


def window_text(low: float, high: float, unit: str = "") -> str:
    """Center and width of a grey window from ``low`` to ``high``, in the ``unit`` of the file."""
    text = f"C {_short((low + high) / 2)} W {_short(abs(high - low))}"
    return f"{text} {unit}" if unit else text


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"

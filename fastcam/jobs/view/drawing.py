"""One panel of a figure drawn alone, quickly, as a PNG file in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from fastcam_kernels import png, resize
from fastcam_kernels.blend import levels_of
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.figure_parts import NO_OUTLINES, Panel
from fastcam.figures.figure_pixels import draw_panel
from fastcam.figures.glyph_atlas import Lettering
from fastcam.figures.map_figure import DIVERGING_TABLE, diverging_tables
from fastcam.figures.numbers import tick
from fastcam.figures.panel_order import ordered_panels
from fastcam.figures.png_writer import png_pieces
from fastcam.figures.render_style import blend_tables
from fastcam.figures.slice_facts import CAPTION_SEPARATOR
from fastcam.jobs.view.opened_case import Limits, Look, OpenedCase, PanelKind, Slot, panels_of

CONTOUR_COLOR = np.array((80, 220, 255), np.uint8)


@dataclass(frozen=True, eq=False)
class Picture:
    """A panel that was drawn.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        limits: the numbers at the ends of its color bar; None without heat.
        ends: these numbers as figures write them.
        colors: the name of the color table of its heat.
        unit: what the limits are in; empty for the map's own unit.
        provisional: whether it is on another scale than was asked for, until that is known.
        caption: what its figure says above it.
        notes: what has to be said of its map.
    """

    pixels: NDArray[np.uint8]
    limits: Limits | None
    colors: str
    unit: str = ""
    provisional: bool = False
    caption: str = ""
    notes: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    def png(self, dpi: float | None = None) -> bytes:
        """The picture as a PNG file."""
        return b"".join(png_pieces(png.up_filter(self.pixels), dpi))


def draw_picture(
    panel: Panel, lettering: Lettering, colors: str, notes: tuple[str, ...]
) -> Picture:
    """Draw one panel, whose heat has the color table called ``colors``."""
    limits = bar_limits(panel) if len(panel.heat) else None
    # The page has the sides and the scale bar at its own edges, where zooming leaves them.
    bare = replace(panel, left_side="", top_side="", scale_bar=(0, ""))
    return Picture(
        draw_panel(bare, lettering),
        limits,
        colors,
        panel.bar_caption,
        caption=panel.caption,
        notes=notes,
        ends=() if limits is None else bar_texts(panel, limits),
    )


def picture_panel(case: OpenedCase, slot: Slot, look: Look, kind: PanelKind) -> Panel:
    """One panel of a case, as it stands alone in a figure: an overlay with the color bar, and each
    with the letters of the sides, the scale bar, and beside its caption the place and the window.

    CaseError where it has no such panel or map.
    """
    panels = panels_of(case.sheet(slot, look))
    if kind not in panels:
        raise CaseError(f"has no {kind}")
    image = panels["image"]
    (panel,) = ordered_panels({name: [panel] for name, panel in panels.items()}, (kind,))
    panel = replace(
        panel,
        aside=image.aside if kind == "image" else _place_and_window(image.caption),
        left_side=image.left_side,
        top_side=image.top_side,
        scale_bar=image.scale_bar,
    )
    if not look.contour or kind == "mask":
        return panel
    mask = case.mask_of(slot)
    if mask is None:
        return panel
    line = contour(mask, panel.height, panel.width)
    return replace(panel, tint=line, tint_color=CONTOUR_COLOR, tint_alpha=1.0)


def _place_and_window(caption: str) -> str:
    """Of the caption of an image where it lies and how its grey levels are shown."""
    return CAPTION_SEPARATOR.join(caption.split(CAPTION_SEPARATOR)[1:])


def heat_limits(case: OpenedCase, slot: Slot, look: Look) -> Limits:
    """The heat at the ends of the color table of a picture, in the unit of its color bar.
    CaseError where it has no heat."""
    return bar_limits(_heat_panel(case, slot, look))


def bar_limits(panel: Panel) -> Limits:
    """The numbers at the ends of a panel's color bar."""
    low, high = panel.limits
    return low / panel.bar_unit, high / panel.bar_unit


def bar_texts(panel: Panel, values: Sequence[float]) -> tuple[str, ...]:
    """Evenly spaced numbers at a panel's color bar as figures write them."""
    span, step = max(map(abs, values)), (values[-1] - values[0]) / 4
    return tuple(panel.bar_text(value, span, step) for value in values)


def difference_panel(
    case: OpenedCase,
    slot: Slot,
    look: Look,
    other: OpenedCase,
    other_slot: Slot,
    other_look: Look,
) -> Panel:
    """How much higher on its scale a map is than another: 1 where it is at the top of its own and
    the other at the bottom, -1 the other way round, over the image of the first.

    Each map is taken by its color levels, which are shares of the scale; with the same limits for
    both it is their difference in their unit, divided by the width of the scale.
    """
    panel = picture_panel(case, slot, look, "overlay")
    levels = levels_in(panel).astype(np.int16)
    others = levels_in(_heat_panel(other, other_slot, other_look))
    if others.shape != levels.shape:
        others = resize.resize(others, levels.shape[0], levels.shape[1], resize.NEAREST).astype(
            np.uint8
        )
    difference = ((levels - others + 255) // 2).astype(np.uint8)
    return replace(
        panel,
        caption="difference of shares of their scales",
        heat=difference,
        limits=(-1.0, 1.0),
        bar=blend_tables(DIVERGING_TABLE, 1.0, "only"),
        bar_unit=1.0,
        bar_caption="",
        bar_zero=True,
        bar_mark=None,
        bar_text=tick,
        blend_tables=diverging_tables(look.style.heat_alpha, "heat"),
        outlines=NO_OUTLINES,
    )


def _heat_panel(case: OpenedCase, slot: Slot, look: Look) -> Panel:
    panels = panels_of(case.sheet(slot, look))
    if "heat" not in panels:
        raise CaseError("has no heat")
    return panels["heat"]


def levels_in(panel: Panel) -> NDArray[np.uint8]:
    """The levels (h, w) of the color table of a panel's heat."""
    if panel.heat.dtype == np.uint8:
        return panel.heat.astype(np.uint8, copy=False)
    return levels_of(panel.heat.astype(np.float32, copy=False), *panel.limits)


def contour(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The edge of ``mask`` (h, w), two pixels wide, on a panel: (height, width) uint8 0 or 1."""
    inside = resize.resize(mask, height, width, resize.NEAREST) > 0
    padded = np.pad(inside, 2)
    core = inside.copy()
    for step in (1, 2):
        core &= padded[2 - step : 2 - step + height, 2:-2] & padded[2 + step :, 2:-2][:height]
        core &= padded[2:-2, 2 - step : 2 - step + width] & padded[2:-2, 2 + step :][:, :width]
    return (inside & ~core).view(np.uint8)

"""Which panels a row of a figure has, and in which order: ``--panels``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastcam.errors import InputError
from fastcam.figures.figure_parts import Panel
from fastcam.options import PanelName


def ordered_panels(
    panels: Mapping[PanelName, Sequence[Panel]], order: Sequence[PanelName]
) -> tuple[Panel, ...]:
    """The ``panels`` of a row, of which there may be several of a name, in an ``order``; as they
    are where that is empty.

    Names that a row has nothing for are left out, such as ``mask`` without a mask. Without heat the
    overlays have its captions and color bars. InputError where nothing is left.
    """
    if order and "heat" not in order and "overlay" in panels:
        pairs = zip(panels.get("heat", ()), panels["overlay"], strict=True)
        panels = {**panels, "overlay": [_with_bar(overlay, heat) for heat, overlay in pairs]}
    names = [name for name in order or panels if name in panels]
    if not names:
        raise InputError(
            f"--panels {','.join(order)}: these figures have {', '.join(panels)} instead"
        )
    return tuple(panel for name in names for panel in panels[name])


def _with_bar(overlay: Panel, heat: Panel) -> Panel:
    return replace(
        overlay,
        caption=f"{heat.caption}; {overlay.caption}",
        bar=heat.bar,
        bar_unit=heat.bar_unit,
        bar_caption=heat.bar_caption,
        bar_zero=heat.bar_zero,
        bar_mark=heat.bar_mark,
        bar_text=heat.bar_text,
    )

"""Which panels a figure has, and in which order: ``--panels``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fastcam.errors import InputError
from fastcam.figures.figure_parts import Panel
from fastcam.options import PanelName

# Those of figures of maps without masks.
MAP_PANELS: tuple[PanelName, ...] = ("image", "heat", "overlay")


def panel_names(offered: Iterable[PanelName], order: Sequence[PanelName]) -> tuple[PanelName, ...]:
    """The names of an ``order`` that are ``offered``; all of these where it is empty.

    InputError where nothing is left.
    """
    offered = tuple(offered)
    names = tuple(name for name in order or offered if name in offered)
    if not names:
        raise InputError(
            f"--panels {','.join(order)}: these figures have {', '.join(offered)} instead"
        )
    return names


def ordered_panels(
    panels: Mapping[PanelName, Sequence[Panel]], order: Sequence[PanelName]
) -> tuple[Panel, ...]:
    """The ``panels`` of a row, of which there may be several of a name, in an ``order``; as they
    are where that is empty.

    Names that a row has nothing for are left out, such as ``mask`` without a mask. Without heat the
    overlays have its captions and color bars. InputError where nothing is left.
    """
    names = panel_names(panels, order)
    if "heat" not in names and "overlay" in panels:
        panels = {**panels, "overlay": _with_bars(panels["overlay"], panels.get("heat", ()))}
    return tuple(panel for name in names for panel in panels[name])


def ordered_rows(
    beside: Sequence[Panel],
    heats: Sequence[Sequence[Panel]],
    overlays: Sequence[Sequence[Panel]],
    order: Sequence[PanelName],
) -> list[list[Panel]]:
    """Rows of heat and rows of overlays of the same maps, those first that an ``order`` names
    first, with a column ``beside`` them that begins with the image, if there is one.

    The column is at the left, or at the right where the image is named last. No rows where the
    image alone is named. Bars and InputError as of :func:`ordered_panels`.
    """
    names = panel_names(MAP_PANELS, order)
    if "heat" not in names:
        pairs = zip(overlays, heats, strict=True)
        overlays = [_with_bars(of_row, of_heat) for of_row, of_heat in pairs]
    rows_of = {"heat": heats, "overlay": overlays}
    rows = [list(row) for name in names if name in rows_of for row in rows_of[name]]
    if "image" not in names or not beside:
        return rows
    columns = zip(beside, rows, strict=False)
    if names[-1] == "image":
        return [[*row, panel] for panel, row in columns]
    return [[panel, *row] for panel, row in columns]


def _with_bars(overlays: Sequence[Panel], heats: Sequence[Panel]) -> list[Panel]:
    return [_with_bar(*pair) for pair in zip(overlays, heats, strict=True)]


def _with_bar(overlay: Panel, heat: Panel) -> Panel:
    return replace(
        overlay,
        caption=_joined_captions(overlay.caption, heat.caption),
        bar=heat.bar,
        bar_unit=heat.bar_unit,
        bar_caption=heat.bar_caption,
        bar_zero=heat.bar_zero,
        bar_mark=heat.bar_mark,
        bar_text=heat.bar_text,
    )


def _joined_captions(overlay: str, heat: str) -> str:
    return overlay if heat in overlay else f"{heat}; {overlay}"

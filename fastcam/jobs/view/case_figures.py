"""Whole figures of cases of the room, as ``fastcam render`` draws them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fastcam.errors import CaseError
from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.figure_pixels import draw_rows
from fastcam.figures.panel_places import panel_places
from fastcam.figures.png_writer import png_pieces
from fastcam.figures.render_style import RenderStyle
from fastcam.jobs.view.opened_case import OpenedCase
from fastcam.jobs.view.query import PictureQuery
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.run import prepared_style


@dataclass(frozen=True)
class CaseFigure:
    """A figure of a case.

    Attributes:
        slice: the 0-based slice, as the run counts; 0 of an image.
        best: whether it is the slice with the highest heat.
        average: the slice's mean heat; 0 where it has none.
        sheet: the figure.
        render_style: how it is drawn.
    """

    slice: int
    best: bool
    average: float
    sheet: Sheet
    render_style: RenderStyle

    def png(self, buffers: Buffers) -> bytes:
        """The figure as a PNG file."""
        style = self.render_style
        return b"".join(png_pieces(draw_rows(self.sheet, style.lettering, style.palette, buffers)))

    @property
    def panels(self) -> str:
        """Where its image and its heat lie."""
        return panel_places(self.sheet, self.render_style)


def case_figures(
    room: Room, run: int, case: int, look: PictureQuery, every_slice: bool
) -> Iterator[CaseFigure]:
    """The figure of a case's slice with the highest heat, or of every slice that has heat.

    Map and look are those of ``look``; limits and window, which fit one case only, are not taken.
    CaseError where the case can't be opened, or has no such map.
    """
    opened_case = room.open(run, case)
    facts = opened_case.facts()
    best, averages = int(facts["best"]), {int(k): v for k, v in facts["slices"].items()}
    indices = sorted(averages) if every_slice and averages else [best]
    for index in indices:
        slot = replace(look.slot, axis=0, index=index)
        # The room's pages stretch pixels to the shape in the body; files have it.
        style = replace(look.look.style, aspect="")
        own = replace(look.look, window=None, limits=None, style=style)
        query = replace(look, run=run, case=case, slot=slot, look=own, kind="overlay", linked=())
        sheet = opened_case.sheet(slot, room.look(query))
        if room.request.judging.blind:
            sheet = _without_answers(sheet, room.runs[run].maps[slot.map].name)
        render_style = prepared_style(style, *_picture_size(opened_case, sheet))
        yield CaseFigure(index, index == best, averages.get(index, 0.0), sheet, render_style)


def _without_answers(sheet: Sheet, map_name: str) -> Sheet:
    """The figure for a blind reader: without what was predicted, and which class its map, called
    ``map_name``, explains."""
    rows = tuple(
        tuple(
            replace(panel, caption=map_name) if len(panel.heat) and not len(panel.image) else panel
            for panel in row
        )
        for row in sheet.rows
    )
    return replace(sheet, verdict="", rows=rows)


def _picture_size(opened_case: OpenedCase, sheet: Sheet) -> tuple[int, int]:
    if 0 not in opened_case.planes:
        raise CaseError("has no slices")
    panel = sheet.rows[0][0]
    return panel.height, panel.width

"""What is taken out of the room: pages of the pictures that are looked at, and of chosen cases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from fastcam.errors import CaseError, InputError
from fastcam.figures import fonts
from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.glyph_atlas import alphabet
from fastcam.figures.paper import LEAST_POINTS, MM_PER_INCH, POINTS_PER_INCH, on_paper
from fastcam.figures.render_style import RenderStyle, render_style_of
from fastcam.figures.slice_facts import CAPTION_SEPARATOR
from fastcam.figures.vector_file import vector_report, vector_sheet
from fastcam.jobs.view.opened_case import Look, PanelKind, Slot
from fastcam.jobs.view.query import PictureQuery, number, parse_picture
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.run import CaseRow
from fastcam.options import USUAL_DPI, Style, VectorFormat

_WIDTHS = (30.0, 1000.0)  # mm
_RESOLUTIONS = (30.0, 2400.0)
_USUAL_WIDTH, _USUAL_RESOLUTION, _REPORT_WIDTH = 180.0, 300.0, 200.0
_LARGEST_SIDE = 4096  # pixels
_MOST_PICTURES = 12
_LEAST_PICTURE = 12.0  # mm, with its color bar
_REPORTED: tuple[PanelKind, ...] = ("image", "overlay")
# A page takes a tenth of a second.
MOST_REPORT_CASES = 500

# A figure, how it is drawn, and its pixels an inch.
_Page = tuple[Sheet, RenderStyle, float]


def picture_file(room: Room, query: Mapping[str, str]) -> bytes:
    """The picture that an address asks for as a PNG file with the shape in the body; its longer
    side has ``size`` pixels, 300 of them an inch."""
    asked = parse_picture(query, room.style)
    size = asked.look.style.panel_size
    # The room's pages stretch pixels to the shape in the body; files have it.
    style = replace(asked.look.style, aspect="")
    picture = room.picture_now(replace(asked, look=replace(asked.look, style=style)))
    height, width, _ = picture.pixels.shape
    if size < max(height, width):
        scale = size / max(height, width)
        smaller = max(1, round(width * scale)), max(1, round(height * scale))
        shrunk = Image.fromarray(picture.pixels).resize(smaller, Image.Resampling.LANCZOS)
        picture = replace(picture, pixels=np.asarray(shrunk))
    return picture.png(USUAL_DPI)


def page_file(room: Room, queries: Sequence[Mapping[str, str]], kind: VectorFormat) -> bytes:
    """The pictures that some addresses ask for beside each other, as a PDF or SVG file.

    The first query says ``width`` in mm and ``dpi``, too: panels have as many pixels at least.
    InputError for values that are none.
    """
    if not queries:
        raise InputError("no picture is asked for")
    if len(queries) > _MOST_PICTURES:
        raise InputError(f"{len(queries)} pictures on a page: at most {_MOST_PICTURES}")
    width = _between(queries[0], "width", _USUAL_WIDTH, _WIDTHS)
    dpi = _between(queries[0], "dpi", _USUAL_RESOLUTION, _RESOLUTIONS)
    if width < _LEAST_PICTURE * len(queries):
        raise InputError(f"width {width:g} mm is too narrow for {len(queries)} pictures; give more")
    pictures = [parse_picture(query, room.style) for query in queries]
    sheet, render_style, resolution = _page_of(room, pictures, width, dpi)
    return vector_sheet(sheet, render_style, kind, resolution)


def report_file(room: Room, cases: Sequence[int], query: Mapping[str, str]) -> bytes:
    """A PDF report, a page for each of some cases: its slice with the highest heat, as image and
    overlay, and what is known of it. Cases that can't be opened say why."""
    if not 1 <= len(cases) <= MOST_REPORT_CASES:
        raise InputError(f"{len(cases)} cases: a report has 1 to {MOST_REPORT_CASES}")
    dpi = _between(query, "dpi", _USUAL_RESOLUTION, _RESOLUTIONS)
    return vector_report(_case_pages(room, cases, parse_picture(query, room.style), dpi))


def _page_of(room: Room, pictures: Sequence[PictureQuery], width: float, dpi: float) -> _Page:
    """Some pictures of one case beside each other, as a figure ``width`` mm wide."""
    side = min(math.ceil(width / MM_PER_INCH * dpi / len(pictures)), _LARGEST_SIDE)
    style = replace(
        pictures[0].look.style,
        # The room's pages stretch pixels to the shape in the body; files have it.
        aspect="",
        panel_size=max(side, pictures[0].look.style.panel_size),
        width_mm=width,
    )
    images = {(shown.run, shown.slot.axis) for shown in pictures if shown.kind == "image"}
    panels: list[Panel] = []
    notes: list[str] = []
    for picture in pictures:
        asked = replace(picture, look=replace(picture.look, style=style))
        panel = room.panel(asked)
        caption = _caption(room, asked, panel)
        if picture.kind != "image" and panel.aside:
            # Place and window; an image has them in its caption.
            seen = (picture.run, picture.slot.axis) in images
            caption = caption if seen else CAPTION_SEPARATOR.join([caption, panel.aside])
            panel = replace(panel, aside="")
        panels.append(replace(panel, caption=caption, whole_caption=True))
        notes += room.notes(asked)
    title, verdict = _heading(room, pictures[0])
    note = " ".join(dict.fromkeys(notes))
    correct = None if room.request.judging.blind else _row(room, pictures[0]).correct
    return _on_page(title, verdict, correct, panels, note, style)


def _on_page(
    title: str,
    verdict: str,
    correct: bool | None,
    panels: Sequence[Panel],
    note: str,
    style: Style,
) -> _Page:
    texts = [title, verdict, note]
    texts += [text for panel in panels for text in (panel.caption, panel.aside)]
    characters = alphabet(texts)
    side = max(max(panel.height, panel.width) for panel in panels)
    files = fonts.chain(characters, style.font)
    render_style = render_style_of(style, characters, files, side)
    # Beside one wide picture letters would be as much larger: they begin with 7 points.
    resolution = sum(panel.width for panel in panels) * MM_PER_INCH / (style.width_mm or math.inf)
    smallest = render_style.lettering.tick.size * POINTS_PER_INCH / resolution
    if smallest > LEAST_POINTS:
        scale = render_style.lettering.scale * LEAST_POINTS / smallest
        render_style = render_style.with_letters(scale)
    color = render_style.palette.verdict(correct)
    sheet = Sheet(title, verdict, color, (tuple(panels),), note)
    sheet, render_style, dpi = on_paper(sheet, render_style)
    return sheet, render_style, dpi or USUAL_DPI


def _row(room: Room, picture: PictureQuery) -> CaseRow:
    return room.case_row(picture.run, picture.case)


def _heading(room: Room, picture: PictureQuery) -> tuple[str, str]:
    """The case and its slice, and what is known of it."""
    row = _row(room, picture)
    title = row.id
    plane = room.open(picture.run, picture.case).planes[picture.slot.axis]
    if plane.depth > 1:
        title += f"  ·  {plane.name} slice {picture.slot.index} of {plane.depth}"
    parts = []
    if not room.request.judging.blind:
        if row.correct is not None:
            parts.append("correct" if row.correct else "wrong")
        parts += [f"true {row.label}"] if row.label else []
        parts += [f"predicted {row.prediction}"] if row.prediction else []
        parts += [] if row.confidence is None else [f"confidence {row.confidence:.4f}"]
    return title, "  ·  ".join(parts)


def _caption(room: Room, picture: PictureQuery, panel: Panel) -> str:
    """What a figure says above the picture; of a blind room without the class that is explained."""
    run = room.runs[picture.run]
    names = [run.name] if len(room.runs) > 1 else []
    if picture.other is not None and picture.kind == "difference":
        other = room.runs[picture.other.run]
        names.append(run.maps[picture.slot.map].name)
        names.append(f"less {other.name} · {other.maps[picture.other.map].name}")
    if room.request.judging.blind and picture.kind in ("heat", "overlay"):
        return ", ".join([*names, run.maps[picture.slot.map].name, picture.kind])
    return ", ".join([*names, panel.caption])


def _case_pages(
    room: Room, cases: Sequence[int], usual: PictureQuery, dpi: float
) -> Iterator[_Page]:
    style = usual.look.style
    for case in cases:
        try:
            best = room.open(usual.run, case).facts()["best"]
            slot = Slot(map=usual.slot.map, head=usual.slot.head, index=best)
            look = Look(style=style, contour=usual.look.contour)
            pictures = [
                PictureQuery(run=usual.run, case=case, kind=kind, slot=slot, look=look)
                for kind in _REPORTED
            ]
            page = _page_of(room, pictures, _REPORT_WIDTH, dpi)
        except CaseError as error:
            side = style.panel_size
            blank = Panel("", side // 4, side, notice="not shown")
            own = replace(style, width_mm=_REPORT_WIDTH)
            page = _on_page(room.table.ids[case], "", None, [blank], str(error), own)
        yield page


def _between(
    query: Mapping[str, str], name: str, default: float, ends: tuple[float, float]
) -> float:
    value = number(query, name, default)
    low, high = ends
    if not low <= value <= high:
        raise InputError(f"{name}={value:g}: give a number from {low:g} to {high:g}")
    return value

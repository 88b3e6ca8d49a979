"""What is taken out of the room: pages of the pictures that are looked at, and of chosen cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fastcam.errors import CaseError, InputError
from fastcam.jobs.view.opened_case import Look
from fastcam.jobs.view.query import PictureQuery, number, parse_picture
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.run import prepared_style
from fastcam.jobs.view.vector_pages import Page, PagePanel, pdf_report, vector_page
from fastcam.options import VectorFormat

_WIDTHS = (20.0, 1000.0)  # mm
_RESOLUTIONS = (30.0, 2400.0)
_USUAL_WIDTH, _USUAL_RESOLUTION, _REPORT_WIDTH = 180.0, 300.0, 200.0
# A page takes a tenth of a second.
MOST_REPORT_CASES = 500


def page_file(room: Room, queries: Sequence[Mapping[str, str]], kind: VectorFormat) -> bytes:
    """The pictures that some addresses ask for beside each other, as a PDF or SVG file.

    The first query says ``width`` in mm and ``dpi``, too. InputError for values that are none.
    """
    if not queries:
        raise InputError("no picture is asked for")
    width = _between(queries[0], "width", _USUAL_WIDTH, _WIDTHS)
    dpi = _between(queries[0], "dpi", _USUAL_RESOLUTION, _RESOLUTIONS)
    pictures = [parse_picture(query, room.style) for query in queries]
    return vector_page(page_of(room, pictures), kind, width, dpi)


def report_file(room: Room, cases: Sequence[int], query: Mapping[str, str]) -> bytes:
    """A PDF report, a page for each of some cases: its slice with the highest heat, as image and
    overlay, and what is known of it. Cases that can't be opened say why."""
    if not 1 <= len(cases) <= MOST_REPORT_CASES:
        raise InputError(f"{len(cases)} cases: a report has 1 to {MOST_REPORT_CASES}")
    dpi = _between(query, "dpi", _USUAL_RESOLUTION, _RESOLUTIONS)
    usual = parse_picture(query, room.style)
    return pdf_report(_case_pages(room, cases, usual), _REPORT_WIDTH, dpi)


def page_of(room: Room, pictures: Sequence[PictureQuery]) -> Page:
    """The page of some pictures of one case."""
    return Page(
        heading=heading_of(room, pictures[0]),
        panels=[_page_panel(room, picture) for picture in pictures],
    )


def heading_of(room: Room, picture: PictureQuery) -> list[str]:
    """The case and what is known of it, in two lines."""
    row = room.case_row(picture.run, picture.case)
    title = row.id
    opened_case = room.open(picture.run, picture.case)
    if opened_case.planes[0].depth > 1:
        title += f"  ·  {opened_case.planes[picture.slot.axis].name} slice {picture.slot.index}"
    parts = []
    if not room.request.judging.blind:
        if row.correct is not None:
            parts.append("correct" if row.correct else "wrong")
        parts += [f"true {row.label}"] if row.label else []
        parts += [f"predicted {row.prediction}"] if row.prediction else []
        parts += [] if row.confidence is None else [f"confidence {row.confidence:.4f}"]
    return [title, "  ·  ".join(parts)] if parts else [title]


def _page_panel(room: Room, picture: PictureQuery) -> PagePanel:
    panel = room.panel(picture)
    style = picture.look.style
    plane = room.open(picture.run, picture.case).planes[picture.slot.axis]
    down, across, _ = plane.spacing or (1.0, 1.0, 1.0)
    height, width = plane.size
    colors = room.colors(picture) if len(panel.heat) else None
    return PagePanel(
        panel=panel,
        caption=_caption(room, picture),
        colors=colors,
        lettering=prepared_style(style, panel.height, panel.width).lettering,
        aspect=height * down / (width * across),
    )


def _caption(room: Room, picture: PictureQuery) -> str:
    run = room.runs[picture.run]
    names = [run.name] if len(room.runs) > 1 else []
    if picture.kind in ("heat", "overlay", "difference"):
        name = run.maps[picture.slot.map].name
        names.append(name if picture.slot.head is None else f"{name} · head {picture.slot.head}")
    if picture.other is not None and picture.kind == "difference":
        other = room.runs[picture.other.run]
        names.append(f"less {other.name} · {other.maps[picture.other.map].name}")
    else:
        names.append(picture.kind)
    return ", ".join(names)


def _case_pages(room: Room, cases: Sequence[int], usual: PictureQuery) -> Iterator[Page]:
    for case in cases:
        try:
            opened_case = room.open(usual.run, case)
        except CaseError as error:
            yield Page(heading=[room.table.ids[case], str(error)], panels=[])
            continue
        slot = type(usual.slot)(
            map=usual.slot.map, head=usual.slot.head, index=opened_case.facts()["best"]
        )
        look = Look(style=usual.look.style, contour=usual.look.contour)
        pictures = [
            PictureQuery(run=usual.run, case=case, kind=kind, slot=slot, look=look)
            for kind in ("image", "overlay")
        ]
        yield page_of(room, pictures)


def _between(
    query: Mapping[str, str], name: str, default: float, ends: tuple[float, float]
) -> float:
    value = number(query, name, default)
    low, high = ends
    if not low <= value <= high:
        raise InputError(f"{name}={value:g}: give a number from {low:g} to {high:g}")
    return value

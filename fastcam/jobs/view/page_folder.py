"""Some cases of the room as a folder to keep: figures, and the page over them, in a ZIP file."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from fastcam.errors import CaseError, InputError
from fastcam.figures.buffers import Buffers
from fastcam.jobs.render.gallery import PAGE
from fastcam.jobs.render.gallery_content import FailureRow, Gallery, GalleryCase, GalleryFigure
from fastcam.jobs.render.page import page_html
from fastcam.jobs.view.case_figures import CaseFigure, case_figures
from fastcam.jobs.view.query import PictureQuery, parse_picture
from fastcam.jobs.view.room import Room
from fastcam.run import file_names

# A figure is 0.2 MB, and takes a hundredth of a second.
MOST_FIGURES = 2000
FOLDER = "figures"


@dataclass(frozen=True)
class _Numbered:
    place: int
    name: str


def write_folder(
    room: Room, cases: Sequence[int], query: Mapping[str, str], file: IO[bytes]
) -> None:
    """Write some cases as figures with a page into ``file``, a ZIP file with one folder.

    Run, map and look are as the picture's that ``query`` asks for; ``slices`` is ``best`` or
    ``all``, those with heat. Cases that can't be drawn are listed on the page. InputError where
    there are too many.
    """
    slices = query.get("slices", "best")
    if slices not in ("best", "all"):
        raise InputError(f"slices={slices!r:.40}: use best or all")
    if not 1 <= len(cases) <= MOST_FIGURES:
        raise InputError(
            f"{len(cases)} cases: a page has 1 to {MOST_FIGURES}; filter the table, or use "
            "fastcam render"
        )
    look = parse_picture(query, room.style)
    failures: list[FailureRow] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as folder:
        drawn = _drawn(room, cases, look, slices == "all", folder, failures)
        page = page_html(_gallery(room, look, tuple(drawn), failures))
        folder.writestr(f"{FOLDER}/{PAGE}", page, zipfile.ZIP_DEFLATED)


def _drawn(
    room: Room,
    cases: Sequence[int],
    look: PictureQuery,
    every_slice: bool,
    folder: zipfile.ZipFile,
    failures: list[FailureRow],
) -> Iterator[GalleryCase]:
    buffers, count = Buffers(), 0
    for place, case in enumerate(cases, 1):
        name = room.table.ids[case]
        figures: list[GalleryFigure] = []
        try:
            for figure in case_figures(room, look.run, case, look, every_slice):
                count += 1
                if count > MOST_FIGURES:
                    raise InputError(
                        f"more than {MOST_FIGURES} figures: choose fewer cases, or the best slices"
                    )
                path = _path(_Numbered(place, name), figure, every_slice)
                folder.writestr(f"{FOLDER}/{path}", figure.png(buffers))
                figures.append(_listed(path, figure))
        except CaseError as error:
            failures.append(FailureRow("error", name, None, str(error)))
        if figures:
            yield _case(room, look.run, case, place, tuple(figures))


def _path(case: _Numbered, figure: CaseFigure, every_slice: bool) -> str:
    if not every_slice:
        return file_names.best_slice_path(case, figure.slice, "png")
    return f"{file_names.case_folder(case)}/{file_names.slice_name(figure.slice)}.png"


def _listed(path: str, figure: CaseFigure) -> GalleryFigure:
    heats = [panel for row in figure.sheet.rows for panel in row if len(panel.heat)]
    low, high = heats[0].limits if heats else (0.0, 0.0)
    return GalleryFigure(path, figure.slice, figure.best, figure.average, high, low, figure.panels)


def _case(
    room: Room, run: int, case: int, place: int, figures: tuple[GalleryFigure, ...]
) -> GalleryCase:
    row, blind = room.case_row(run, case), room.request.judging.blind
    return GalleryCase(
        place=place,
        name=row.id,
        true_label="" if blind else row.label,
        predicted_label="" if blind else row.prediction,
        correct=None if blind else row.correct,
        confidence=math.nan if blind or row.confidence is None else row.confidence,
        highest=max(figure.high for figure in figures),
        figures=figures,
    )


def _gallery(
    room: Room, look: PictureQuery, cases: tuple[GalleryCase, ...], failures: Sequence[FailureRow]
) -> Gallery:
    run, style = room.runs[look.run], look.look.style
    method = run.maps[look.slot.map].name
    return Gallery(
        title=f"{method}: {run.name}",
        status="finished",
        settings={
            "scale": style.scale,
            "colormap": style.colormap,
            "heat_alpha": style.heat_alpha,
            "blend": style.blend,
        },
        available=len(room.table.ids),
        cases=cases,
        failures=tuple(failures),
        maps=run.kind == "maps",
        flat=all(case.figures[0].slice == 0 and len(case.figures) == 1 for case in cases),
        run=run.name,
    )

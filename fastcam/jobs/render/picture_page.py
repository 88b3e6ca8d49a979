"""The page over figures of any kind in a folder, such as those of ``fastcam explain``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastcam.jobs.render.gallery import PAGE, check_page
from fastcam.jobs.render.gallery_content import FailureRow, Gallery, GalleryCase, GalleryFigure
from fastcam.jobs.render.page import page_html
from fastcam.run.files import write_text
from fastcam.run.records import Failure

# What browsers show within a page, and what they don't.
_SHOWN = (".png", ".jpg", ".webp", ".svg")
PICTURES = (*_SHOWN, ".pdf")


@dataclass(frozen=True, slots=True)
class PictureGroup:
    """Figures that belong together, such as those of an image.

    Attributes:
        name: what they are of.
        text: what is said of it, such as the prediction; empty for nothing.
        correct: whether a prediction is right; None where it is not known.
        figures: their files, relative to the page.
        of_case: whether they are of a case, not of all of them or of the model.
    """

    name: str
    text: str
    correct: bool | None
    figures: Sequence[str]
    of_case: bool = True


def write_picture_page(
    folder: Path,
    title: str,
    groups: Iterable[PictureGroup],
    *,
    files: Sequence[str] = (),
    failures: Iterable[Failure] = (),
    random_weights: str = "",
) -> Path:
    """Write ``index.html`` over figures in ``folder``, in place of an older one; its path.

    ``files``: names of other results in the folder, which are linked; PDF figures are among them.
    ``random_weights``: what is said of models with such weights, empty where there is none.
    OutputError where the page can't be written, or an ``index.html`` of somebody else is in the
    way.
    """
    path = folder / PAGE
    check_page(path)
    pages: list[str] = []
    cases = []
    count = 0
    for place, group in enumerate(groups, 1):
        shown = [name for name in group.figures if name.lower().endswith(_SHOWN)]
        pages += [name for name in group.figures if name not in shown]
        if shown:
            cases.append(_case(place, group, shown))
            count += group.of_case
    if random_weights:
        title = f"{title}, {random_weights}: the maps mean nothing"
    gallery = Gallery(
        title=f"{title} ({folder.resolve().name})",
        status="finished",
        settings={},
        available=count,
        cases=tuple(cases),
        failures=tuple(FailureRow(f.level, f.case, f.slice, f.reason) for f in failures),
        files=(*pages, *files),
        pictures=True,
        run=folder.resolve().name,
    )
    write_text(path, page_html(gallery))
    return path


def _case(place: int, group: PictureGroup, shown: Sequence[str]) -> GalleryCase:
    return GalleryCase(
        place=place,
        name=group.name,
        true_label="",
        predicted_label=group.text,
        correct=group.correct,
        confidence=math.nan,
        highest=math.nan,
        figures=tuple(
            GalleryFigure(name, number, not number, 0.0) for number, name in enumerate(shown)
        ),
    )

"""Figures as PDF and SVG: panels as pixels inside, and every text as text.

Texts can be selected and searched (PDF fonts of Type 42, SVG text elements).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.color_bar import draw_bar, ticks_of
from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.figure_pixels import draw_panel
from fastcam.figures.figure_texts import texts_of
from fastcam.figures.glyph_atlas import Color, TextLine
from fastcam.figures.panel_annotations import annotations_of
from fastcam.figures.paper import POINTS_PER_INCH
from fastcam.figures.render_style import RenderStyle
from fastcam.options import USUAL_DPI, VectorFormat

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FONT = "DejaVu Sans"


def vector_sheet(sheet: Sheet, render_style: RenderStyle, kind: VectorFormat, dpi: float) -> bytes:
    """A figure as a file, laid out as its pixels are, ``dpi`` of them an inch."""
    with vector_settings(render_style.fonts):
        return _page_of(sheet, render_style, dpi).file(kind)


def vector_report(figures: Iterable[tuple[Sheet, RenderStyle, float]]) -> bytes:
    """Figures as the pages of one PDF file, each with its pixels an inch."""
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    with vector_settings(), PdfPages(buffer, metadata=vector_metadata("pdf")) as report:
        for sheet, render_style, dpi in figures:
            with vector_settings(render_style.fonts):
                _page_of(sheet, render_style, dpi).add_to(report)
    return buffer.getvalue()


def _page_of(sheet: Sheet, render_style: RenderStyle, dpi: float) -> _Page:
    lettering, palette = render_style.lettering, render_style.palette
    plan = layout.layout_of(sheet, lettering)
    page = _Page(plan.width, plan.height, dpi, palette.background)
    for panel, area in zip((p for row in sheet.rows for p in row), plan.areas, strict=True):
        page.add_picture(draw_panel(_without_texts(panel), lettering), area.panel)
        annotations = annotations_of(panel, lettering)
        for box, color in zip(annotations.backgrounds, annotations.background_colors, strict=True):
            page.add_background(box, color, area.panel)
        page.add_texts(annotations.lines, lettering.title, (area.panel.x, area.panel.y))
        if area.bar is not None:
            bar = np.empty((area.bar.height, area.bar.width, 3), np.uint8)
            whole = layout.Rect(0, 0, area.bar.width, area.bar.height)
            draw_bar(bar, None, panel, whole, lettering)
            page.add_picture(bar, area.bar)
    lines = texts_of(sheet, plan, lettering, palette)
    page.add_texts(lines + ticks_of(sheet, plan, lettering, palette), lettering.title)
    return page


def vector_picture(pixels: NDArray[np.uint8], kind: VectorFormat, dpi: float) -> bytes:
    """A picture (h, w, 3) uint8 RGB as a file, ``dpi`` pixels an inch."""
    height, width, _ = pixels.shape
    with vector_settings():
        page = _Page(width, height, dpi, np.full(3, 255, np.uint8))
        page.add_picture(pixels, layout.Rect(0, 0, width, height))
        return page.file(kind)


def vector_plots(page: Figure, kind: VectorFormat) -> bytes:
    """A page of plots as a file, as large as it was made; images in it have 300 pixels an inch."""
    with vector_settings():
        return _file_of(page, kind, USUAL_DPI)


def _file_of(page: Figure, kind: VectorFormat, dpi: float) -> bytes:
    buffer = io.BytesIO()
    page.savefig(buffer, format=kind, dpi=dpi, metadata=vector_metadata(kind), facecolor="auto")
    content = buffer.getvalue()
    if kind == "pdf":
        return content
    # Facts of a header stand two spaces apart, which browsers make one but where a text itself says
    # otherwise.
    return content.replace(b"<text ", b'<text xml:space="preserve" ')


@contextlib.contextmanager
def vector_settings(fonts: Sequence[Path] = ()) -> Iterator[None]:
    """matplotlib's settings for text that stays text; without time and random names in files.

    ``fonts``: files that characters come from which DejaVu Sans lacks.
    """
    import matplotlib
    from matplotlib.font_manager import FontProperties, fontManager

    names = [_FONT]
    for path in fonts:
        fontManager.addfont(path)
        names.append(FontProperties(fname=path).get_name())
    settings: Any = {
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "fastcam",
        "font.family": list(dict.fromkeys(names)),
        "text.parse_math": False,
        "image.composite_image": False,
    }
    with matplotlib.rc_context(settings):
        yield


def vector_metadata(kind: VectorFormat) -> dict[str, Any]:
    """What keeps the time out of a file."""
    return {"CreationDate": None} if kind == "pdf" else {"Date": None}


def _without_texts(panel: Panel) -> Panel:
    outlines = replace(panel.outlines, texts=())
    return replace(
        panel, outlines=outlines, notice="", left_side="", top_side="", scale_bar=(0, "")
    )


class _Page:
    """A page of matplotlib, addressed by pixels from its top left."""

    def __init__(self, width: int, height: int, dpi: float, background: NDArray[np.uint8]) -> None:
        from matplotlib.figure import Figure

        self._width, self._height, self._dpi = width, height, dpi
        size = width / dpi, height / dpi
        self._figure: Figure = Figure(figsize=size, dpi=dpi, facecolor=tuple(background / 255))

    def add_picture(self, pixels: NDArray[np.uint8], area: layout.Rect) -> None:
        """Pixels (h, w, 3) uint8 over ``area``, as they are."""
        bottom = self._height - area.y - area.height
        axes = self._figure.add_axes(
            (
                area.x / self._width,
                bottom / self._height,
                area.width / self._width,
                area.height / self._height,
            )
        )
        axes.imshow(pixels, interpolation="none", aspect="auto")
        axes.set_axis_off()

    def add_background(
        self, box: tuple[int, int, int, int], color: Color, area: layout.Rect
    ) -> None:
        """A filled rectangle x1, y1, x2, y2 in pixels of ``area``."""
        from matplotlib.patches import Rectangle

        x1, y1, x2, y2 = box
        corner = (area.x + x1) / self._width, 1 - (area.y + y2) / self._height
        size = (x2 - x1) / self._width, (y2 - y1) / self._height
        background = Rectangle(
            corner,
            *size,
            facecolor=_color(color),
            edgecolor="none",
            transform=self._figure.transFigure,
        )
        self._figure.add_artist(background)

    def add_texts(
        self, lines: Sequence[TextLine], bold: object, corner: tuple[int, int] = (0, 0)
    ) -> None:
        """Texts, whose pixels count from ``corner``; those in the font ``bold`` are bold."""
        for line in lines:
            x, baseline = corner[0] + line.x, corner[1] + line.y + line.font.ascent
            self._figure.text(
                x / self._width,
                1 - baseline / self._height,
                line.text,
                size=line.font.size * POINTS_PER_INCH / self._dpi,
                weight="bold" if line.font is bold else "normal",
                va="baseline",
                color=_color(line.color),
            )

    def add_to(self, report: Any) -> None:
        """The page as the next one of a ``PdfPages``."""
        report.savefig(self._figure, dpi=self._dpi, facecolor="auto")

    def file(self, kind: VectorFormat) -> bytes:
        """The page as a file."""
        return _file_of(self._figure, kind, self._dpi)


def _color(color: Color) -> tuple[float, float, float]:
    red, green, blue = color
    return red / 255, green / 255, blue / 255

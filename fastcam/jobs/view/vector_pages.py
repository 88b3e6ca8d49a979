"""Pictures for papers: PDF and SVG pages with the pixels inside, and text and boxes as such.

Texts can be selected and searched (PDF fonts of Type 42, SVG text elements), boxes are lines.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fastcam_kernels import colormap

from fastcam.errors import InputError
from fastcam.figures.figure_parts import NO_OUTLINES, Panel
from fastcam.figures.figure_pixels import draw_panel
from fastcam.figures.glyph_atlas import Lettering
from fastcam.figures.vector_file import vector_metadata, vector_settings
from fastcam.jobs.view.drawing import bar_limits
from fastcam.options import VectorFormat

_MM = 1 / 25.4  # inches
_TEXT, _SMALL = 7.0, 6.0  # points
_GAP, _BAR, _NUMBERS, _LINE = 2.0, 2.2, 9.0, 4.0  # mm
_MOST_PANELS = 12


@dataclass(frozen=True, kw_only=True)
class PagePanel:
    """A picture of a page.

    Attributes:
        panel: what is drawn.
        caption: the text above it.
        colors: the name of the color table of its bar; None for no bar.
        lettering: the glyphs of texts inside it, such as notices.
        aspect: height of the picture by its width, on paper.
    """

    panel: Panel
    caption: str
    colors: str | None
    lettering: Lettering
    aspect: float


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: a heading over a row of pictures.

    Attributes:
        heading: the text at the top, line by line.
        panels: the pictures.
    """

    heading: Sequence[str]
    panels: Sequence[PagePanel]


def vector_page(page: Page, kind: VectorFormat, width_mm: float, dpi: float) -> bytes:
    """A page as a file, ``width_mm`` wide, its pixels at ``dpi``."""
    buffer = io.BytesIO()
    with vector_settings(), _figure(page, width_mm) as figure:
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=vector_metadata(kind))
    return buffer.getvalue()


def pdf_report(pages: Iterable[Page], width_mm: float, dpi: float) -> bytes:
    """Pages one after the other in one PDF file."""
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    with vector_settings(), PdfPages(buffer, metadata=vector_metadata("pdf")) as report:
        for page in pages:
            with _figure(page, width_mm) as figure:
                report.savefig(figure, dpi=dpi)
    return buffer.getvalue()


@contextlib.contextmanager
def _figure(page: Page, width_mm: float) -> Iterator[Any]:
    """A matplotlib figure of a page. InputError where pictures would be too small to be seen."""
    from matplotlib.figure import Figure

    if len(page.panels) > _MOST_PANELS:
        raise InputError(f"{len(page.panels)} pictures on a page: at most {_MOST_PANELS}")
    bars = sum(panel.colors is not None for panel in page.panels) * (_BAR + _NUMBERS + 1)
    room = width_mm - bars - _GAP * (len(page.panels) + 1)
    each = room / max(len(page.panels), 1)
    if each < 8:
        raise InputError(
            f"width {width_mm:g} mm is too narrow for {len(page.panels)} pictures; give more"
        )
    highest = max((each * panel.aspect for panel in page.panels), default=0.0)
    heading = _LINE * len(page.heading)
    height = heading + _LINE + highest + 2 * _GAP
    figure = Figure(figsize=(width_mm * _MM, height * _MM))

    def axes(x: float, y: float, width: float, high: float) -> Any:
        """Axes at ``x``, ``y`` mm from the top left."""
        bottom = height - y - high
        return figure.add_axes((x / width_mm, bottom / height, width / width_mm, high / height))

    for number, line in enumerate(page.heading):
        y = 1 - (_GAP / 2 + _LINE * number) / height
        weight = "bold" if number == 0 else "normal"
        figure.text(_GAP / width_mm, y, line, size=_TEXT, va="top", weight=weight)
    x, top = _GAP, _GAP + heading + _LINE
    for panel in page.panels:
        figure.text(x / width_mm, 1 - (top - 0.8) / height, panel.caption, size=_SMALL, va="bottom")
        high = each * panel.aspect
        _draw_picture(axes(x, top, each, high), panel)
        x += each + 1
        if panel.colors is not None:
            _draw_bar(axes(x, top, _BAR, high), panel)
            x += _BAR + _NUMBERS
        x += _GAP - 1
    yield figure


def _draw_picture(axes: Any, page_panel: PagePanel) -> None:
    """The pixels, and over them boxes and labels as lines and text."""
    from matplotlib.patches import Rectangle

    panel = page_panel.panel
    lines = panel.outlines
    bare = replace(panel, outlines=NO_OUTLINES, notice="")
    pixels = draw_panel(bare, page_panel.lettering)
    # Its own pixels: a renderer that smooths them would invent values between cells.
    extent = (0, panel.width, panel.height, 0)
    axes.imshow(pixels, interpolation="nearest", aspect="auto", extent=extent)
    axes.set_axis_off()
    for number in reversed(range(len(lines.boxes))):
        x1, y1, x2, y2 = lines.boxes[number].tolist()
        color = tuple(lines.colors[number] / 255)
        width = 1.2 if lines.widths[number] > 1 else 0.6
        box = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=width)
        axes.add_patch(box)
        if number < len(lines.texts):
            axes.text(
                x1, y1, lines.texts[number], size=_SMALL - 1, color=color, va="bottom",
                bbox={"facecolor": "black", "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
    if panel.notice:
        axes.text(
            0.5, 0.5, panel.notice, size=_SMALL, color="0.8", ha="center", va="center",
            transform=axes.transAxes,
        )  # fmt: skip


def _draw_bar(axes: Any, page_panel: PagePanel) -> None:
    low, high = bar_limits(page_panel.panel)
    table = colormap.table(str(page_panel.colors))
    axes.imshow(table[::-1, np.newaxis], aspect="auto", extent=(0, 1, 0, 1))
    axes.set_xticks([])
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    span, step = max(abs(low), abs(high)), (high - low) / 4
    texts = [page_panel.panel.bar_text(low + share * (high - low), span, step) for share in shares]
    axes.set_yticks(shares, texts, size=_SMALL)
    axes.yaxis.tick_right()
    axes.tick_params(length=1.5, width=0.4, pad=1)
    for spine in axes.spines.values():
        spine.set_linewidth(0.4)

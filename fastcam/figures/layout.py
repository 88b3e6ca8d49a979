"""Where everything of a figure lies on its canvas: integers only, no pixels.

A figure is a grid of panels under a header of one or two lines. Every panel has a caption above
it and, where it shows heat, a color bar with numbers to its right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from fastcam_kernels.filtered_rows import filters_of
from numpy.typing import NDArray

from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.glyph_atlas import BitmapFont, Lettering
from fastcam.figures.slice_facts import CAPTION_SEPARATOR

# At zoom 1 (panels of up to 512 pixels); all grow with the panels.
_MARGIN = 12
_GAP = 12
_HEADER_LINE = 28
_CAPTION_LINE = 27
_CAPTION_PITCH = 19
_BAR_GAP = 8
_BAR_WIDTH = 15
_TICK_WIDTH = 52
_LEAST_CELL = 250  # so that captions of narrow panels can still be read
_MOST_CAPTION_LINES = 4
# Letters of what stands aside of a caption; fewer say nothing.
_LEAST_ASIDE = 4
_LEAST_BAR = 60  # so that the numbers beside the bars of low panels can
_MOST_STRETCHED = 8192  # a file may say that its pixels are a thousand times as high as wide


@dataclass(frozen=True, slots=True)
class Rect:
    """Pixels ``x <= column < x + width`` and ``y <= row < y + height`` of the canvas."""

    x: int
    y: int
    width: int
    height: int


class Cell(NamedTuple):
    """Size of one panel in canvas pixels, and whether it has a color bar."""

    width: int
    height: int
    bar: bool = False


@dataclass(frozen=True, slots=True)
class PanelArea:
    """Where a panel and what belongs to it lie on the canvas.

    Attributes:
        panel: the panel itself.
        caption: the room for its caption, which begins at the top left.
        bar: its color bar, if it has one.
    """

    panel: Rect
    caption: Rect
    bar: Rect | None


@dataclass(frozen=True, eq=False)
class Layout:
    """Where everything of a figure lies on its canvas.

    Attributes:
        width: columns of the canvas.
        height: rows of the canvas.
        header: the room of the header.
        header_line: rows of one line of the header.
        caption_lines: lines that the room of a caption has.
        caption_pitch: rows from one of these lines to the next.
        areas: those of the panels, row by row.
        holes: (n, 4) int32 x1, y1, x2, y2 of the rectangles that panels and bars fill.
        filters: (height,) uint8, the PNG filter of each row of the canvas.
    """

    width: int
    height: int
    header: Rect
    header_line: int
    caption_lines: int
    caption_pitch: int
    areas: tuple[PanelArea, ...]
    holes: NDArray[np.int32]
    filters: NDArray[np.uint8]


def zoom_of(longer_side: int) -> float:
    """How much larger text and gaps are than beside a panel of 512 pixels; never smaller."""
    return max(1.0, longer_side / 512)


def enlarged(
    height: int, width: int, panel_size: int, pixel_aspect: float = 1.0
) -> tuple[int, int]:
    """Size of a panel: the slice's own, or enlarged until its longer side is ``panel_size``.

    ``pixel_aspect`` is the height of a pixel over its width as they are to be drawn; the shorter of
    the two keeps its pixels, and the other is stretched, to a longer side of 8192 at most.
    """
    high, wide = stretched(height, width, pixel_aspect)
    longer = max(high, wide)
    if longer < panel_size:
        scale = panel_size / longer
    else:
        scale = min(1.0, max(_MOST_STRETCHED, height, width) / longer)
    return max(1, round(high * scale)), max(1, round(wide * scale))


def stretched(height: int, width: int, pixel_aspect: float) -> tuple[float, float]:
    """(height, width) whose pixels are square, of pixels of ``pixel_aspect``; none is shrunk."""
    return height * max(1.0, pixel_aspect), width * max(1.0, 1.0 / pixel_aspect)


def row_ranges(count: int, most: int) -> list[range]:
    """``count`` numbers from 0 in rows of nearly the same length, none longer than ``most``."""
    across = math.ceil(count / math.ceil(count / most))
    return [range(start, min(start + across, count)) for start in range(0, count, across)]


@lru_cache(maxsize=64)
def arrange(
    rows: tuple[tuple[Cell, ...], ...],
    header_lines: int,
    zoom: float,
    caption_lines: int = 1,
    letter_scale: float = 1.0,
) -> Layout:
    """Lay the cells out row by row, left to right, under a header of ``header_lines`` lines, each
    under a caption of ``caption_lines``. ``letter_scale`` is the part of ``zoom`` that panels don't
    grow with."""

    def px(length: int) -> int:
        return round(length * zoom)

    y = px(_MARGIN) + header_lines * px(_HEADER_LINE)
    above = px(_CAPTION_LINE) + (caption_lines - 1) * px(_CAPTION_PITCH)
    least = round(_LEAST_CELL * zoom / letter_scale)
    widest = 0
    areas = []
    holes = []
    for row in rows:
        x = px(_MARGIN)
        lowest = max(cell.height for cell in row)
        for cell in row:
            width = cell.width
            panel = Rect(x, y + above, cell.width, cell.height)
            bar = None
            if cell.bar:
                length = max(cell.height, px(_LEAST_BAR))
                bar = Rect(x + cell.width + px(_BAR_GAP), panel.y, px(_BAR_WIDTH), length)
                lowest = max(lowest, length)
                width += px(_BAR_GAP + _BAR_WIDTH + _TICK_WIDTH)
            width = max(width, least)
            areas.append(PanelArea(panel, Rect(x, y, width, above), bar))
            holes += [(r.x, r.y, r.x + r.width, r.y + r.height) for r in (panel, bar) if r]
            x += width + px(_GAP)
        widest = max(widest, x - px(_GAP) + px(_MARGIN))
        y += above + lowest + px(_GAP)
    height = y - px(_GAP) + px(_MARGIN)
    header = Rect(
        px(_MARGIN), px(_MARGIN), widest - 2 * px(_MARGIN), header_lines * px(_HEADER_LINE)
    )
    filled = np.array(holes, dtype=np.int32)
    return Layout(
        widest,
        height,
        header,
        px(_HEADER_LINE),
        caption_lines,
        px(_CAPTION_PITCH),
        tuple(areas),
        filled,
        filters_of(height, filled),
    )


def layout_of(sheet: Sheet, lettering: Lettering) -> Layout:
    """The layout of a figure, with as many header lines as its texts take."""
    zoom = zoom_of(max(max(p.height, p.width) for row in sheet.rows for p in row))
    zoom *= lettering.scale
    # Captions in larger letters go on in a second line; they need no wider panels.
    letters = max(1.0, lettering.scale)
    cells = tuple(
        tuple(Cell(p.width, p.height, p.bar is not None) for p in row) for row in sheet.rows
    )
    plan = arrange(cells, 1, zoom, 1, letters)
    title, verdict = header_lines(sheet, plan.header.width, lettering)
    lines = len(title) + len(verdict)
    lines += len(note_lines(sheet.note, plan.header.width, lettering))
    captions = 1
    panels = list(zip((p for row in sheet.rows for p in row), plan.areas, strict=True))
    if _has_lines(sheet, lettering):
        captions = max(len(caption_lines(*entry, lettering)) for entry in panels)
    return plan if lines == captions == 1 else arrange(cells, lines, zoom, captions, letters)


def _has_lines(sheet: Sheet, lettering: Lettering) -> bool:
    """Whether texts go on in further lines. The look of --style classic has none: none of its
    captions must stay whole."""
    return lettering.scale > 1.0 or any(p.whole_caption for row in sheet.rows for p in row)


def header_lines(sheet: Sheet, width: int, lettering: Lettering) -> tuple[list[str], list[str]]:
    """The lines of the header's title and of its verdict, each as long as the words allow.

    Without lines of a verdict the title has one, and the verdict stands at its right.
    """
    font = lettering.title
    room = font.width(sheet.title) + font.width(sheet.verdict)
    if room + 2 * font.height <= width:
        return [sheet.title], []
    if not _has_lines(sheet, lettering):
        return [sheet.title], [sheet.verdict]
    title = _parts_as_lines(sheet.title, width, font)
    return title, _parts_as_lines(sheet.verdict, width, font) if sheet.verdict else []


def bar_caption_x(panel: Panel, area: PanelArea, lettering: Lettering) -> int:
    """Where the caption of a panel's bar begins, or where there is none the caption's room ends."""
    end = area.caption.x + area.caption.width
    if not panel.bar_caption or area.bar is None:
        return end
    return min(area.bar.x, end - lettering.caption.width(panel.bar_caption))


def caption_room(panel: Panel, area: PanelArea, lettering: Lettering) -> int:
    """The columns of a line of a panel's caption."""
    room = bar_caption_x(panel, area, lettering) - area.caption.x
    if panel.bar_caption and area.bar is not None:
        room -= lettering.caption.width("  ")
    return room


def caption_lines(panel: Panel, area: PanelArea, lettering: Lettering) -> list[str]:
    """A panel's caption in four lines at most, of which the last may be too long; in as many as it
    takes where it must stay whole. After it what stands aside, as far as there is room."""
    room = caption_room(panel, area, lettering)
    if lettering.caption.width(panel.caption) <= room:
        lines = [panel.caption]
    elif panel.whole_caption:
        lines = _parts_as_lines(panel.caption, room, lettering.caption)
    else:
        lines = _lines_above_bar(panel.caption, area.caption.width, room, lettering)
    return [*lines[:-1], _with_aside(lines[-1], panel.aside, room, lettering)]


def _lines_above_bar(caption: str, width: int, room: int, lettering: Lettering) -> list[str]:
    """A caption's words as lines of ``width`` pixels, the last of ``room``, which is beside the
    caption of a bar; where more than four would be needed the fourth is too long."""
    lines = note_lines(caption, width, lettering)
    if lettering.caption.width(lines[-1]) > room:
        words = lines[-1].split()
        ends = (" ".join(words[at:]) for at in range(1, len(words)))
        end = next((end for end in ends if lettering.caption.width(end) <= room), "")
        lines[-1:] = [lines[-1].removesuffix(end).rstrip(), end]
    whole, rest = lines[: _MOST_CAPTION_LINES - 1], lines[_MOST_CAPTION_LINES - 1 :]
    return [*whole, " ".join(rest).strip()] if rest else whole


def caption_line(panel: Panel, area: PanelArea, lettering: Lettering) -> str:
    """A panel's caption in one line, which may be too long, and what stands aside of it."""
    room = caption_room(panel, area, lettering)
    return _with_aside(panel.caption, panel.aside, room, lettering)


def _parts_as_lines(text: str, room: int, font: BitmapFont) -> list[str]:
    """A text's parts as lines, each broken between words only where it is too long by itself."""
    lines: list[str] = []
    for part in text.split(CAPTION_SEPARATOR):
        longer = CAPTION_SEPARATOR.join([*lines[-1:], part])
        if lines and font.width(longer) <= room:
            lines[-1] = longer
        else:
            lines += [line.removesuffix(" ·") for line in _word_lines(part, room, font)]
    return lines


def _with_aside(line: str, aside: str, room: int, lettering: Lettering) -> str:
    """The last line of a caption and what stands aside of it, of which the end gives way."""
    for text in (aside, *(f"{aside[:kept]}…" for kept in range(len(aside) - 1, _LEAST_ASIDE, -1))):
        longer = CAPTION_SEPARATOR.join(filter(None, [line, text]))
        if lettering.caption.width(longer) <= room:
            return longer
    return line


def note_lines(note: str, width: int, lettering: Lettering) -> list[str]:
    """The note's words as lines of at most ``width`` pixels, or of one word."""
    return _word_lines(note, width, lettering.caption)


def _word_lines(text: str, width: int, font: BitmapFont) -> list[str]:
    if font.width(text) <= width:
        return [text] if text else []
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines

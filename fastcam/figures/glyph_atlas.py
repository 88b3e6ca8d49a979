"""Text for the kernels: every glyph a job needs, rasterized once into one atlas.

A kernel draws text by copying rectangles out of the atlas, so a figure's text costs microseconds
and no font library is touched while figures are drawn.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import fonts

BASIC = "".join(chr(c) for c in range(32, 127)) + "·…×–é"
# At zoom 1, in pixels. Narrow, so that the rows of a glyph lie close together: in an atlas of 2048
# pixels every row of every glyph came from a page of its own.
_ATLAS_WIDTH = 128

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character of a font.

    Attributes:
        index: its box in the atlas; -1 for one without pixels.
        left: columns from the text's position to the bitmap.
        top: rows from the line's top to the bitmap.
        advance: columns to the next character.
    """

    index: int
    left: int
    top: int
    advance: int


@dataclass(frozen=True, eq=False)
class BitmapFont:
    """One font at one size, in pixels.

    Attributes:
        glyphs: the glyph of each character.
        ascent: from the line's top to the baseline.
        height: of a line.
        size: of the letters' em, in pixels.
    """

    glyphs: Mapping[str, Glyph]
    ascent: int
    height: int
    size: int = 0

    # Most texts of a figure stand on the next one too: 0.1 ms a figure saved by keeping them.
    @lru_cache(maxsize=2048)  # noqa: B019 - fonts live as long as the process
    def width(self, text: str) -> int:
        """Width of a line of text in pixels."""
        fallback = self.glyphs["?"]
        return sum(self.glyphs.get(c, fallback).advance for c in text)

    def fit(self, text: str, width: int) -> str:
        """The text, its middle replaced by an ellipsis when it is wider than ``width``."""
        if self.width(text) <= width:
            return text
        if self.width("…") > width:
            return ""

        def shortened(keep: int) -> str:
            return text[: (keep + 1) // 2] + "…" + text[len(text) - keep // 2 :]

        # Names come from outside and may be a page long: halve instead of counting down.
        keep = bisect(range(1, len(text)), width, key=lambda n: self.width(shortened(n)))
        return shortened(keep)

    @lru_cache(maxsize=2048)  # noqa: B019
    def glyphs_of(self, text: str, x: int, y: int, color: Color) -> NDArray[np.int32]:
        """Glyphs (m, 6) int32 ``index, x, y, r, g, b`` of a line whose top left is (x, y)."""
        fallback = self.glyphs["?"]
        red, green, blue = color
        numbers: list[int] = []  # all in one list: 10 us a line instead of 16
        for character in text:
            glyph = self.glyphs.get(character, fallback)
            if glyph.index >= 0:
                numbers += (glyph.index, x + glyph.left, y + glyph.top, red, green, blue)
            x += glyph.advance
        return np.array(numbers, dtype=np.int32).reshape(-1, 6)


class TextLine(NamedTuple):
    """A line of text and where it stands.

    Attributes:
        font: its font.
        text: what it says.
        x: column of its left end.
        y: row of its top.
        color: RGB, 0 to 255.
    """

    font: BitmapFont
    text: str
    x: int
    y: int
    color: Color

    @property
    def glyphs(self) -> NDArray[np.int32]:
        """Its glyphs: see :meth:`BitmapFont.glyphs_of`."""
        return self.font.glyphs_of(self.text, self.x, self.y, self.color)


@dataclass(frozen=True, eq=False)
class Lettering:
    """The atlas, and the fonts that point into it.

    The arrays are shared by all threads of a worker and never written; marked read-only they would
    be copied for every panel, since the kernels are compiled for writeable ones.

    Attributes:
        coverage: the atlas (rows, columns) uint8, 255 where a glyph covers a pixel wholly.
        boxes: (n, 4) int32 x, y, width, height of each glyph in the atlas.
        title: the font of the header.
        caption: the font of captions, notes and notices.
        label: the font of labels on panels.
        tick: the font of numbers beside color bars.
        scale: how much larger all of them are than a figure's size asks for; gaps grow with them.
    """

    coverage: NDArray[np.uint8]
    boxes: NDArray[np.int32]
    title: BitmapFont
    caption: BitmapFont
    label: BitmapFont
    tick: BitmapFont
    scale: float = 1.0


def alphabet(texts: Iterable[str]) -> str:
    """The characters, beyond the basic ones, that a job's texts need; sorted."""
    return "".join(sorted({c for text in texts for c in text if c.isprintable()} - set(BASIC)))


@lru_cache(maxsize=4)
def prepare(
    characters: str, extra_fonts: tuple[Path, ...], zoom: float, scale: float = 1.0
) -> Lettering:
    """Rasterize the basic and the given characters at the sizes of a figure's texts.

    ``extra_fonts`` are asked, in order, for what DejaVu lacks; ``zoom`` is 1 for panels of 512
    pixels and grows with larger ones, so that text keeps its share of the picture; ``scale``
    enlarges it beyond that.
    """
    zoom *= scale
    atlas = _Atlas(math.ceil(_ATLAS_WIDTH * zoom))
    basic = sorted(set(BASIC))
    every = basic + sorted(set(characters) - set(BASIC))
    readable = [path for path in extra_fonts if path.is_file()]

    def rasterised(size: int, bold: bool, letters: list[str]) -> BitmapFont:
        return atlas.font([fonts.dejavu(bold), *readable], round(size * zoom), letters)

    title = rasterised(20, True, every)
    caption = rasterised(15, False, every)
    label = rasterised(15, False, basic)
    tick = rasterised(13, False, basic)
    coverage, boxes = atlas.finish()
    return Lettering(coverage, boxes, title, caption, label, tick, scale)


class _Atlas:
    """Packs glyph bitmaps row by row."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.bitmaps: list[NDArray[np.uint8]] = []
        self.boxes: list[tuple[int, int, int, int]] = []
        self.x = self.y = self.row_height = 0

    def font(self, paths: list[Path], size: int, characters: list[str]) -> BitmapFont:
        ascent, descent = fonts.load(paths[0], size).getmetrics()
        glyphs = {c: self._glyph(paths, size, c, ascent) for c in characters}
        return BitmapFont(glyphs, ascent, ascent + descent, size)

    def _glyph(self, paths: list[Path], size: int, character: str, ascent: int) -> Glyph:
        path = paths[0]
        if not character.isascii():
            path = next((p for p in paths if fonts.covers(p, character)), path)
        outline = fonts.load(path, size)
        advance = round(outline.getlength(character))
        mask, (left, top) = outline.getmask2(character, mode="L", anchor="ls")
        width, height = mask.size
        if width == 0 or height == 0 or width > self.width:
            return Glyph(-1, 0, 0, advance)
        bitmap = np.frombuffer(bytes(mask), dtype=np.uint8).reshape(height, width)
        return Glyph(self._add(bitmap), left, ascent + top, advance)

    def _add(self, bitmap: NDArray[np.uint8]) -> int:
        height, width = bitmap.shape
        if self.x + width > self.width:
            self.x, self.y, self.row_height = 0, self.y + self.row_height, 0
        self.boxes.append((self.x, self.y, width, height))
        self.bitmaps.append(bitmap)
        self.x += width
        self.row_height = max(self.row_height, height)
        return len(self.boxes) - 1

    def finish(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        coverage = np.zeros((self.y + self.row_height, self.width), dtype=np.uint8)
        for (x, y, width, height), bitmap in zip(self.boxes, self.bitmaps, strict=True):
            coverage[y : y + height, x : x + width] = bitmap
        boxes = np.array(self.boxes, dtype=np.int32).reshape(-1, 4)
        return coverage, boxes

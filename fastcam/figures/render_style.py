"""What a style comes to for the kernels: colors around the panels, glyphs and tables of heat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from fastcam_kernels import blend_tables as kernel_tables
from fastcam_kernels import colormap
from fastcam_kernels.blend_tables import BlendTables
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.glyph_atlas import Color, Lettering, prepare
from fastcam.options import Scale, Style

# A scale as captions of panels name it.
_SCALE_CAPTIONS: dict[Scale, str] = {
    "slice": "color scale: per slice",
    "patient": "color scale: per patient",
    "cohort": "color scale: whole run",
    "rank": "color scale: ranks",
}


def scale_caption(style: Style) -> str:
    """What the caption of a panel of heat says of its scale."""
    return f"scale: {style.scale}" if style.classic else _SCALE_CAPTIONS[style.scale]


@dataclass(frozen=True, eq=False)
class Palette:
    """Colors of everything on a figure that is not a panel.

    Attributes:
        background: (3,) uint8 RGB.
        title: the title at the left of the header.
        caption: captions, ticks and notes.
        right: the verdict of a right prediction.
        wrong: the verdict of a wrong one.
    """

    background: NDArray[np.uint8]
    title: Color
    caption: Color
    right: Color
    wrong: Color

    def verdict(self, correct: bool | None) -> Color:
        """The color of a verdict; ``correct`` is None where it is not known."""
        if correct is None:
            return self.caption
        return self.right if correct else self.wrong


PALETTES = {
    "light": Palette(
        np.array((255, 255, 255), np.uint8),
        (17, 17, 17),
        (96, 96, 96),
        (22, 128, 61),
        (190, 30, 30),
    ),
    "dark": Palette(
        np.array((20, 21, 24), np.uint8),
        (238, 238, 238),
        (170, 172, 176),
        (88, 205, 120),
        (255, 105, 97),
    ),
}


@lru_cache(maxsize=64)
def blend_tables(name: str, alpha: float, mode: Literal["flat", "heat", "only"]) -> BlendTables:
    """The tables of a color table by its name: see ``fastcam_kernels.blend_tables``."""
    return kernel_tables.blend_tables(colormap.table(name), alpha, mode)


@dataclass(frozen=True)
class RenderStyle:
    """What the style comes to for the kernels; made once for a case.

    Attributes:
        style: the style itself.
        lettering: the glyphs of all texts.
        palette: the colors around the panels.
        heat_tables: the color table alone.
        overlay_tables: the color table mixed with an image, as patch attention is.
        characters: those that the glyphs are made for, beyond the basic ones.
        fonts: the files that these may come from.
        zoom: see ``glyph_atlas.prepare``.
    """

    style: Style
    lettering: Lettering
    palette: Palette
    heat_tables: BlendTables
    overlay_tables: BlendTables
    characters: str = ""
    fonts: tuple[Path, ...] = ()
    zoom: float = 1.0

    def with_letters(self, scale: float) -> RenderStyle:
        """The style with letters of another ``scale``."""
        return replace(self, lettering=prepare(self.characters, self.fonts, self.zoom, scale))


def render_style_of(
    style: Style, characters: str, fonts: tuple[Path, ...], longer_side: int
) -> RenderStyle:
    """Prepare glyphs and color tables. ``longer_side`` of the panels, in pixels."""
    zoom = layout.zoom_of(longer_side)
    return RenderStyle(
        style,
        prepare(characters, fonts, zoom, style.letter_scale),
        PALETTES[style.theme],
        blend_tables(style.colormap, 1.0, "only"),
        blend_tables(style.colormap, style.heat_alpha, style.patch_blend),
        characters,
        fonts,
        zoom,
    )

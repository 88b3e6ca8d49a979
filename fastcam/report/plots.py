"""Plots as figures: matplotlib's page, in the theme of the other figures, turned into pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import fonts
from fastcam.figures.figure import Figure
from fastcam.figures.sheet import PALETTES
from fastcam.options import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure as Page

DPI = 150
# Titles, text beside the plots, and numbers at axes, in points.
TITLE, TEXT, NUMBERS = 15.0, 10.5, 9.0
_BOX = "□"
# The part of viridis that is seen on the theme's paper.
_SHADES = {"light": (0.05, 0.95), "dark": (0.3, 1.0)}
_FAINT = {"light": "#e6e6e6", "dark": "#3a3c42"}


@dataclass(frozen=True)
class Ink:
    """Colours of a theme, as matplotlib takes them; ``faint`` is for grid lines."""

    paper: str
    title: str
    text: str
    faint: str


def ink_of(style: Style) -> Ink:
    """The colours of the style's theme."""
    palette = PALETTES[style.theme]
    red, green, blue = palette.paper.tolist()
    return Ink(
        _hex((red, green, blue)), _hex(palette.title), _hex(palette.caption), _FAINT[style.theme]
    )


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{level:02x}" for level in colour)


def new_page(width: float, height: float, style: Style) -> Page:
    """An empty page of ``width`` × ``height`` inches, at 150 pixels an inch."""
    # Imported here: matplotlib takes 0.3 s, and the other views do without. Never pyplot, whose
    # global list of figures isn't for threads and keeps every page in memory.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Page

    page = Page(figsize=(width, height), dpi=DPI, facecolor=ink_of(style).paper)
    FigureCanvasAgg(page)
    return page


def drawn(page: Page) -> Figure:
    """The page's pixels, (h, w, 3) uint8 RGB, as a figure."""
    canvas: Any = page.canvas
    canvas.draw()
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
    return Figure(pixels)


def write_title(page: Page, title: str, note: str, style: Style) -> None:
    """Title and a line below it, at the top left of the page, 0.2 and 0.55 inches from its top."""
    ink = ink_of(style)
    _, height = page.get_size_inches()
    text, font = lettered(title, style)
    if font.get_file() == str(fonts.dejavu(bold=False)):
        # Bold as in the other figures.
        font.set_file(str(fonts.dejavu(bold=True)))
    page.text(
        0.012, 1 - 0.2 / height, text, va="top", color=ink.title, font=font, size=TITLE,
        parse_math=False,
    )  # fmt: skip
    page.text(0.012, 1 - 0.55 / height, note, va="top", color=ink.text, size=TEXT, parse_math=False)


def name_row(axes: Axes, name: str, style: Style) -> None:
    """What a row of plots is of, above its first one."""
    text, font = lettered(name, style)
    axes.annotate(
        text, (0, 1), xytext=(0, 26), xycoords="axes fraction", textcoords="offset points",
        font=font, size=TEXT + 1.5, color=ink_of(style).title, annotation_clip=False,
        parse_math=False,
    )  # fmt: skip


def lettered(text: str, style: Style) -> tuple[str, Any]:
    """``text`` and the first font that has all its letters: DejaVu, --font, or one of the system's.

    Letters that the best of them hasn't are boxes, as in the other figures.
    """
    from matplotlib.font_manager import FontProperties

    letters = {letter for letter in text if not letter.isspace()}
    found = fonts.chain(letters, style.font)
    best = max(found, key=lambda font: sum(fonts.covers(font, letter) for letter in letters))
    missing = {letter for letter in letters if not fonts.covers(best, letter)}
    drawable = "".join(_BOX if letter in missing else letter for letter in text)
    return drawable, FontProperties(fname=str(best))


def frame(axes: Axes, title: str, style: Style, x: str = "", y: str = "") -> None:
    """Title, names of the axes and a faint grid."""
    ink = ink_of(style)
    text, font = lettered(title, style)
    axes.set_facecolor(ink.paper)
    axes.set_title(
        text, font=font, size=TEXT, loc="left", color=ink.title, pad=8, parse_math=False
    )  # fmt: skip
    axes.set_xlabel(x, size=NUMBERS + 0.5, color=ink.text)
    axes.set_ylabel(y, size=NUMBERS + 0.5, color=ink.text)
    axes.tick_params(labelsize=NUMBERS, color=ink.text, labelcolor=ink.text)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(ink.text)
    axes.grid(color=ink.faint, linewidth=0.8)
    axes.set_axisbelow(True)


def picture_frame(axes: Axes, title: str, style: Style, x: str = "", y: str = "") -> None:
    """As :func:`frame`, for axes that hold an image: a full border and no grid."""
    frame(axes, title, style, x, y)
    axes.grid(False)
    axes.spines[:].set(visible=True, color=ink_of(style).text)


def colour_bar(page: Page, drawing: Any, axes: Axes, style: Style) -> None:
    """A bar of the drawing's colours and their numbers, right of ``axes``."""
    ink = ink_of(style)
    place = axes.inset_axes((1.03, 0.0, 0.04, 1.0))
    bar = page.colorbar(drawing, cax=place)
    bar.ax.tick_params(labelsize=NUMBERS - 0.5, color=ink.text, labelcolor=ink.text)
    bar.outline.set_edgecolor(ink.text)


def shades(style: Style) -> Colormap:
    """Colours of heads, or of steps, by their number: those of viridis that are seen on paper."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(*_SHADES[style.theme], 256)))

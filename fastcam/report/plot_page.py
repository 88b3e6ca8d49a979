"""A page of plots as PNG bytes, and what its plots share."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from fastcam.figures import fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GOOD, BAD, INK, FAINT, BLUE = "#1b7837", "#c51b1b", "#222222", "#8a8a8a", "#2b6cb0"
DPI = 150


def new_page(width: float, height: float) -> Figure:
    """An empty page of ``width`` x ``height`` inches, at 150 pixels an inch."""
    # Imported here: matplotlib takes 0.3 s, and drawing figures doesn't need it. Never pyplot,
    # whose global list of figures isn't for threads and keeps every page in memory.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    page = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout=layout)
    FigureCanvasAgg(page)
    return page


def png_of(page: Figure) -> bytes:
    """The page as a PNG file."""
    picture = io.BytesIO()
    page.savefig(picture, format="png", dpi=DPI)
    return picture.getvalue()


def frame(axes: Axes, title: str, x: str, y: str, grid: bool = True) -> None:
    """Title, names of the axes and a faint grid."""
    shown, font = lettered(title)
    axes.set_title(shown, font=font, size=11.5, loc="left", color=INK, pad=10, parse_math=False)
    for text, setter in ((x, axes.set_xlabel), (y, axes.set_ylabel)):
        shown, font = lettered(text)
        setter(shown, font=font, size=10, color=INK, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=9, color=FAINT, labelcolor=INK)
    if grid:
        axes.grid(color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)


def say(axes: Axes, text: str) -> None:
    """What stands in a plot that has nothing to show."""
    shown, font = lettered(text)
    axes.text(0.5, 0.5, shown, transform=axes.transAxes, ha="center", font=font, color=FAINT,
              size=11, parse_math=False)  # fmt: skip


def lettered(text: str) -> tuple[str, Any]:
    """``text`` and the first font that has all its letters: DejaVu or one of the system's. Letters
    that the best of them hasn't are boxes."""
    from matplotlib.font_manager import FontProperties

    letters = {letter for letter in text if not letter.isspace()}
    found = fonts.chain(letters)
    best = max(found, key=lambda font: sum(fonts.covers(font, letter) for letter in letters))
    missing = {letter for letter in letters if not fonts.covers(best, letter)}
    drawable = "".join("□" if letter in missing else letter for letter in text)
    return drawable, FontProperties(fname=str(best))


def shortened(text: str, longest: int = 24) -> str:
    """A name for an axis, its middle left out where it is too long."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 8]}…{text[-7:]}"

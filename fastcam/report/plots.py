"""Pages of plots by matplotlib, in the theme of the other figures or of a report.

Functions that take a ``style`` draw in its theme. Without one they draw for a report: on white, in
the colors ``GOOD``, ``BAD``, ``DARK``, ``FAINT`` and ``BLUE``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import fonts
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.paper_plots import PlotPage, fit_to_paper
from fastcam.figures.render_style import PALETTES
from fastcam.options import Style, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure as Page
    from matplotlib.font_manager import FontProperties

GOOD, BAD, DARK, FAINT, BLUE = "#1b7837", "#c51b1b", "#222222", "#8a8a8a", "#2b6cb0"
DPI = 150
# Sizes in points: a themed page's title, the text beside its plots, and numbers at axes.
TITLE_SIZE, TEXT_SIZE, NUMBER_SIZE = 15.0, 10.5, 9.0
_MISSING_LETTER = "□"
# The part of viridis that is seen on the theme's background.
_VIRIDIS_RANGE: dict[Theme, tuple[float, float]] = {"light": (0.05, 0.95), "dark": (0.3, 1.0)}
_GRID: dict[Theme, str] = {"light": "#e6e6e6", "dark": "#3a3c42"}
# Fewer cases than these would only be hidden by their quartiles.
_FEWEST_FOR_BOX = 5


@dataclass(frozen=True, kw_only=True)
class PlotStyle:
    """Colors, as matplotlib takes them, and sizes in points.

    Attributes:
        background: of the page and of its plots.
        title: titles of the page and of plots.
        text: numbers and names at axes.
        spine: the lines of axes and their ticks.
        grid: grid lines.
        title_size: titles of plots.
        label_size: names of axes.
        title_pad: room between a plot and its title.
    """

    background: str
    title: str
    text: str
    spine: str
    grid: str
    title_size: float
    label_size: float
    title_pad: float


_REPORT = PlotStyle(
    background="white",
    title=DARK,
    text=DARK,
    spine=FAINT,
    grid="#ececec",
    title_size=11.5,
    label_size=10.0,
    title_pad=10.0,
)


def plot_style(style: Style | None) -> PlotStyle:
    """The colors of the style's theme; without one those of a report."""
    if style is None:
        return _REPORT
    palette = PALETTES[style.theme]
    red, green, blue = palette.background.tolist()
    text = _hex(palette.caption)
    return PlotStyle(
        background=_hex((red, green, blue)),
        title=_hex(palette.title),
        text=text,
        spine=text,
        grid=_GRID[style.theme],
        title_size=TEXT_SIZE,
        label_size=NUMBER_SIZE + 0.5,
        title_pad=8.0,
    )


def _hex(color: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{level:02x}" for level in color)


def new_page(
    width: float, height: float, style: Style | None = None, *, constrained: bool = False
) -> Page:
    """An empty page of ``width`` × ``height`` inches, at 150 pixels an inch.

    ``constrained``: matplotlib's constrained layout makes room for titles and names of axes.
    """
    # Imported here: matplotlib takes 0.3 s, and drawing other figures doesn't need it. Never
    # pyplot, whose global list of figures isn't for threads and keeps every page in memory.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Page
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12) if constrained else None
    background = plot_style(style).background
    page = Page(figsize=(width, height), dpi=DPI, facecolor=background, layout=layout)
    FigureCanvasAgg(page)
    return page


def page_figure(plots: Page | PlotPage, style: Style) -> Figure:
    """The page as a figure, on paper as the style says: its pixels, (h, w, 3) uint8 RGB, and for
    pdf and svg its lines and texts.

    Raster files say the page's pixels an inch where it has a width on paper, else the style's.
    """
    plots = plots if isinstance(plots, PlotPage) else PlotPage(plots)
    fit_to_paper(plots, style)
    canvas: Any = plots.page.canvas
    canvas.draw()
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
    dpi = style.file_dpi if style.paper_width is None else plots.page.dpi
    return Figure(pixels, dpi=dpi, page=plots, style=style)


def write_remark(page: Page, remark: str) -> None:
    """A line above the plots of a report's page, at its left; none where ``remark`` is empty."""
    if remark:
        page.suptitle(remark, x=0.012, ha="left", size=13, color=BAD, parse_math=False)


def write_title(page: Page, title: str, note: str, style: Style) -> None:
    """Title and a line below it, at the top left of the page, 0.2 and 0.55 inches from its top."""
    colors = plot_style(style)
    _, height = page.get_size_inches()
    text, font = drawable_text(title, style)
    if font.get_file() == str(fonts.dejavu(bold=False)):
        # Bold as in the other figures.
        font.set_file(str(fonts.dejavu(bold=True)))
    page.text(
        0.012,
        1 - 0.2 / height,
        text,
        va="top",
        color=colors.title,
        font=font,
        size=TITLE_SIZE,
        parse_math=False,
    )
    page.text(
        0.012,
        1 - 0.55 / height,
        note,
        va="top",
        color=colors.text,
        size=TEXT_SIZE,
        parse_math=False,
    )


def write_row_title(axes: Axes, name: str, style: Style) -> None:
    """What a row of plots is of, above its first one."""
    text, font = drawable_text(name, style)
    axes.annotate(
        text,
        (0, 1),
        xytext=(0, 26),
        xycoords="axes fraction",
        textcoords="offset points",
        font=font,
        size=TEXT_SIZE + 1.5,
        color=plot_style(style).title,
        annotation_clip=False,
        parse_math=False,
    )


def write_placeholder(axes: Axes, text: str) -> None:
    """What stands in a plot of a report that has nothing to show."""
    drawable, font = drawable_text(text)
    axes.text(
        0.5,
        0.5,
        drawable,
        transform=axes.transAxes,
        ha="center",
        font=font,
        color=FAINT,
        size=11,
        parse_math=False,
    )


def drawable_text(text: str, style: Style | None = None) -> tuple[str, FontProperties]:
    """``text`` and the first font that has all its letters: DejaVu, --font, or one of the system's.

    Letters that the best of them hasn't are boxes, as in the other figures.
    """
    from matplotlib.font_manager import FontProperties

    letters = {letter for letter in text if not letter.isspace()}
    candidates = fonts.chain(letters, None if style is None else style.font)
    best = max(candidates, key=lambda font: sum(fonts.covers(font, letter) for letter in letters))
    missing = {letter for letter in letters if not fonts.covers(best, letter)}
    drawable = "".join(_MISSING_LETTER if letter in missing else letter for letter in text)
    return drawable, FontProperties(fname=str(best))


def shorten_name(name: str, longest: int = 24) -> str:
    """A name for an axis, its middle left out where it is too long."""
    if len(name) <= longest:
        return name
    return f"{name[: longest - 8]}…{name[-7:]}"


def frame(
    axes: Axes,
    title: str,
    style: Style | None = None,
    x: str = "",
    y: str = "",
    *,
    grid: bool = True,
) -> None:
    """Title, names of the axes and a faint grid."""
    look = plot_style(style)
    text, font = drawable_text(title, style)
    axes.set_facecolor(look.background)
    axes.set_title(
        text,
        font=font,
        size=look.title_size,
        loc="left",
        color=look.title,
        pad=look.title_pad,
        parse_math=False,
    )
    for name, set_name in ((x, axes.set_xlabel), (y, axes.set_ylabel)):
        text, font = drawable_text(name, style)
        set_name(text, font=font, size=look.label_size, color=look.text, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(look.spine)
    axes.tick_params(labelsize=NUMBER_SIZE, color=look.spine, labelcolor=look.text)
    if grid:
        axes.grid(color=look.grid, linewidth=0.8)
    axes.set_axisbelow(True)


def frame_image(axes: Axes, title: str, style: Style, x: str = "", y: str = "") -> None:
    """As :func:`frame`, for axes that hold an image: a full border and no grid."""
    frame(axes, title, style, x, y, grid=False)
    axes.spines[:].set(visible=True, color=plot_style(style).text)


def color_bar(page: Page, drawing: Any, axes: Axes, style: Style) -> None:
    """A bar of the drawing's colors and their numbers, right of ``axes``."""
    text = plot_style(style).text
    bar = page.colorbar(drawing, cax=axes.inset_axes((1.03, 0.0, 0.04, 1.0)))
    bar.ax.tick_params(labelsize=NUMBER_SIZE - 0.5, color=text, labelcolor=text)
    bar.outline.set_edgecolor(text)


def series_colors(style: Style) -> Colormap:
    """Colors of heads, or of steps, by their number: those of viridis that are seen on the
    background."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(*_VIRIDIS_RANGE[style.theme], 256)))


def dots_and_box(axes: Axes, values: NDArray[np.float64], x: int, color: str, marker: str) -> None:
    """One group's values (n,) over ``x``, a dot each.

    The box has the quartiles and the median, its whiskers the 5th and 95th percentile. The limits
    of y must be set before.
    """
    if not values.size:
        axes.text(
            x, 0.5, "none", transform=axes.get_xaxis_transform(), ha="center", color=FAINT, size=9
        )
        return
    axes.scatter(
        x + _sideways(values, axes.get_ylim()),
        values,
        s=float(np.clip(500 / values.size, 3, 22)),
        marker=marker,
        color=color,
        alpha=float(np.clip(300 / values.size, 0.15, 0.6)),
        linewidths=0,
        zorder=2,
    )
    if values.size < _FEWEST_FOR_BOX:
        return
    line = {"color": DARK, "linewidth": 1.3}
    axes.boxplot(
        values,
        positions=[x],
        widths=0.3,
        whis=(5, 95),
        showfliers=False,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
        medianprops={"color": DARK, "linewidth": 2.6},
        zorder=3,
        manage_ticks=False,
    )


def _sideways(values: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """Sideways offsets that spread dots of nearly the same height, wider where there are more."""
    bins = np.floor((values - limits[0]) / (limits[1] - limits[0]) * 40).astype(int)
    order = np.argsort(values, kind="stable")
    offsets = np.zeros(values.size)
    counts = np.bincount(np.maximum(bins, 0))
    for level in np.flatnonzero(counts > 1):
        members = order[bins[order] == level]
        width = 0.4 * counts[level] / max(counts.max(), 12)
        # Multiples of the golden ratio fill the width evenly and look the same on every run.
        offsets[members] = ((0.5 + np.arange(members.size) * 0.618034) % 1.0 * 2 - 1) * width
    return offsets

"""Files of a report's pages of plots: PNG, and lines and texts where figures are such."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from fastcam.figures.paper_plots import PlotPage, fit_to_paper
from fastcam.figures.vector_file import vector_plots
from fastcam.options import Style, VectorFormat
from fastcam.run.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page


def page_png(page: Page) -> bytes:
    """The page as a PNG file."""
    content = io.BytesIO()
    page.savefig(content, format="png", dpi=page.dpi)
    return content.getvalue()


def write_plot_page(path: Path, page: Page, style: Style) -> list[Path]:
    """Write the page as PNG, and for pdf and svg also as lines and texts, beside it; the files.

    Their width on paper and the size of their letters are the style's. Files of another kind,
    which an earlier run may have left, are removed: they show its results.
    """
    fit_to_paper(PlotPage(page), style)
    write_bytes(path, [page_png(page)])
    paths = [path]
    for vector in get_args(VectorFormat):
        beside = path.with_suffix(f".{vector}")
        if vector == style.format:
            write_bytes(beside, [vector_plots(page, vector)])
            paths.append(beside)
        else:
            beside.unlink(missing_ok=True)
    return paths

"""A figure held in memory: it saves itself, and shows itself in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from fastcam_kernels import png
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.paper_plots import PlotPage, fit_to_paper
from fastcam.figures.png_writer import png_pieces, write_picture, write_sheet
from fastcam.figures.render_style import RenderStyle
from fastcam.figures.vector_file import vector_plots
from fastcam.options import PictureFormat, Style
from fastcam.run.files import write_bytes
from fastcam.storage.locations import as_path

_SUFFIXES: dict[str, PictureFormat] = {
    **{f".{kind}": kind for kind in get_args(PictureFormat)},
    ".jpeg": "jpg",
}


@dataclass(frozen=True, eq=False)
class Figure:
    """A drawn figure.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        sheet: what was drawn, where texts can be written as such; None for a picture.
        render_style: how ``sheet`` was drawn.
        dpi: pixels an inch that files say; None for no word of them.
        page: plots, which pdf and svg have as lines and texts; None for none.
        style: how ``page`` was drawn.
    """

    pixels: NDArray[np.uint8]
    sheet: Sheet | None = None
    render_style: RenderStyle | None = None
    dpi: float | None = None
    page: PlotPage | None = None
    style: Style | None = None

    def save(self, path: Path | str) -> Path:
        """Write the figure, as a whole file or not at all; its path.

        The suffix chooses the format: .png, .jpg or .webp, or .pdf or .svg with the pixels inside
        and texts as text, plots as lines. InputError for another one, OutputError when the file
        can't be written.
        """
        path = as_path(path)
        kind = _SUFFIXES.get(path.suffix.lower())
        if kind is None:
            raise InputError(
                f"{path}: can't be a figure; end its name in .png, .jpg, .webp, .pdf or .svg"
            )
        if self.page is not None and (kind == "pdf" or kind == "svg"):
            fit_to_paper(self.page, replace(self.style or Style(), format=kind))
            write_bytes(path, [vector_plots(self.page.page, kind)])
        elif self.sheet is not None and self.render_style is not None and kind in ("pdf", "svg"):
            style = replace(self.render_style.style, format=kind)
            write_sheet(path, self.sheet, replace(self.render_style, style=style), kind, Buffers())
        else:
            write_picture(path, self.pixels, kind, self.dpi)
        return path

    def _repr_png_(self) -> bytes:
        return b"".join(png_pieces(png.up_filter(self.pixels), self.dpi))

    def __repr__(self) -> str:
        height, width, _ = self.pixels.shape
        return f"<fastcam figure, {width}x{height} pixels>"

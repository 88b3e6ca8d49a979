"""A figure held in memory: it saves itself, and shows itself in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from fastcam_kernels import png
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures.png_writer import png_pieces, write_picture
from fastcam.options import PictureFormat

_SUFFIXES: dict[str, PictureFormat] = {
    **{f".{kind}": kind for kind in get_args(PictureFormat)},
    ".jpeg": "jpg",
}


@dataclass(frozen=True, eq=False)
class Figure:
    """A drawn figure; ``pixels`` (h, w, 3) uint8 RGB."""

    pixels: NDArray[np.uint8]

    def save(self, path: Path | str) -> Path:
        """Write the figure, as a whole file or not at all; its path.

        The suffix chooses the format: .png, .jpg or .webp. InputError for another one,
        OutputError when the file can't be written.
        """
        path = Path(path)
        kind = _SUFFIXES.get(path.suffix.lower())
        if kind is None:
            raise InputError(f"{path}: can't be a figure; end its name in .png, .jpg or .webp")
        write_picture(path, self.pixels, kind)
        return path

    def _repr_png_(self) -> bytes:
        return b"".join(png_pieces(png.up_filter(self.pixels)))

    def __repr__(self) -> str:
        height, width, _ = self.pixels.shape
        return f"<fastcam figure, {width}x{height} pixels>"

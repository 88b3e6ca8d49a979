"""A figure held in memory: it saves itself, and shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from fastcam_kernels import png
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures import fonts, layout, lettering
from fastcam.figures.mapscales import map_scale
from fastcam.figures.mapsheets import Heading, MapPicture, ShownMap, map_sheet
from fastcam.figures.patches import look_of
from fastcam.figures.sheet import draw
from fastcam.picture import png_pieces, write_picture
from fastcam.spec import PictureFormat, Style

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


def figure_of(
    image: NDArray[np.uint8],
    maps: Mapping[str, NDArray[np.floating]],
    *,
    title: str = "",
    verdict: str = "",
    correct: bool | None = None,
    mask: NDArray[np.uint8] | None = None,
    diverging: bool = False,
    dims: int = 2,
    style: Style | None = None,
) -> Figure:
    """The figure of one image: a row of image, heat and overlay for every map.

    ``image`` (h, w, 1 or 3) or (h, w) uint8, ``mask`` (h, w), not 0 inside. ``maps``: caption to
    the map of this image at its layer's resolution, covering the whole image: (h, w), or
    (targets, h, w), a row each, or (layers, heads, h, w), of which the last layer's mean over
    heads is shown. With ``dims`` 3 a map has (d, h, w) in place of (h, w), and ``image`` is its
    middle slice. ``diverging``: values below 0 are evidence against. ``correct`` colours the
    ``verdict``. InputError where there is no map, or a map is not finite.
    """
    style = style or Style()
    picture = image if image.ndim == 3 else image[:, :, np.newaxis]
    rows = [row for name, values in maps.items() for row in _rows(name, values, dims)]
    if not rows:
        raise InputError("a figure needs at least one map")
    shown = [
        ShownMap(name, _middle(values), map_scale(values, style.scale, diverging))
        for name, values in rows
    ]
    characters = lettering.alphabet([title, verdict, *(name for name, _ in rows)])
    height, width, _ = picture.shape
    longer = max(layout.enlarged(height, width, style.panel_size))
    look = look_of(style, characters, fonts.chain(characters, style.font), longer)
    sheet, _ = map_sheet(Heading(title, verdict, correct), MapPicture(picture, mask), shown, look)
    return Figure(draw(sheet, look.lettering, look.palette))


def _rows(name: str, values: NDArray[Any], dims: int) -> list[tuple[str, NDArray[np.float32]]]:
    """The maps (h, w) or (d, h, w) that an image has of one name, with their captions."""
    found = np.asarray(values, dtype=np.float32)
    extra = found.ndim - dims
    if not 0 <= extra <= 2 or not found.size:
        raise InputError(f"map {name!r} has shape {found.shape}, which is no map of {dims} axes")
    if not np.isfinite(found).all():
        raise InputError(f"map {name!r} holds NaN or infinity; look at the model's weights")
    if extra == 2:
        last = len(found) - 1
        return [(f"{name} · layer {last} · mean of heads", found[last].mean(axis=0))]
    if extra == 1:
        return [(f"{name} · target {at}", each) for at, each in enumerate(found)]
    return [(name, found)]


def _middle(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map itself, or what a volume's map has at the middle of its field."""
    if values.ndim == 2:
        return values
    depth = len(values)
    middle: NDArray[np.float32] = (values[(depth - 1) // 2] + values[depth // 2]) / np.float32(2)
    return middle

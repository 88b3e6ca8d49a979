"""The frame of boxes: a slice's own pixels, or a crop around the mask; and the slices they count.

The crop is planned in integers first, then applied to as many pictures as need it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastcam_kernels.resize import BILINEAR, resize
from numpy.typing import NDArray

from fastcam.errors import InputError

# Larger than this many times the crop's side, and the region is shrunk instead of cut.
_LARGEST_CUT = 1.5
MAX_SIZE = 16384


@dataclass(frozen=True)
class Frame:
    """``crop`` is the side of the square crop around the mask in pixels, None for whole slices."""

    crop: int | None = None

    def __str__(self) -> str:
        return "image" if self.crop is None else f"mask-crop:{self.crop}"


@dataclass(frozen=True)
class SliceRange:
    """The slices that a results file counts; ``count`` None is all of them."""

    count: int | None = None

    def __str__(self) -> str:
        return "all" if self.count is None else f"middle:{self.count}"

    def first(self, n_slices: int) -> int:
        """The volume's slice that the results file calls 0."""
        return 0 if self.count is None else max(0, (n_slices - self.count) // 2)

    def length(self, n_slices: int) -> int:
        """How many of the volume's slices are counted."""
        return n_slices if self.count is None else min(n_slices, self.count)


def parse_frame(text: str) -> Frame:
    """``image`` or ``mask-crop:SIDE``; anything else is an InputError."""
    if text == "image":
        return Frame()
    match = re.fullmatch(r"mask-crop:([0-9]{1,5})", text)
    if match is None or not 1 <= int(match[1]) <= MAX_SIZE:
        raise InputError(
            f"--frame {text!r}: must be image or mask-crop:SIDE, as in mask-crop:244; or auto"
        )
    return Frame(int(match[1]))


def parse_slices(text: str) -> SliceRange:
    """``all`` or ``middle:COUNT``; anything else is an InputError."""
    if text == "all":
        return SliceRange()
    match = re.fullmatch(r"middle:([0-9]{1,9})", text)
    if match is None or int(match[1]) < 1:
        raise InputError(f"--slices {text!r}: must be all or middle:COUNT, as in middle:100")
    return SliceRange(int(match[1]))


@dataclass(frozen=True)
class Crop:
    """A square crop of ``size`` pixels, planned: cut ``box``, lay it on a black canvas, resize.

    ``box`` is ``x1, y1, x2, y2`` in slice pixels, ends exclusive. It lands at row ``top``, column
    ``left`` of a canvas of ``height`` x ``width``; where that isn't ``size`` x ``size`` already,
    the canvas is resized bilinearly with OpenCV's half-pixel centers.
    """

    box: tuple[int, int, int, int]
    top: int
    left: int
    height: int
    width: int
    size: int

    @property
    def resized(self) -> bool:
        return (self.height, self.width) != (self.size, self.size)

    def apply(self, picture: NDArray[Any], fill: float = 0) -> NDArray[Any]:
        """(h, w) of any number type -> (size, size), float32 where resized, else the same type.

        ``fill`` is the value of the padding, black in the picture's own unit.
        """
        x1, y1, x2, y2 = self.box
        cut = picture[y1:y2, x1:x2]
        if cut.shape != (self.height, self.width):
            canvas = np.full((self.height, self.width), fill, picture.dtype)
            cut = self._laid_on(canvas, picture)
        return self._resized(cut)

    def with_surroundings(self, picture: NDArray[Any]) -> NDArray[Any]:
        """:meth:`apply`, with what lies around the region in ``picture`` at half its value in place
        of the padding: what the model did not see, but people know their way by."""
        x1, y1, _, _ = self.box
        left, top = x1 - self.left, y1 - self.top
        rows = slice(max(0, top), top + self.height)
        columns = slice(max(0, left), left + self.width)
        around = picture[rows, columns]
        canvas = np.zeros((self.height, self.width), picture.dtype)
        y, x = rows.start - top, columns.start - left
        canvas[y : y + around.shape[0], x : x + around.shape[1]] = around / 2
        return self._resized(self._laid_on(canvas, picture))

    def _laid_on(self, canvas: NDArray[Any], picture: NDArray[Any]) -> NDArray[Any]:
        x1, y1, x2, y2 = self.box
        rows = slice(self.top, self.top + y2 - y1)
        canvas[rows, self.left : self.left + x2 - x1] = picture[y1:y2, x1:x2]
        return canvas

    def _resized(self, canvas: NDArray[Any]) -> NDArray[Any]:
        if not self.resized:
            return np.ascontiguousarray(canvas)
        dtype = np.uint8 if canvas.dtype == np.uint8 else np.float32
        return resize(np.ascontiguousarray(canvas, dtype), self.size, self.size, BILINEAR)

    def apply_mask(self, inside: NDArray[Any]) -> NDArray[np.uint8]:
        """(h, w) 0/1 -> (size, size) uint8 0/1: resized as a picture of 0 and 255, whole grey
        levels, then > 127."""
        crop = self.apply((inside != 0).astype(np.uint8) * np.uint8(255))
        bits: NDArray[np.uint8] = (np.rint(crop) > 127).astype(np.uint8)
        return bits


def plan_crop(mask: NDArray[Any], height: int, width: int, size: int) -> Crop:
    """The crop around a mask (height, width) of 0/1, as ``--frame mask-crop:SIZE`` defines it.

    The region is ``mask[y_min:y_max, x_min:x_max]`` with the lowest and highest index inside the
    mask: the last row and column are left out, as in the crops that the boxes were made on. A mask
    one pixel thin keeps that pixel; an empty mask means the whole slice. A region that fits is
    padded, one larger in both directions is cut out of its center, or resized where it is more
    than 1.5 times as large; one larger in one direction only is padded to a square and resized.
    Halves of odd differences are rounded down at the top and left.
    """
    x1, y1, x2, y2 = _region(mask, height, width)
    high, wide = y2 - y1, x2 - x1
    if high >= size and wide >= size:
        if max(high, wide) > _LARGEST_CUT * size:
            return Crop((x1, y1, x2, y2), 0, 0, high, wide, size)
        x1, y1 = x1 + (wide - size) // 2, y1 + (high - size) // 2
        return Crop((x1, y1, x1 + size, y1 + size), 0, 0, size, size, size)
    side = max(high, wide, size)
    return Crop((x1, y1, x2, y2), (side - high) // 2, (side - wide) // 2, side, side, size)


def _region(mask: NDArray[Any], height: int, width: int) -> tuple[int, int, int, int]:
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return 0, 0, width, height
    columns = np.flatnonzero(mask.any(axis=0))
    x1, y1, x2, y2 = int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
    return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)

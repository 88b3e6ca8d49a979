"""How a slice is shown: turned by its affine, with the letter of a side, and with its mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.options import Axes, Orient
from fastcam.read.volumes import masks, orientation
from fastcam.read.volumes.geometry import Grid
from fastcam.storage.locations import as_path


@dataclass(frozen=True)
class Display:
    """How the slices of a volume are shown.

    Attributes:
        orientation: from a slice (y, x) to what is shown.
        left_side: the letter of the patient's side at the left edge; empty where it isn't known.
    """

    orientation: orientation.Orientation
    left_side: str


def display_of(affine: NDArray[np.float64] | None, orient: Orient) -> Display:
    """As a radiologist expects by ``affine``, see ``orientation.for_display``, or as it lies."""
    turned = orient == "radiological"
    display = orientation.for_display(affine) if turned else orientation.IDENTITY
    return Display(display, orientation.left_side(affine, display))


def open_mask(
    mask: str | None, missing: str, grid: Grid, axes: Axes
) -> tuple[masks.Mask | None, tuple[str, ...]]:
    """A mask on the grid of its volume, and what is odd about it.

    None, and why, where there is none (``missing``, if one was wanted) or it can't be read.
    """
    if mask is None:
        return None, (missing,) if missing else ()
    try:
        volume = masks.open_mask(as_path(mask), grid, axes)
    except CaseError as error:
        return None, (str(error),)
    return volume, volume.warnings


def flips_of(turn: orientation.Orientation) -> tuple[bool, bool, bool]:
    """An orientation as the kernels take it: (transpose, flip_rows, flip_columns)."""
    return turn.transpose, turn.flip_rows, turn.flip_columns

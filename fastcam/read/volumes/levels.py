"""Grey levels: number types of a volume, colour to grey, and the window it is shown in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5


@dataclass(frozen=True)
class Decoded:
    """A volume as its file holds it, with all that is needed to show it or to read it as a mask.

    ``voxels`` (z, y, x), native byte order, not rescaled: the quantity the file means is
    ``slope * voxels + intercept``. ``window`` is (low, high) in that quantity's unit, None where
    the file gives none. ``affine`` (4, 4) float64 takes voxel (x, y, z, 1) to RAS millimetres.
    ``inverted``: low values are bright (DICOM MONOCHROME1).
    """

    voxels: NDArray[Any]
    window: tuple[float, float] | None = None
    affine: NDArray[np.float64] | None = None
    slope: float = 1.0
    intercept: float = 0.0
    inverted: bool = False


def native(voxels: NDArray[Any], path: Path) -> NDArray[Any]:
    """The same numbers in a type that the kernels read; a copy only where the type has to change.

    bool becomes uint8, float16 float32, long double float64, foreign byte order native; complex,
    text and records are a CaseError.
    """
    kind, size = voxels.dtype.kind, voxels.dtype.itemsize
    if kind == "b":
        return voxels.view(np.uint8)
    if kind not in "iuf":
        raise CaseError(
            f"{path}: holds values of type {voxels.dtype}; save the volume as integers or floats"
        )
    if kind == "f" and size not in (4, 8):
        return voxels.astype(np.float32 if size == 2 else np.float64)
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)


def luminance(colour: NDArray[Any]) -> NDArray[Any]:
    """(..., y, x, 3 or 4) red, green, blue, rest ignored -> (..., y, x) of the same type.

    ITU-R BT.601 luma in 16-bit fixed point, the weights and rounding of Pillow's ``convert("L")``.
    Goes slice by slice, so that the widened numbers never exist for a whole volume.
    """
    grey = np.empty(colour.shape[:-1], colour.dtype)
    if colour.ndim > 3:
        for index in range(len(colour)):
            grey[index] = luminance(colour[index])
        return grey
    if colour.dtype.kind == "f":
        grey[...] = colour[..., :3] @ np.array([0.299, 0.587, 0.114], colour.dtype)
        return grey
    wide = colour[..., :3].astype(np.int64) @ np.array([19595, 38470, 7471], np.int64)
    grey[...] = (wide + 0x8000) >> 16
    return grey


def grey_window(decoded: Decoded) -> tuple[float, float]:
    """(low, high) in the unit of the raw voxels: low is shown black, high white.

    The file's own window where it has one, otherwise percentiles 0.5 and 99.5 over the volume.
    Never equal, so that dividing by ``high - low`` is safe; ``low > high`` where low values are
    the bright ones.
    """
    if decoded.window is not None and all(map(math.isfinite, decoded.window)):
        low, high = ((v - decoded.intercept) / decoded.slope for v in decoded.window)
    else:
        low, high = _spread(decoded.voxels)
        if decoded.slope < 0:
            low, high = high, low
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = 0.0, 1.0
    if low == high:
        # One unit is lost in rounding beyond 2**53, hence the relative part.
        high = low + max(1.0, abs(low) * 1e-6)
    return (high, low) if decoded.inverted else (low, high)


def _spread(voxels: NDArray[Any]) -> tuple[float, float]:
    from fastcam_kernels.grey import percentiles

    low, high = percentiles(voxels, LOW_PERCENT, HIGH_PERCENT)
    if low < high:
        return low, high
    # More than 99 % of the voxels have one value: what is worth seeing is the rest.
    with np.errstate(invalid="ignore"):
        finite = voxels[np.isfinite(voxels)] if voxels.dtype.kind == "f" else voxels
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)

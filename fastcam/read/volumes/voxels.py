"""A volume in memory: voxels, their affine, number types, and the window they are shown in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from fastcam_kernels.grey import percentiles
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.volumes.geometry import Grid

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5
# Between the millimetres of DICOM and ITK, which grow to the patient's left and back (PS3.3
# C.7.6.2.1.1), and RAS, which grow to the right and front; its own inverse.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False, kw_only=True)
class Volume:
    """A volume as its file holds it.

    - ``voxels`` (z, y, x): slices in the source's own order, of a type that the kernels read, not
      rescaled. The quantity that the file means is ``slope * voxels + intercept``.
    - ``affine`` (4, 4) float64: from voxel (x, y, z, 1) to RAS millimetres; None where the file
      has none, as pictures and arrays
    - ``slope``, ``intercept``: of the quantity, in its unit
    - ``file_window``: (low, high) in the quantity's unit, None where the file gives none
    - ``written_window``: (center, width) as the file has them; DICOM's linear window reaches from
      half a unit below one end to half below the other. None where the middle and width of
      ``file_window`` are meant
    - ``inverted``: low values are bright (DICOM MONOCHROME1)
    - ``placed``: whether the file itself says where the voxels lie; else ``affine`` is only the
      usual one for a file that doesn't, good enough to turn slices by
    - ``uneven``: how the distances of the slices differ; empty where they don't
    - ``warnings``: what a reader of the volume should know, a line each that names the file
    - ``padding``: the raw value of voxels that hold no picture; None where there is none. It is
      left out of percentiles, and black in the window.
    - ``unit``: of the quantity, such as HU; empty where the file doesn't say it
    - ``series``: what the scanner calls the series or its sequence; empty where it isn't known
    - ``modality``: DICOM's word for what made the picture, such as CT; empty where it isn't known
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64] | None = None
    slope: float = 1.0
    intercept: float = 0.0
    file_window: tuple[float, float] | None = None
    written_window: tuple[float, float] | None = None
    inverted: bool = False
    placed: bool = True
    uneven: str = ""
    warnings: tuple[str, ...] = ()
    padding: float | None = None
    unit: str = ""
    series: str = ""
    modality: str = ""

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        depth, height, width = self.voxels.shape
        return Grid((depth, height, width), self.affine if self.placed else None, self.uneven)

    @property
    def real_voxels(self) -> NDArray[Any]:
        """The raw voxels without padding: all, (z, y, x), or what is left, (n,)."""
        if self.padding is None:
            return self.voxels
        real: NDArray[Any] = self.voxels[self.voxels != self.padding]
        return real if real.size else self.voxels

    @cached_property
    def window(self) -> tuple[float, float]:
        """(low, high) in the unit of the raw voxels: low is shown black, high white.

        The file's own window where it has one, otherwise percentiles 0.5 and 99.5 over the volume.
        Never equal, so that dividing by ``high - low`` is safe; ``low > high`` where low values
        are the bright ones.
        """
        if self.file_window is not None and all(map(math.isfinite, self.file_window)):
            low, high = ((value - self.intercept) / self.slope for value in self.file_window)
        else:
            low, high = _spread(self.real_voxels)
            if self.slope < 0:
                low, high = high, low
        if not (math.isfinite(low) and math.isfinite(high)):
            low, high = 0.0, 1.0
        if low == high:
            # One unit is lost in rounding beyond 2**53, hence the relative part.
            high = low + max(1.0, abs(low) * 1e-6)
        return (high, low) if self.inverted else (low, high)


def check_even(uneven: str, source: Path, purpose: str) -> None:
    """CaseError where slices are ``uneven``, as :class:`Volume` says it, and ``purpose`` needs them
    evenly spaced."""
    if uneven:
        raise CaseError(
            f"{source}: {uneven}; {purpose} needs evenly spaced slices: add those that are "
            "missing, or resample the volume"
        )


def native(voxels: NDArray[Any], path: Path) -> NDArray[Any]:
    """The same numbers in a type that the kernels read; a copy only where the type has to change.

    bool becomes uint8, float16 float32, long double float64, foreign byte order native; complex,
    text and records are a CaseError, and so are numbers none of which is finite.
    """
    kind, size = voxels.dtype.kind, voxels.dtype.itemsize
    if kind == "b":
        return voxels.view(np.uint8)
    if kind not in "iuf":
        raise CaseError(
            f"{path}: holds values of type {voxels.dtype}; save the volume as integers or floats"
        )
    # Of a usual volume the first slice says it.
    if kind == "f" and voxels.size and not any(np.isfinite(layer).any() for layer in voxels):
        raise CaseError(f"{path}: none of its {voxels.size} values is finite; export it again")
    if kind == "f" and size not in (4, 8):
        return voxels.astype(np.float32 if size == 2 else np.float64)
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)


def luminance(color: NDArray[Any]) -> NDArray[Any]:
    """(..., y, x, 3 or 4) red, green, blue, rest ignored -> (..., y, x) of the same type.

    ITU-R BT.601 luma in 16-bit fixed point, the weights and rounding of Pillow's ``convert("L")``.
    Goes slice by slice, so that the widened numbers never exist for a whole volume.
    """
    grey = np.empty(color.shape[:-1], color.dtype)
    if color.ndim > 3:
        for index in range(len(color)):
            grey[index] = luminance(color[index])
        return grey
    if color.dtype.kind == "f":
        grey[...] = color[..., :3] @ np.array([0.299, 0.587, 0.114], color.dtype)
        return grey
    wide = color[..., :3].astype(np.int64) @ np.array([19595, 38470, 7471], np.int64)
    grey[...] = (wide + 0x8000) >> 16
    return grey


def windowed(
    voxels: NDArray[Any], window: tuple[float, float], dtype: type[np.float32] | type[np.float64]
) -> NDArray[Any]:
    """``voxels`` of any number type and shape with ``window`` (low, high) as 0 and 1, in ``dtype``.

    Values beyond are clipped to these, NaN becomes 0; ``low > high`` turns bright to dark.
    """
    low, high = window
    shares: NDArray[Any] = voxels.astype(dtype)
    shares = (shares - dtype(low)) / dtype(high - low)
    clipped: NDArray[Any] = np.nan_to_num(np.clip(shares, 0, 1, out=shares), copy=False)
    return clipped


def _spread(voxels: NDArray[Any]) -> tuple[float, float]:
    low, high = percentiles(voxels, LOW_PERCENT, HIGH_PERCENT)
    if low < high:
        return low, high
    # More than 99 % of the voxels have one value: what is worth seeing is the rest.
    with np.errstate(invalid="ignore"):
        finite = voxels[np.isfinite(voxels)] if voxels.dtype.kind == "f" else voxels
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)

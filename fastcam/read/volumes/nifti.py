"""NIfTI-1 and NIfTI-2 volumes, ``.nii`` and ``.nii.gz``: nibabel parses, isal inflates."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.volumes.voxels import Volume, luminance, native

_NIFTI1_BYTES, _NIFTI2_BYTES = 348, 540
# Deflate makes nothing smaller than 1/1032; a header that asks for more than the file can hold is
# found out before the memory is asked for.
_DEFLATE_LIMIT = 1032
# gzip's readinto reads into memory of its own first. All of a volume at once is 13,000 page faults
# for 50 MiB; so much stays in the second-level cache.
_READ_BYTES = 1 << 18


def read_nifti(path: Path) -> Volume:
    """The volume of a NIfTI file as (z, y, x), which is the transpose of nibabel's array.

    One 3-D volume, or a 4-D one with a single frame; RGB voxels become grey. The voxels stay
    unscaled; ``cal_min < cal_max`` gives the window.
    """
    with _reading(path) as stream:
        header = _header(stream, path)
        shape, dtype = _stored(header, path)
        # Some writers leave the offset 0; the voxels never begin inside the header.
        start = max(int(header["vox_offset"]), header.single_vox_offset)
        voxels = _voxels(stream, path, start, shape, dtype)
    slope, intercept = _scaling(header, path)
    low, high = float(header["cal_min"]), float(header["cal_max"])
    if dtype.names:
        voxels = luminance(np.stack([voxels[name] for name in "RGB"], axis=-1))
    return Volume(
        voxels=native(voxels, path),
        affine=np.asarray(header.get_best_affine(), np.float64),
        slope=slope,
        intercept=intercept,
        file_window=(low, high) if low < high else None,
    )


def nifti_shape(path: Path) -> tuple[int, int, int]:
    """(z, y, x) from the header alone."""
    with _reading(path) as stream:
        return _stored(_header(stream, path), path)[0]


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    """The file's inflated bytes; whatever goes wrong while they are read is a CaseError.

    isal's igzip, because inflating is most of the time: 9.5 MB of head CT take 5 ms here and
    16 ms with zlib, 100 MiB of noisier 16-bit voxels 0.25 s and 0.58 s.
    """
    from isal import igzip
    from isal.isal_zlib import IsalError

    try:
        open_file = igzip.open if path.name.endswith(".gz") else open
        with open_file(path, "rb") as stream:
            yield stream
    except EOFError as error:
        raise CaseError(f"{path}: is truncated; copy the file again") from error
    # isal's stubs take the class for an instance.
    except (OSError, zlib.error, IsalError, ValueError) as error:  # type: ignore[misc]
        reason = getattr(error, "strerror", None) or error
        raise CaseError(f"{path}: can't be read: {reason}; copy the file again") from error


def _header(stream: IO[bytes], path: Path) -> Any:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    start = stream.read(_NIFTI1_BYTES)
    if len(start) < _NIFTI1_BYTES:
        raise CaseError(f"{path}: {len(start)} bytes are too few for a NIfTI header")
    kind: Any = Nifti1Header
    magic, expected = start[344:348], b"n+1\0"
    if _NIFTI2_BYTES in (int.from_bytes(start[:4], order) for order in ("little", "big")):
        kind, start = Nifti2Header, start + stream.read(_NIFTI2_BYTES - _NIFTI1_BYTES)
        magic, expected = start[4:8], b"n+2\0"
    if magic != expected:  # nibabel lets any other pass and believes the rest
        raise CaseError(
            f"{path}: is not a single-file NIfTI: it says {magic!r} instead of {expected!r}"
        )
    try:
        # Only the header's own bytes: extensions may be large and say nothing about the grid.
        return kind.from_fileobj(io.BytesIO(start))
    except (HeaderDataError, WrapStructError, ValueError, TypeError, OverflowError) as error:
        raise CaseError(f"{path}: is not a NIfTI file: {error}") from error


def _stored(header: Any, path: Path) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    """((z, y, x), dtype as stored) after everything a volume must be has been checked."""
    from nibabel.spatialimages import HeaderDataError

    try:
        lengths = [int(n) for n in header.get_data_shape()]
        dtype = header.get_data_dtype()
    except (HeaderDataError, ValueError, TypeError) as error:
        raise CaseError(f"{path}: has a broken NIfTI header: {error}") from error
    if any(n < 1 for n in lengths) or len(lengths) < 2:
        raise CaseError(f"{path}: has no voxels: its shape is {tuple(lengths)}")
    if any(n != 1 for n in lengths[3:]):
        raise CaseError(
            f"{path}: has shape {tuple(lengths)} (x, y, z, frames); a single 3-D volume is needed"
        )
    if dtype.names and not {"R", "G", "B"} <= set(dtype.names):
        raise CaseError(f"{path}: holds records of type {dtype}; save the volume as numbers")
    x, y, z = (*lengths, 1)[:3]
    return (z, y, x), dtype


def _voxels(
    stream: IO[bytes], path: Path, start: int, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> NDArray[Any]:
    length = math.prod(shape) * dtype.itemsize
    size = path.stat().st_size
    if length > size * (_DEFLATE_LIMIT if path.name.endswith(".gz") else 1):
        raise CaseError(
            f"{path}: is truncated: {size} bytes can't hold the {length} that its header promises"
        )
    stream.seek(start)
    # Read into its final place; NIfTI's order, x fastest, is C order for (z, y, x).
    voxels = np.empty(shape, dtype)
    buffer = voxels.reshape(-1).view(np.uint8).data
    filled = 0
    while filled < length:
        count = stream.readinto(buffer[filled : filled + _READ_BYTES])  # type: ignore[attr-defined]
        if not count:
            raise CaseError(
                f"{path}: is truncated: {filled} of {length} bytes of voxels; copy the file again"
            )
        filled += count
    stream.read(1)  # the end of a gzip stream is where its checksum is compared
    return voxels


def _scaling(header: Any, path: Path) -> tuple[float, float]:
    from nibabel.spatialimages import HeaderDataError

    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise CaseError(f"{path}: has a broken scaling: {error}") from error
    return (1.0, 0.0) if slope is None else (slope, intercept)

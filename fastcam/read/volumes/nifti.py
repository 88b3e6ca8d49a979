"""NIfTI-1 and NIfTI-2 volumes, ``.nii`` and ``.nii.gz``: nibabel parses, isal inflates."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.regular_files import unreadable
from fastcam.read.volumes.geometry import Affine, Grid, Shape, farthest
from fastcam.read.volumes.memory_limit import check_memory
from fastcam.read.volumes.nifti_names import names_of
from fastcam.read.volumes.voxels import Volume, luminance, native
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.object_starts import header_of

_NIFTI1_BYTES, _NIFTI2_BYTES = 348, 540
# Deflate makes nothing smaller than 1/1032; a header that asks for more than the file can hold is
# found out before the memory is asked for.
_DEFLATE_LIMIT = 1032
# At once: in pieces of 256 KiB the thread that reads a 50 MiB volume waited for the GIL 1,300 times
# while another one drew, and made that one wait as often.
_READ_BYTES = 1 << 22
# Millimetres that a file's two affines may place a voxel apart before that is worth a word.
_APART = 0.1
# Units of length but for millimeters, nifti1.h; nibabel and what is built on it takes all for mm.
_OTHER_UNITS = {1: "meters", 3: "micrometers"}
# Bytes at the peak for each of the file's, measured; the other byte order is turned in copies.
_COPIES, _COPIES_TURNED = 1.3, 4.0


def read_nifti(path: Path, volume: str | None = None) -> Volume:
    """The volume of a NIfTI file as (z, y, x), which is the transpose of nibabel's array.

    One 3-D volume, or that with the number ``volume``, from 1, along the fourth axis of a 4-D one;
    RGB voxels become grey. The voxels stay
    unscaled; ``cal_min < cal_max`` gives the window. Of the file's two affines the sform counts
    before the qform, as in nibabel; that they differ by more than 0.1 mm is a warning.
    """
    with _reading(path) as stream:
        header = _header(stream, path)
        number, shape, dtype = _one_volume(header, path, volume)
        start = _start(header) + number * math.prod(shape) * dtype.itemsize
        voxels = _voxels(stream, path, start, shape, dtype)
    return _volume(header, path, voxels)


def read_nifti_channels(path: Path) -> list[Volume]:
    """The volumes along the fourth axis of a NIfTI file, each as :func:`read_nifti` gives one."""
    with _reading(path) as stream:
        header = _header(stream, path)
        count, shape, dtype = _layout(header, path)
        voxels = _voxels(stream, path, _start(header), (count, *shape), dtype)
    return [_volume(header, path, of_channel) for of_channel in voxels]


def _start(header: Any) -> int:
    # Some writers leave the offset 0; the voxels never begin inside the header.
    return int(max(int(header["vox_offset"]), header.single_vox_offset))


def _volume(header: Any, path: Path, voxels: NDArray[Any]) -> Volume:
    """Voxels (z, y, x) as the header describes them."""
    depth, height, width = voxels.shape
    affine, has_affine, warnings = _placement(header, (depth, height, width), path)
    slope, intercept = _scaling(header, path)
    low, high = float(header["cal_min"]), float(header["cal_max"])
    series, unit, modality = names_of(path, header)
    if voxels.dtype.names:
        voxels = luminance(np.stack([voxels[name] for name in "RGB"], axis=-1))
    return Volume(
        voxels=native(voxels, path),
        affine=affine,
        slope=slope,
        intercept=intercept,
        file_window=(low, high) if low < high else None,
        placed=has_affine,
        warnings=warnings,
        unit=unit,
        series=series,
        modality=modality,
    )


def nifti_shape(path: Path, volume: str | None = None) -> tuple[int, int, int]:
    """(z, y, x) from the header alone."""
    with _reading(path, header_only=True) as stream:
        return _one_volume(_header(stream, path), path, volume)[1]


def nifti_grid(path: Path, volume: str | None = None) -> Grid:
    """Where the voxels lie, from the header alone."""
    with _reading(path, header_only=True) as stream:
        header = _header(stream, path)
        _, shape, _ = _one_volume(header, path, volume)
    return _grid(header, shape, path)


def nifti_channels(path: Path) -> tuple[int, Grid]:
    """How many volumes lie along the fourth axis, and where the voxels of each lie, from the
    header alone."""
    with _reading(path, header_only=True) as stream:
        header = _header(stream, path)
        count, shape, _ = _layout(header, path)
    return count, _grid(header, shape, path)


@dataclass(frozen=True, eq=False, kw_only=True)
class NiftiHeader:
    """What a NIfTI file's header says.

    - ``count``: number of volumes along the fourth axis
    - ``grid``: where the voxels of each lie
    - ``affine`` (4, 4): nibabel's, also where the file gives none
    - ``affine_from``: what it is taken from, for people
    - ``dtype``: as stored
    - ``slope``, ``intercept``: of the quantity
    - ``window``: (low, high) in the quantity's unit; None where the file gives none
    - ``description``: its text of that name
    - ``warnings``: as those of the volume
    """

    count: int
    grid: Grid
    affine: Affine
    affine_from: str
    dtype: np.dtype[Any]
    slope: float
    intercept: float
    window: tuple[float, float] | None
    description: str
    warnings: tuple[str, ...]


def nifti_header(path: Path) -> NiftiHeader:
    """All that the header alone says. CaseError where it is damaged."""
    with _reading(path, header_only=True) as stream:
        header = _header(stream, path)
    count, shape, dtype = _layout(header, path)
    affine, has_affine, warnings = _placement(header, shape, path)
    slope, intercept = _scaling(header, path)
    low, high = float(header["cal_min"]), float(header["cal_max"])
    codes = (("sform", "sform_code"), ("qform", "qform_code"))
    sources = [name for name, code in codes if int(header[code]) > 0]
    return NiftiHeader(
        count=count,
        grid=Grid(shape, affine if has_affine else None),
        affine=affine,
        affine_from=sources[0] if sources else "nothing in the file: the usual one for its spacing",
        dtype=dtype,
        slope=slope,
        intercept=intercept,
        window=(low, high) if low < high else None,
        description=bytes(header["descrip"].item()).decode("latin-1").strip("\0 "),
        warnings=warnings,
    )


def _grid(header: Any, shape: Shape, path: Path) -> Grid:
    affine, has_affine, _ = _placement(header, shape, path)
    return Grid(shape, affine if has_affine else None)


@contextmanager
def _reading(path: Path, header_only: bool = False) -> Iterator[IO[bytes]]:
    """The file's inflated bytes; whatever goes wrong while they are read is a CaseError.

    ``header_only``: no more than the header will be read.

    isal's igzip, because inflating is most of the time: 9.5 MB of head CT take 5 ms here and
    16 ms with zlib, 100 MiB of noisier 16-bit voxels 0.25 s and 0.58 s.
    """
    from isal import igzip
    from isal.isal_zlib import IsalError

    try:
        if isinstance(path, ObjectPath):
            with header_of(path, buffered=False) if header_only else path.open("rb") as packed:
                if path.name.endswith(".gz"):
                    with igzip.open(packed, "rb") as stream:
                        yield stream
                else:
                    yield packed
            return
        open_file = igzip.open if path.name.endswith(".gz") else open
        with open_file(path, "rb") as stream:
            yield stream
    except EOFError as error:
        raise CaseError(f"{path}: is truncated; copy the file again") from error
    # isal's stubs take the class for an instance.
    except (OSError, zlib.error, IsalError, ValueError) as error:  # type: ignore[misc]
        raise unreadable(path, error) from error


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


def _one_volume(header: Any, path: Path, volume: str | None) -> tuple[int, Shape, np.dtype[Any]]:
    """(number of the volume from 0, (z, y, x), dtype as stored).

    CaseError where there are several and none was chosen, and where there is none of that number.
    """
    count, shape, dtype = _layout(header, path)
    if volume is None and count != 1:
        lengths = tuple(int(n) for n in header.get_data_shape())
        raise CaseError(
            f"{path}: has shape {lengths} (x, y, z, volumes): {count} volumes, of which one is"
            f" needed; choose it with --volume N, 1 to {count}"
        )
    number = 1 if volume is None else int(volume) if volume.isdecimal() else 0
    if not 1 <= number <= count:
        numbers = f"{count} volumes, which have numbers, 1 to {count}" if count > 1 else "1 volume"
        raise CaseError(
            f"{path}: --volume {volume}: there {'are' if count > 1 else 'is'} {numbers}"
        )
    return number - 1, shape, dtype


def _layout(header: Any, path: Path) -> tuple[int, Shape, np.dtype[Any]]:
    """(number of volumes, (z, y, x), dtype as stored) after everything they must be has been
    checked."""
    from nibabel.spatialimages import HeaderDataError

    try:
        lengths = [int(n) for n in header.get_data_shape()]
        dtype = header.get_data_dtype()
    except (HeaderDataError, ValueError, TypeError) as error:
        raise CaseError(f"{path}: has a broken NIfTI header: {error}") from error
    if any(n < 1 for n in lengths) or len(lengths) < 2:
        raise CaseError(f"{path}: has no voxels: its shape is {tuple(lengths)}")
    if sum(n != 1 for n in lengths[3:]) > 1:
        raise CaseError(
            f"{path}: has shape {tuple(lengths)} (x, y, z, ...); volumes along one further axis "
            "at most can be read"
        )
    if dtype.names and not {"R", "G", "B"} <= set(dtype.names):
        raise CaseError(f"{path}: holds records of type {dtype}; save the volume as numbers")
    x, y, z = (*lengths, 1)[:3]
    return math.prod(lengths[3:]), (z, y, x), dtype


def _voxels(
    stream: IO[bytes], path: Path, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    length = math.prod(shape) * dtype.itemsize
    size = path.stat().st_size
    if length > size * (_DEFLATE_LIMIT if path.name.endswith(".gz") else 1):
        raise CaseError(
            f"{path}: is truncated: {size} bytes can't hold the {length} that its header promises"
        )
    check_memory(path, length, _COPIES if dtype.isnative else _COPIES_TURNED)
    stream.seek(start)
    # Read into its final place; NIfTI's order, x fastest, is C order for (z, y, x).
    voxels = np.empty(shape, dtype)
    buffer = voxels.reshape(-1).view(np.uint8).data
    filled = 0
    source: Any = _without_copies(stream)
    while filled < length:
        count = source.readinto(buffer[filled : filled + _READ_BYTES])
        if not count:
            raise CaseError(
                f"{path}: is truncated: {filled} of {length} bytes of voxels; copy the file again"
            )
        filled += count
    stream.read(1)  # the end of a gzip stream is where its checksum is compared
    return voxels


def _without_copies(stream: IO[bytes]) -> IO[bytes]:
    """The same bytes, read into given memory where they are inflated.

    ``GzipFile.readinto`` reads into memory of its own and copies: a volume of 50 MiB takes 0.120 s
    that way and 0.108 s by the reader under it, which has no public name.
    """
    inflating = getattr(stream, "_buffer", None)
    return inflating if isinstance(stream, GzipFile) and inflating is not None else stream


def _placement(header: Any, shape: Shape, path: Path) -> tuple[Affine, bool, tuple[str, ...]]:
    """(the affine that nibabel takes, whether the file gives it, warnings).

    A file that gives none, both codes 0, has nibabel's: the center of the volume is 0, 0, 0 mm.
    """
    from nibabel.spatialimages import HeaderDataError

    by_qform, by_sform = int(header["qform_code"]) > 0, int(header["sform_code"]) > 0
    try:
        affine = np.asarray(header.get_best_affine(), np.float64)
    except (HeaderDataError, ValueError) as error:
        raise CaseError(f"{path}: has a broken qform: {error}") from error
    warnings = _disagreement(header, affine, shape, path) if by_qform and by_sform else ()
    unit = _OTHER_UNITS.get(int(header["xyzt_units"]) & 7)
    if unit is not None:
        warnings += (f"{path}: says that it is measured in {unit}; taken as millimeters",)
    return affine, by_qform or by_sform, warnings


def _disagreement(header: Any, sform: Affine, shape: Shape, path: Path) -> tuple[str, ...]:
    from nibabel.spatialimages import HeaderDataError

    try:
        apart = farthest(sform, header.get_qform(), shape)
    except (HeaderDataError, ValueError) as error:
        return (f"{path}: its qform can't be read ({error}); its sform counts",)
    if not apart > _APART:
        return ()
    places = f"{path}: its sform and its qform place voxels up to {apart:.3g} mm apart"
    return (f"{places}; its sform counts",)


def _scaling(header: Any, path: Path) -> tuple[float, float]:
    from nibabel.spatialimages import HeaderDataError

    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise CaseError(f"{path}: has a broken scaling: {error}") from error
    return (1.0, 0.0) if slope is None else (slope, intercept)

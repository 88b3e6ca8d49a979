"""Volumes of several channels: a 4-D NIfTI file, or a file for each channel, named as nnU-Net does:
``<case>_0000.nii.gz``, ``<case>_0001.nii.gz``, ..."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fastcam.errors import CaseError
from fastcam.read.axis_order import Axes
from fastcam.read.volumes.geometry import Grid, same_grid
from fastcam.read.volumes.nifti import nifti_channels, read_nifti_channels
from fastcam.read.volumes.sources import VOLUME_SUFFIXES
from fastcam.read.volumes.volumes import open_volume, volume_grid
from fastcam.read.volumes.voxels import Volume

_NUMBERED = re.compile(r"(?P<case>.+)_(?P<number>\d{4})")
_NIFTI = (".nii.gz", ".nii")


def channel_name(path: Path) -> tuple[str, int] | None:
    """(case, number) of a file that is called as nnU-Net calls a channel, else None.

    >>> channel_name(Path("la_003_0001.nii.gz")), channel_name(Path("la_003.nii.gz"))
    (('la_003', 1), None)
    """
    suffix = _suffix(path)
    match = _NUMBERED.fullmatch(path.name.removesuffix(suffix)) if suffix else None
    return None if match is None else (match["case"], int(match["number"]))


def channel_files(path: Path) -> tuple[Path, ...]:
    """The files of a case's channels, in order: of ``<case>_0000`` those with the numbers that
    follow beside it, without a gap; else ``path`` alone."""
    parts = channel_name(path)
    if parts is None or parts[1] != 0:
        return (path,)
    case, suffix, files = parts[0], _suffix(path), [path]
    while (following := path.with_name(f"{case}_{len(files):04d}{suffix}")).is_file():
        files.append(following)
    return tuple(files)


def channel_count(path: Path) -> int:
    """How many channels :func:`open_channels` gives, from names and headers alone.

    CaseError where a header can't be read.
    """
    files = channel_files(path)
    if len(files) == 1 and _is_nifti(path):
        return nifti_channels(path)[0]
    return len(files)


def open_channels(path: Path, axes: Axes = "zyx", voi: bool = True) -> list[Volume]:
    """The channels of a case, a volume each, all on one grid.

    ``path``: a 4-D NIfTI file, the first of nnU-Net's files, or any volume, which is one channel.
    ``voi`` is for DICOM, as in :func:`~fastcam.read.volumes.volumes.open_volume`.
    CaseError where one can't be read, or lies on another grid than the first.
    """
    files = channel_files(path)
    if len(files) == 1:
        return read_nifti_channels(path) if _is_nifti(path) else [open_volume(path, axes, voi=voi)]
    volumes = [open_volume(file, axes) for file in files]
    _check_grids(files, volumes)
    return volumes


def open_channel(path: Path, number: int, axes: Axes = "zyx", voi: bool = True) -> Volume:
    """The channel of a case with the 1-based ``number``; no other is decoded.

    CaseError where it can't be read, or there are not so many.
    """
    files = channel_files(path)
    count = channel_count(path)
    if not 1 <= number <= count:
        channels = "channel" if count == 1 else "channels"
        raise CaseError(f"{path}: has {count} {channels}, and --show-channel {number} is none")
    if len(files) > 1:
        return open_volume(files[number - 1], axes, voi=voi)
    return open_volume(path, axes, volume=str(number) if count > 1 else None, voi=voi)


def channels_grid(path: Path, axes: Axes = "zyx") -> Grid:
    """Where the voxels of a case's channels lie; without decoding, except for DICOM."""
    return nifti_channels(path)[1] if _is_nifti(path) else volume_grid(path, axes)


def _check_grids(files: Sequence[Path], volumes: Sequence[Volume]) -> None:
    first = volumes[0].grid
    for file, volume in zip(files[1:], volumes[1:], strict=True):
        if volume.grid.shape != first.shape:
            raise CaseError(
                f"{file}: has shape {volume.grid.shape} (z, y, x), but {files[0].name} "
                f"{first.shape}; the channels of a case must have one grid: resample one"
            )
        both_affine = volume.grid.affine is not None and first.affine is not None
        if both_affine and not same_grid(volume.grid, first):
            raise CaseError(
                f"{file}: lies elsewhere than {files[0].name}, by their affines; the channels of a "
                "case must have one grid: resample one onto the other's"
            )


def _is_nifti(path: Path) -> bool:
    return path.name.endswith(_NIFTI) and not path.is_dir()


def _suffix(path: Path) -> str:
    return next((suffix for suffix in VOLUME_SUFFIXES if path.name.endswith(suffix)), "")

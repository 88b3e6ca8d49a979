"""A volume, or the channels of one, as the input of a 3-D model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.read.axis_order import Axes
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.inputs.model_input import prepare_channels, wrong_channels
from fastcam.read.inputs.preprocessing import Preprocessing, volume_channels
from fastcam.read.volumes.channels import channel_count, open_channels
from fastcam.read.volumes.volumes import open_volume
from fastcam.read.volumes.voxels import Volume


def open_input(
    path: Path, preprocessing: Preprocessing, axes: Axes = "zyx", volume: str | None = None
) -> list[Volume]:
    """The volumes that are a 3-D model's channels, on one grid: as many as it takes.

    A model of one channel sees one volume, of a file of several the one called ``volume``.
    CaseError where they can't be read, and where there are more or fewer.
    """
    # As a VOI LUT shows them, unless the window is the user's.
    own = preprocessing.grey == GreyLevels()
    if preprocessing.channels == 1:
        volumes = [open_volume(path, axes, volume=volume, voi=own)]
        return preprocessing.grey.with_warnings(volumes, path)
    count = 1 if volume is not None else channel_count(path)
    if count != preprocessing.channels:
        raise CaseError(f"{path}: {wrong_channels(count, preprocessing.channels)}")
    return preprocessing.grey.with_warnings(open_channels(path, axes, voi=own), path)


def check_axes(axes: Axes, paths: Sequence[Path]) -> None:
    """InputError where ``axes`` are turned and none of ``paths``, images and masks, is a NumPy
    array: other files say themselves how their axes lie."""
    if axes == "zyx" or not paths or any(path.suffix in (".npy", ".npz") for path in paths):
        return
    raise InputError(
        f"--axes {axes}: that is the order of the axes of NumPy arrays, and {paths[0]} is none: a "
        "model sees its volume as (z, y, x). Leave --axes out; a model that takes (x, y, z) turns "
        "its input itself, by x.permute(0, 1, 4, 3, 2) in its forward, and its maps are turned back"
    )


def volume_input(volumes: Sequence[Volume], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Volumes of one grid as a model's input (c, D, H, W), each in its own window."""
    windows = [preprocessing.grey.window(volume) for volume in volumes]
    voxels = [volume.voxels for volume in volumes]
    return prepare_channels(list(zip(voxels, windows, strict=True)), preprocessing)


def check_shown(
    channel: int | None, preprocessing: Preprocessing, context: int | None = None
) -> None:
    """InputError for a ``channel`` to be shown, from 1, that the volumes of a model don't have.

    ``context`` is that of a model that sees them slice by slice.
    """
    count = volume_channels(preprocessing.channels, len(preprocessing.size), context)
    if channel is not None and not 1 <= channel <= count:
        capability = (
            f"takes volumes of {count} channels" if count > 1 else "takes no channels to choose"
        )
        raise InputError(f"--show-channel {channel}: the model {capability}; leave it out")


def check_channels(
    sources: Sequence[Path], preprocessing: Preprocessing, volume: str | None = None
) -> None:
    """InputError where no volume among ``sources`` has the channels of the model.

    From names and headers, until one is found that has; a single one is found out when it is read.
    """
    if len(preprocessing.size) == 2 or preprocessing.channels == 1:
        return
    first = ""
    for source in sources:
        try:
            count = 1 if volume is not None else channel_count(source)
        except CaseError:
            return
        if count == preprocessing.channels:
            return
        first = first or f"{source}: {wrong_channels(count, preprocessing.channels)}"
    if first:
        raise InputError(first)

"""The slices of one opened volume, as a 2-D model's input and as pictures."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.axis_order import Axes
from fastcam.read.inputs.grey_levels import GreyLevels, grey_picture
from fastcam.read.inputs.model_input import prepare_plane
from fastcam.read.inputs.preprocessing import Preprocessing, input_picture
from fastcam.read.inputs.slicing import Slicing
from fastcam.read.volumes.channels import channel_count, open_channels
from fastcam.read.volumes.slice_axis import volume_along
from fastcam.read.volumes.volumes import open_volume
from fastcam.read.volumes.voxels import Volume


@dataclass(frozen=True)
class VolumeChoice:
    """How volumes are read.

    - ``axes``: the order of a NumPy file's axes
    - ``volume``: number or name of a volume where a file or folder has several
    """

    axes: Axes = "zyx"
    volume: str | None = None


class VolumeSlices:
    """A volume cut along one of its axes.

    - ``volume``: its first channel, its slices first
    - ``warnings``: what is odd about it
    """

    def __init__(
        self, volumes: list[Volume], axis: int, slicing: Slicing, preprocessing: Preprocessing
    ) -> None:
        """``volumes`` are the channels, as their files hold them; ``axis`` is the one of (z, y, x)
        that slices are stacked along."""
        # The window is that of the volume as stored: its voxels lie in one piece there.
        windows = [preprocessing.grey.window(volume) for volume in volumes]
        views = [volume_along(volume, axis) for volume in volumes]
        self.volume = views[0]
        self.warnings = tuple(dict.fromkeys(text for one in volumes for text in one.warnings))
        self._reach = slicing.context // 2
        self._preprocessing = preprocessing
        self._channels = [
            _Planes(view, window, preprocessing)
            for view, window in zip(views, windows, strict=True)
        ]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x), z along the slices."""
        depth, height, width = self.volume.voxels.shape
        return depth, height, width

    def planes(self, index: int) -> NDArray[np.float32]:
        """(k, H, W): slice ``index`` of each channel, or it and its neighbors, at the model's
        size, 0 to 255. Beyond the first and the last slice these repeat."""
        last = self.shape[0] - 1
        steps = range(-self._reach, self._reach + 1)
        return np.stack(
            [
                channel.resized(min(max(index + step, 0), last))
                for channel in self._channels
                for step in steps
            ]
        )

    def picture(self, index: int, channel: int = 0) -> NDArray[np.uint8]:
        """(h, w, 1) grey: what the model saw of slice ``index`` of a 0-based channel, as stored."""
        grey = self._channels[channel].grey(index)
        return input_picture(grey[:, :, None], self._preprocessing)


def open_slices(
    source: Path,
    axis: int,
    slicing: Slicing,
    preprocessing: Preprocessing,
    choice: VolumeChoice | None = None,
) -> VolumeSlices:
    """Decode a volume, to be cut along ``axis`` of its (z, y, x).

    CaseError where it can't be read, and where its slices don't fill the model's channels.
    """
    choice = choice or VolumeChoice()
    # As a VOI LUT shows them, unless the window is the user's.
    voi = preprocessing.grey == GreyLevels()
    own = 1 if choice.volume is not None else channel_count(source)
    wrong = slicing.wrong_channels(own, preprocessing.channels)
    if wrong:
        raise CaseError(f"{source}: {wrong}")
    if own > 1:
        volumes = open_channels(source, choice.axes, voi)
    else:
        volumes = [open_volume(source, choice.axes, volume=choice.volume, voi=voi)]
    warned = preprocessing.grey.with_warnings(volumes, source)
    return VolumeSlices(warned, axis, slicing, preprocessing)


class _Planes:
    """The slices of a channel; those that were resized last are kept."""

    def __init__(
        self, volume: Volume, window: tuple[float, float], preprocessing: Preprocessing
    ) -> None:
        self._volume = volume
        self._window = window
        self._preprocessing = preprocessing
        self._kept: OrderedDict[int, NDArray[np.float32]] = OrderedDict()

    def grey(self, index: int) -> NDArray[np.float32]:
        """(h, w), 0 to 255, padding black."""
        voxels = np.ascontiguousarray(self._volume.voxels[index])
        grey = grey_picture(voxels, self._window)
        if self._volume.padding is not None:
            grey[voxels == self._volume.padding] = 0
        return grey

    def resized(self, index: int) -> NDArray[np.float32]:
        """(H, W) at the model's size, 0 to 255."""
        plane = self._kept.get(index)
        if plane is None:
            plane = self._kept[index] = prepare_plane(self.grey(index), self._preprocessing)
            # More than a slice has neighbors, so that each is resized once.
            while len(self._kept) > self._preprocessing.channels + 1:
                self._kept.popitem(last=False)
        return plane

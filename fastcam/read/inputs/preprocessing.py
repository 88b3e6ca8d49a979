"""How images become a model's input, as settings, and which part of an image the model sees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.read.inputs.grey_levels import GreyLevels

Fit = Literal["stretch", "crop"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]
Halves = Literal["no", "plain", "mirror"]
# Two halves in grey, or in color.
_HALVES_CHANNELS = (2, 6)
# Mean and standard deviation of ImageNet's red, green and blue, for pixels from 0 to 1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From an image of pixels between 0 and 1 to the model's input: ``(resized - mean) / std``.

    - ``size``: (h, w), or (d, h, w) for volumes, in pixels
    - ``channels``: of the input
    - ``mean``, ``std``: one number for each channel, of pixels from 0 to 1
    - ``fit``: "stretch" resizes both sides at will, so that maps cover the whole image; "crop"
      keeps the aspect, fills ``size`` and cuts the middle out. Volumes are always stretched.
    - ``interpolation``: of the resizing; for volumes bilinear means trilinear
    - ``halves``: the bilateral halves. Other than "no", the image is cut in the middle, each half
      is stretched to ``size``, and the right one comes after the left one along the channels, of
      which each half has ``channels / 2``. "mirror" flips the right half before.
    - ``window_level``, ``percentiles``: which grey levels become black and white, as in
      :class:`~fastcam.read.inputs.grey_levels.GreyLevels`; None: the file's own

    Raises InputError when these don't go together.
    """

    size: tuple[int, ...]
    channels: int = 3
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    fit: Fit = "stretch"
    interpolation: Interpolation = "bilinear"
    halves: Halves = "no"
    window_level: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        GreyLevels(self.window_level, self.percentiles)
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise InputError(
                f"image size {self.size} is not (height, width) or (depth, height, width), each at "
                "least 1"
            )
        if self.channels < 1:
            raise InputError(f"{self.channels} channels are too few: at least 1")
        for option, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) != self.channels:
                raise InputError(
                    f"--{option} has {len(numbers)} numbers, but the model takes {self.channels} "
                    "channels: give one number for each"
                )
            if not all(math.isfinite(number) for number in numbers):
                raise InputError(f"--{option} {numbers} holds numbers that are not finite")
        if not all(number > 0 for number in self.std):
            raise InputError(f"--std {self.std} must be above 0")
        for option, value, allowed in (
            ("fit", self.fit, get_args(Fit)),
            ("interpolation", self.interpolation, get_args(Interpolation)),
            ("halves", self.halves, get_args(Halves)),
        ):
            if value not in allowed:
                raise InputError(f"--{option} {value!r} is not known: use {', '.join(allowed)}")
        if len(self.size) == 3 and self.fit == "crop":
            raise InputError("volumes are stretched to the model's size, not cropped")
        if len(self.size) == 3 and self.interpolation == "bicubic":
            raise InputError("volumes are resized bilinear or nearest, not bicubic")
        if self.halves != "no":
            self._check_halves()

    @property
    def grey(self) -> GreyLevels:
        """Which grey levels become black and white."""
        return GreyLevels(self.window_level, self.percentiles)

    def with_grey(self, grey: GreyLevels) -> Preprocessing:
        """The same with other grey levels."""
        return replace(self, window_level=grey.window_level, percentiles=grey.percentiles)

    @property
    def settings(self) -> dict[str, Any]:
        """The fields as plain values; without grey levels that weren't given, so that the settings
        of a run are those that it had before there were such."""
        fields = asdict(self)
        for name in ("window_level", "percentiles"):
            if fields[name] is None:
                del fields[name]
        return fields

    def _check_halves(self) -> None:
        if len(self.size) == 3:
            raise InputError("--asymmetry is for images, and the model takes volumes")
        if self.channels not in _HALVES_CHANNELS:
            raise InputError(
                f"--asymmetry needs a model of {_HALVES_CHANNELS[-1]} input channels, three for "
                f"the left half and three for the right one, but this one has {self.channels}: "
                "leave it out, or check --model and --in-channels"
            )
        if self.fit == "crop":
            raise InputError("--fit crop: halves of images are stretched, not cropped")


def input_region(
    height: int, width: int, preprocessing: Preprocessing
) -> tuple[int, int, int, int]:
    """(x1, y1, x2, y2) in pixels, ends exclusive: the part of an image that the model sees."""
    (high, wide), (top, left) = resize_and_crop(height, width, preprocessing)
    rows = [round(end * height / high) for end in (top, top + preprocessing.size[-2])]
    columns = [round(end * width / wide) for end in (left, left + preprocessing.size[-1])]
    for ends, length in ((rows, height), (columns, width)):
        if ends[0] == ends[1]:
            # Less than half a pixel of a tiny image: the one it lies in.
            ends[0] = min(ends[0], length - 1)
            ends[1] = ends[0] + 1
    return columns[0], rows[0], columns[1], rows[1]


def input_picture(image: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The part of an image (h, w, c), values 0 to 255, that the model sees: (h, w, c) uint8."""
    x1, y1, x2, y2 = input_region(image.shape[0], image.shape[1], preprocessing)
    part = image[y1:y2, x1:x2]
    if part.dtype != np.uint8:
        part = np.clip(np.rint(part), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(part)


def resize_and_crop(
    height: int, width: int, preprocessing: Preprocessing
) -> tuple[tuple[int, int], tuple[int, int]]:
    """((height, width) to resize to, (top, left) of the part of ``size`` that is cut out of it)."""
    high, wide = preprocessing.size[-2:]
    if preprocessing.fit == "stretch":
        return (high, wide), (0, 0)
    if high * width >= wide * height:
        full = high, high * width // height
    else:
        full = wide * height // width, wide
    # torchvision rounds halves to even.
    return full, (round((full[0] - high) / 2), round((full[1] - wide) / 2))


def input_slices(height: int, width: int, preprocessing: Mapping[str, Any]) -> tuple[slice, slice]:
    """Rows and columns of an image that the model sees.

    ``preprocessing``: the fields of a ``Preprocessing``, as a store has them.
    """
    if preprocessing.get("fit", "stretch") == "stretch":
        return slice(0, height), slice(0, width)
    x1, y1, x2, y2 = input_region(height, width, preprocessing_of_settings(preprocessing))
    return slice(y1, y2), slice(x1, x2)


def volume_channels(channels: int, dims: int, context: int | None = None) -> int:
    """How many channels of a volume a model of ``channels`` and ``dims`` may see at once.

    ``context``: of a 2-D model that sees volumes slice by slice, the number of neighboring slices;
    None where it sees images.
    """
    return channels if dims == 3 or context == 1 else 1


def grey_of_settings(settings: Mapping[str, Any]) -> GreyLevels:
    """Which grey levels a model of these preprocessing ``settings`` sees as black and white."""
    return GreyLevels.of(settings.get("window_level"), settings.get("percentiles"))


def preprocessing_of_settings(settings: Mapping[str, Any]) -> Preprocessing:
    """The ``Preprocessing`` whose :attr:`~Preprocessing.settings` a store has."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    return Preprocessing(**fields)

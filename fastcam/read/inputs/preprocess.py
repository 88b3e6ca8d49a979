"""From a decoded image or volume to a model's input, and from a map back to the source's field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.read.inputs.images import pixels_of_picture
from fastcam.read.volumes.levels import luminance

if TYPE_CHECKING:
    from PIL import Image

Fit = Literal["stretch", "crop"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]
Halves = Literal["no", "plain", "mirror"]
# A side of one pixel has nothing between its ends to look at.
_LEAST = 2
# Two halves in grey, or in colour.
_HALVES_CHANNELS = (2, 6)


# Mean and standard deviation of ImageNet's red, green and blue, for pixels from 0 to 1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """From an image of pixels between 0 and 1 to the model's input: ``(resized - mean) / std``.

    ``size`` (h, w), or (d, h, w) for volumes, in pixels. ``channels`` of the input; ``mean`` and
    ``std`` have one number for each. ``fit``: "stretch" resizes both sides at will, so the maps
    cover the whole image; "crop" keeps the aspect, fills ``size`` and cuts the middle out.
    ``interpolation`` of the resizing, trilinear for volumes where it is bilinear; volumes are
    always stretched. ``halves`` other than "no": the image is cut in the middle, each half
    stretched to ``size``, and the right one put behind the left one along the channels, of which
    each half has ``channels / 2``; "mirror" flips the right half before. Raises InputError when
    these don't go together.
    """

    size: tuple[int, ...]
    channels: int = 3
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    fit: Fit = "stretch"
    interpolation: Interpolation = "bilinear"
    halves: Halves = "no"

    def __post_init__(self) -> None:
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


def prepare(image: NDArray[Any] | Image.Image, spec: Preprocessing) -> NDArray[np.float32]:
    """An image (h, w, c), values 0 to 255, uint8 or float, as a model's input (c, H, W).

    Or Pillow's picture of mode L or RGB, as ``images.decode_image`` returns it.

    Pillow resizes it, antialiased, as the transforms do that models are trained with: "crop" is
    torchvision's ``Resize`` and ``CenterCrop``. Then it is divided by 255 and normalised. Grey is
    repeated for several channels, three colours become luma (ITU-R BT.601) for one. CaseError
    where the image is too small or has another number of channels, or halves are wanted of an odd
    width.
    """
    if spec.halves != "no":
        halves = _halves(pixels_of_picture(image), spec)
        return np.concatenate([prepare(half, _half(spec, at)) for at, half in halves])
    if not isinstance(image, np.ndarray) and len(image.getbands()) != spec.channels:
        image = pixels_of_picture(image)
    if isinstance(image, np.ndarray):
        height, width, channels = image.shape
        _check_size((height, width))
        if channels == 3 and spec.channels == 1:
            image, channels = luminance(image)[:, :, None], 1
        if channels not in (1, spec.channels):
            raise CaseError(
                f"the image has {channels} channels, but the model takes {spec.channels}"
            )
    else:
        width, height = image.size
        _check_size((height, width))
    (high, wide), (top, left) = _placed(height, width, spec)
    pixels = _resized(image, high, wide, spec.interpolation)
    pixels = pixels[top : top + spec.size[0], left : left + spec.size[1]]
    # Planes of bytes first: floats with the colours side by side take 0.7 ms longer, 224x224.
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    return _normalised(planes.astype(np.float32) / np.float32(255), spec)


def prepare_volume(
    voxels: NDArray[Any], window: tuple[float, float], spec: Preprocessing
) -> NDArray[np.float32]:
    """A volume (z, y, x) of any number type as a model's input (c, D, H, W).

    ``window`` (low, high), in the voxels' unit, becomes 0 and 1, values beyond are clipped to
    these and NaN becomes 0; ``low > high`` turns bright to dark. Resized trilinearly with
    voxel centres as torch's ``align_corners=False``, without antialiasing, then normalised.
    """
    _check_size(voxels.shape)
    low, high = window
    made = voxels
    for axis, length in enumerate(spec.size):
        before, after, share = _neighbours(voxels.shape[axis], length, spec.interpolation)
        parts = [np.take(made, at, axis=axis) for at in (before, after)]
        if axis == 0:
            # Only the slices that count are windowed.
            parts = [_windowed(part, low, high) for part in parts]
        across = share.reshape([-1 if at == axis else 1 for at in range(3)])
        made = parts[0] + (parts[1] - parts[0]) * across
    return _normalised(made[None], spec)


def _halves(image: NDArray[Any], spec: Preprocessing) -> list[tuple[int, NDArray[Any]]]:
    """(0, left half) and (1, right half), each (h, w / 2, c)."""
    width = image.shape[1]
    if width % 2:
        raise CaseError(
            f"the image is {width} pixels wide: an odd width has no middle to cut it at; crop it "
            "or pad it by one column"
        )
    left, right = image[:, : width // 2], image[:, width // 2 :]
    return [(0, left), (1, right[:, ::-1] if spec.halves == "mirror" else right)]


def _half(spec: Preprocessing, side: int) -> Preprocessing:
    """The preprocessing of the left (0) or right (1) half."""
    count = spec.channels // 2
    part = slice(side * count, (side + 1) * count)
    return replace(
        spec, channels=count, mean=spec.mean[part], std=spec.std[part], halves="no"
    )  # fmt: skip


def region(height: int, width: int, spec: Preprocessing) -> tuple[int, int, int, int]:
    """(x1, y1, x2, y2), ends exclusive: the part of an image that the model sees, to the pixel."""
    (high, wide), (top, left) = _placed(height, width, spec)
    rows = [round(at * height / high) for at in (top, top + spec.size[-2])]
    columns = [round(at * width / wide) for at in (left, left + spec.size[-1])]
    for ends, length in ((rows, height), (columns, width)):
        if ends[0] == ends[1]:
            # Less than half a pixel of a tiny image: the one it lies in.
            ends[0] = min(ends[0], length - 1)
            ends[1] = ends[0] + 1
    return columns[0], rows[0], columns[1], rows[1]


def seen(image: NDArray[Any], spec: Preprocessing) -> NDArray[np.uint8]:
    """The part (h, w, c) of an image that the model sees, to be shown."""
    x1, y1, x2, y2 = region(image.shape[0], image.shape[1], spec)
    part = image[y1:y2, x1:x2]
    if part.dtype != np.uint8:
        part = np.clip(np.rint(part), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(part)


def map_affine(
    affine: NDArray[np.float64], source: tuple[int, ...], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """The affine of a map of ``shape`` (d, h, w) over the whole field of a volume.

    ``affine`` (4, 4) takes voxel (x, y, z, 1) of the volume of shape ``source`` (z, y, x) to
    millimetres. Voxel centres: map index i lies at ``(i + 0.5) * n / m - 0.5`` of the source.
    """
    step = np.array(source[::-1], np.float64) / np.array(shape[::-1], np.float64)
    to_source = np.diag([*step, 1.0])
    to_source[:3, 3] = (step - 1) / 2
    return affine @ to_source


def _check_size(lengths: tuple[int, ...]) -> None:
    if min(lengths[-2:]) < _LEAST or min(lengths) < 1:
        shown = "x".join(map(str, lengths[::-1]))
        raise CaseError(f"the image is {shown} pixels: too small, {_LEAST}x{_LEAST} is the least")


def _placed(
    height: int, width: int, spec: Preprocessing
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(size to resize to, top left corner of what is cut out of it)."""
    high, wide = spec.size[-2:]
    if spec.fit == "stretch":
        return (high, wide), (0, 0)
    if high * width >= wide * height:
        full = high, high * width // height
    else:
        full = wide * height // width, wide
    # torchvision rounds halves to even.
    return full, (round((full[0] - high) / 2), round((full[1] - wide) / 2))


def _resized(
    image: NDArray[Any] | Image.Image, height: int, width: int, interpolation: Interpolation
) -> NDArray[Any]:
    from PIL import Image

    how = getattr(Image.Resampling, interpolation.upper())
    if not isinstance(image, np.ndarray):
        same = image.size == (width, height)
        return pixels_of_picture(image if same else image.resize((width, height), how))
    if image.shape[:2] == (height, width):
        return image
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), how))
    kind = np.uint8 if image.dtype == np.uint8 else np.float32
    planes = [np.ascontiguousarray(plane, kind) for plane in np.moveaxis(image, 2, 0)]
    small = [np.asarray(Image.fromarray(plane).resize((width, height), how)) for plane in planes]
    return np.stack(small, axis=2)


def _neighbours(
    count: int, length: int, interpolation: Interpolation
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each of ``length`` places the two of ``count`` it lies between, and how far along."""
    centres = (np.arange(length) + 0.5) * (count / length)
    if interpolation == "nearest":
        at = np.minimum(centres.astype(np.intp), count - 1)
        return at, at, np.zeros(length, np.float32)
    places = np.clip(centres - 0.5, 0, count - 1)
    before = places.astype(np.intp)
    return before, np.minimum(before + 1, count - 1), (places - before).astype(np.float32)


def _windowed(voxels: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    shown = (voxels.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    clipped: NDArray[np.float32] = np.nan_to_num(np.clip(shown, 0, 1, out=shown), copy=False)
    return clipped


def _normalised(values: NDArray[np.float32], spec: Preprocessing) -> NDArray[np.float32]:
    """(1 or c, ...) of 0 to 1 -> (c, ...), contiguous."""
    shape = (spec.channels, *(1,) * (values.ndim - 1))
    mean = np.reshape(np.array(spec.mean, np.float32), shape)
    std = np.reshape(np.array(spec.std, np.float32), shape)
    return np.ascontiguousarray((values - mean) / std)


def field_of(height: int, width: int, preprocessing: Mapping[str, Any]) -> tuple[slice, slice]:
    """Rows and columns of an image that reached the model."""
    if preprocessing.get("fit", "stretch") == "stretch":
        return slice(0, height), slice(0, width)
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in preprocessing.items()
    }
    x1, y1, x2, y2 = region(height, width, Preprocessing(**given))
    return slice(y1, y2), slice(x1, x2)

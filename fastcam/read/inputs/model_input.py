"""From a decoded image or volume to a model's input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from fastcam_kernels.antialias import (
    BICUBIC,
    BILINEAR,
    columns_last,
    resize_planes,
    resize_words,
)
from fastcam_kernels.level_tables import through_tables
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.inputs import bilateral_halves
from fastcam.read.inputs.images import pixels_of_picture, words_of_picture
from fastcam.read.inputs.preprocessing import Interpolation, Preprocessing, resize_and_crop
from fastcam.read.volumes.voxels import luminance, windowed

if TYPE_CHECKING:
    from PIL import Image

_KERNELS = {"bilinear": BILINEAR, "bicubic": BICUBIC}
# A larger picture Pillow resizes in the time that copying its pixels into an array takes.
_KERNEL_PIXELS = 1 << 20
# A side of one pixel has nothing between its ends to look at.
_LEAST = 2


def prepare(image: NDArray[Any] | Image.Image, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """An image (h, w, c), values 0 to 255, uint8 or float, as a model's input (c, H, W).

    Or Pillow's picture of mode L or RGB, as ``images.decode_image`` returns it.

    Pillow resizes it, antialiased, as the transforms do that models are trained with: "crop" is
    torchvision's ``Resize`` and ``CenterCrop``. Then it is divided by 255 and normalized. Grey is
    repeated for several channels, three colors become luma (ITU-R BT.601) for one. What has 8 bits
    comes with its channels last in memory. CaseError where the image is too small, has another
    number of channels, or is to be cut into halves and has an odd width.
    """
    values, tables = prepare_levels(image, preprocessing)
    if tables is None:
        return values
    # Channels last in memory, as models of images take them: 0.15 ms less for 3x224x224.
    return np.moveaxis(through_tables(values, tables), -1, 0)


def prepare_levels(
    image: NDArray[Any] | Image.Image, preprocessing: Preprocessing
) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """As :func:`prepare`, but what has 8 bits still does: levels and tables, or values and None.

    Levels (1 or c, H, W) uint8 take a quarter of the memory of values (c, H, W) float32; tables
    (c, 256) have the value of each level of each channel. One plane of levels is of every channel.
    """
    if preprocessing.halves != "no":
        halves = bilateral_halves.cut(pixels_of_picture(image), preprocessing)
        return np.concatenate([prepare(half, settings) for half, settings in halves]), None
    planes = _planes(image, preprocessing)
    if planes.dtype == np.uint8:
        return planes, _tables(preprocessing)
    return prepare_planes(np.ascontiguousarray(planes), preprocessing), None


def _planes(image: NDArray[Any] | Image.Image, preprocessing: Preprocessing) -> NDArray[Any]:
    """(1 or c, H, W) of 0 to 255: ``image`` at the model's size; CaseError as :func:`prepare`."""
    if not isinstance(image, np.ndarray) and len(image.getbands()) != preprocessing.channels:
        image = pixels_of_picture(image)
    if isinstance(image, np.ndarray):
        height, width, channels = image.shape
        _check_size((height, width))
        if channels == 3 and preprocessing.channels == 1:
            image, channels = luminance(image)[:, :, None], 1
        if channels not in (1, preprocessing.channels):
            raise CaseError(
                f"the image has {channels} channels, but the model takes {preprocessing.channels}"
            )
    else:
        width, height = image.size
        _check_size((height, width))
    return _fitted(image, height, width, preprocessing)


@lru_cache(maxsize=16)
def _tables(preprocessing: Preprocessing) -> NDArray[np.float32]:
    """(c, 256), read-only: what :func:`prepare_planes` makes of each level of 8 bits."""
    levels = np.arange(256, dtype=np.float32).reshape(1, 256, 1)
    tables = np.ascontiguousarray(prepare_planes(levels, preprocessing)[:, :, 0])
    tables.flags.writeable = False
    return tables


def prepare_planes(planes: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Planes (..., c or 1, H, W) of the model's size, values 0 to 255, as its input (..., c, H, W).

    One plane is repeated for several channels.
    """
    values = planes.astype(np.float32)
    values /= np.float32(255)
    return _normalised(values, preprocessing)


def prepare_plane(plane: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """A grey picture (h, w), values 0 to 255, resized and cut to the model's size (H, W).

    As :func:`prepare` does it, not normalized. CaseError where it is too small.
    """
    height, width = plane.shape
    _check_size((height, width))
    planes = _fitted(plane[:, :, None], height, width, preprocessing)
    return np.ascontiguousarray(planes[0], np.float32)


def prepare_mask(
    inside: NDArray[np.bool_], shape: tuple[int, int, int], preprocessing: Preprocessing
) -> NDArray[np.bool_]:
    """A mask (z, y, x), or (1, y, x) for all slices, of an image or volume of ``shape`` at the
    model's size: (H, W) or (D, H, W), where the image's own pixels are after :func:`prepare`."""
    if len(preprocessing.size) == 2:
        plain = inside[0].astype(np.float32) * np.float32(255)
        return prepare_plane(plain, preprocessing) > 127.5
    volume = np.broadcast_to(inside, shape).astype(np.float32)
    return _resized_volume(volume, (0.0, 1.0), preprocessing) > 0.5


def _fitted(
    image: NDArray[Any] | Image.Image, height: int, width: int, preprocessing: Preprocessing
) -> NDArray[Any]:
    """(c, H, W): an image of height x width resized to the model's size, or cut to it."""
    (high, wide), (top, left) = resize_and_crop(height, width, preprocessing)
    planes = _resized(image, high, wide, preprocessing.interpolation)
    return planes[:, top : top + preprocessing.size[0], left : left + preprocessing.size[1]]


def prepare_channels(
    channels: Sequence[tuple[NDArray[Any], tuple[float, float]]], preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Volumes of one grid, each (z, y, x) with its window, as a model's input (c, D, H, W).

    A window (low, high), in the voxels' unit, becomes 0 and 1, values beyond are clipped to these
    and NaN becomes 0; ``low > high`` turns bright to dark. Resized trilinearly with voxel centers
    as torch's ``align_corners=False``, without antialiasing, then normalized. CaseError where the
    model takes another number of channels: one is never repeated.
    """
    if len(channels) != preprocessing.channels:
        raise CaseError(wrong_channels(len(channels), preprocessing.channels))
    resized = [_resized_volume(voxels, window, preprocessing) for voxels, window in channels]
    return _normalised(np.stack(resized), preprocessing)


def wrong_channels(count: int, expected: int) -> str:
    """What is wrong with a volume of ``count`` channels for a model of ``expected``."""
    channels = "channel" if count == 1 else "channels"
    remedy = (
        "give them as a 4-D NIfTI file or as files CASE_0000.nii.gz, CASE_0001.nii.gz, ..."
        if count < expected
        else "give the files of the channels that it was trained on"
    )
    return f"the volume has {count} {channels}, but the model takes {expected}: {remedy}"


def _resized_volume(
    voxels: NDArray[Any], window: tuple[float, float], preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """(z, y, x) windowed to 0 and 1, resized: (D, H, W)."""
    _check_size(voxels.shape)
    resized = voxels
    for axis, length in enumerate(preprocessing.size):
        before, after, share = _neighbours(voxels.shape[axis], length, preprocessing.interpolation)
        parts = [np.take(resized, indices, axis=axis) for indices in (before, after)]
        if axis == 0:
            # Only the slices that count are windowed.
            parts = [windowed(part, window, np.float32) for part in parts]
        across = share.reshape([-1 if other == axis else 1 for other in range(3)])
        resized = parts[0] + (parts[1] - parts[0]) * across
    return resized


def _check_size(lengths: tuple[int, ...]) -> None:
    if min(lengths[-2:]) < _LEAST or min(lengths) < 1:
        size = "x".join(map(str, lengths[::-1]))
        raise CaseError(f"the image is {size} pixels: too small, {_LEAST}x{_LEAST} is the least")


def _resized(
    image: NDArray[Any] | Image.Image, height: int, width: int, interpolation: Interpolation
) -> NDArray[Any]:
    """(c, height, width), the numbers of Pillow's ``resize``."""
    import PIL
    from PIL import Image

    method = getattr(Image.Resampling, interpolation.upper())
    size = width, height
    if isinstance(image, np.ndarray):
        own, of_bytes = (image.shape[1], image.shape[0]), image.dtype == np.uint8
        in_kernel = of_bytes and image.shape[2] in (1, 3)
    else:
        own, of_bytes, in_kernel = image.size, True, True
    # pillow-simd, whose versions alone carry a ".post", takes 0.15 ms where the kernel takes 0.32
    # (512x512x3 to 224x224), and rounds some numbers the other way.
    in_kernel = in_kernel and ".post" not in PIL.__version__
    in_kernel = in_kernel and interpolation in _KERNELS and own[0] * own[1] <= _KERNEL_PIXELS
    if own == size:
        return np.moveaxis(pixels_of_picture(image), 2, 0)
    if in_kernel and columns_last(own, size):
        kernel = _KERNELS[interpolation]
        if not isinstance(image, np.ndarray) and image.mode == "RGB":
            return resize_words(words_of_picture(image), height, width, kernel)
        return resize_planes(pixels_of_picture(image), height, width, kernel)
    if not isinstance(image, np.ndarray):
        return np.moveaxis(pixels_of_picture(image.resize(size, method)), 2, 0)
    dtype = np.uint8 if of_bytes else np.float32
    planes = [np.ascontiguousarray(plane, dtype) for plane in np.moveaxis(image, 2, 0)]
    return np.stack([np.asarray(Image.fromarray(p).resize(size, method)) for p in planes])


def _neighbours(
    count: int, length: int, interpolation: Interpolation
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each of ``length`` new voxels the two of ``count`` it lies between, and its share of the
    way from the first to the second."""
    centres = (np.arange(length) + 0.5) * (count / length)
    if interpolation == "nearest":
        nearest = np.minimum(centres.astype(np.intp), count - 1)
        return nearest, nearest, np.zeros(length, np.float32)
    positions = np.clip(centres - 0.5, 0, count - 1)
    before = positions.astype(np.intp)
    return before, np.minimum(before + 1, count - 1), (positions - before).astype(np.float32)


def _normalised(values: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """(..., 1 or c, *size) of 0 to 1 -> (..., c, *size), contiguous; ``values`` may be used up."""
    shape = (preprocessing.channels, *(1,) * len(preprocessing.size))
    mean = np.reshape(np.array(preprocessing.mean, np.float32), shape)
    std = np.reshape(np.array(preprocessing.std, np.float32), shape)
    if values.shape[-len(shape)] != preprocessing.channels or not values.flags.c_contiguous:
        return np.ascontiguousarray((values - mean) / std)
    # In place: fresh memory takes longer than the arithmetic, 0.8 ms for 3x224x224 instead of 0.2.
    values -= mean
    values /= std
    return values

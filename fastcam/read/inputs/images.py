"""Single images as models and figures take them: grey or color, values 0 to 255."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.inputs.slice_images import (
    FILE_LEVELS,
    colour_has_no_window,
    dicom_picture,
    is_dicom_file,
    is_nifti_name,
    nifti_picture,
)
from fastcam.read.volumes.pictures import open_picture
from fastcam.read.volumes.png_levels import png_levels
from fastcam.read.volumes.sources import PICTURE_SUFFIXES
from fastcam.read.volumes.voxels import Volume

if TYPE_CHECKING:
    from PIL import Image


def read_image(path: Path, grey: GreyLevels = FILE_LEVELS) -> NDArray[Any]:
    """Decode an image: (h, w, 1) grey or (h, w, 3) RGB, values 0 to 255, uint8 or float32.

    A DICOM or NIfTI file of one slice is read as :mod:`fastcam.read.inputs.slice_images` says, all
    else by Pillow. ``grey``: which grey levels become black and white, of pictures as of slices.

    8 bits stay as they are, uint8; 1-bit becomes 0 and 255. Palettes, CMYK, YCbCr and 16-bit
    color become RGB as by Pillow's ``convert("RGB")``; so does what has an alpha channel or
    transparency, which is ignored, not composited: the numbers that torchvision's loader trains
    with. Grey of more than 8 bits is never cut off at 255: its percentiles 0.5 and 99.5 become 0
    and 255 (float32, clipped). Of several pages the first is read. EXIF orientation is not applied.
    CaseError where the image can't be decoded.
    """
    return pixels_of_picture(decode_image(path, grey))


def pixels_of_picture(picture: NDArray[Any] | Image.Image) -> NDArray[Any]:
    """What :func:`decode_image` returns as (h, w, 1 or 3)."""
    if isinstance(picture, np.ndarray):
        return picture
    pixels = np.array(picture)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def words_of_picture(picture: Image.Image) -> NDArray[np.uint32]:
    """Pillow's picture of mode RGB as (h, w) uint32: red in the lowest byte, then green and blue.

    As Pillow keeps them, and in one piece: 512x512 take 0.08 ms, as an array of bytes 0.6.
    """
    from PIL import Image

    width, height = picture.size
    picture.load()
    encoder = Image._getencoder(picture.mode, "raw", ("RGBX",))
    encoder.setimage(picture.im, (0, 0, width, height))
    _, error, content = encoder.encode(4 * width * height)
    if error < 0 or len(content) != 4 * width * height:
        raise CaseError(f"a picture of {width}x{height} can't be taken apart: code {error}")
    words = np.frombuffer(content, "<u4").reshape(height, width)
    return words.astype(np.uint32, copy=False)


def decode_image(path: Path, grey: GreyLevels = FILE_LEVELS) -> NDArray[Any] | Image.Image:
    """What :func:`read_image` reads; 8 bits a channel as Pillow's picture of mode L or RGB.

    To be resized by Pillow it need not become an array and a picture again, which takes a third of
    the decoding: 1.2 ms for a JPEG of 512x512.
    """
    if is_nifti_name(path):
        return nifti_picture(path, grey)
    if is_dicom_file(path):
        return dicom_picture(path, grey)
    try:
        return _decode_picture(path, grey)
    except CaseError as error:
        from PIL import UnidentifiedImageError

        is_picture_name = path.name.lower().endswith((*PICTURE_SUFFIXES, ".webp"))
        if is_picture_name or not isinstance(error.__cause__, UnidentifiedImageError):
            raise
        raise CaseError(
            f"{path}: is not an image: a model of images takes pictures, such as .png and .jpg, "
            "and DICOM and NIfTI files of one slice"
        ) from error


def _decode_picture(path: Path, grey: GreyLevels) -> NDArray[Any] | Image.Image:
    with open_picture(path) as image:
        target = _target(image)
        if not target:
            levels = png_levels(image)
            return _windowed(np.array(image) if levels is None else levels, grey)[:, :, None]
        if grey != FILE_LEVELS:
            if target == "RGB":
                raise CaseError(colour_has_no_window(path))
            return _windowed(np.array(image.convert("L")), grey)[:, :, None]
        if image.mode != target:
            return _converted(image, target)
        image.load()
        return image


def is_picture_array(image: Any) -> bool:
    """Whether it is an array (h, w) or (h, w, c) uint8."""
    return isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3)


def pixels_of(image: Any, index: int) -> NDArray[Any]:
    """Pillow's picture, or an array of uint8, as :func:`read_image` reads a file: (h, w, c), values
    0 to 255, float32 where it is grey of more than 8 bits, else uint8.

    InputError that names ``images[index]`` for anything else.
    """
    if hasattr(image, "convert"):
        target = _target(image)
        if target:
            return pixels_of_picture(_converted(image, target))
        return _windowed(np.array(image), FILE_LEVELS)[:, :, None]
    if not is_picture_array(image):
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise InputError(f"images[{index}] is {kind}: give a path, a PIL image or a uint8 array")
    return np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])


def _target(image: Image.Image) -> str:
    """The mode that a picture is converted to; empty for grey of more than 8 bits."""
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return ""
    return "L" if mode in ("1", "L", "LA", "La") else "RGB"


def _converted(image: Image.Image, target: str) -> Image.Image:
    if image.mode in ("La", "RGBa"):
        # Colors multiplied by alpha: Pillow undoes that on the way to plain alpha only.
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    return image if image.mode == target else image.convert(target)


def _windowed(levels: NDArray[Any], grey: GreyLevels) -> NDArray[np.float32]:
    levels = levels.astype(levels.dtype.newbyteorder("="), copy=False)
    low, high = grey.window(Volume(voxels=levels[None]))
    if levels.dtype == np.uint16:
        # A table of the levels that there are, whose temporaries are small: reading and resizing a
        # PNG of 512x512 takes 8.3 ms instead of 10.2, most of it in fresh pages of memory.
        table = _stretched(np.arange(int(levels.max(initial=0)) + 1), low, high)
        return np.take(table, levels)
    return _stretched(levels, low, high)


def _stretched(levels: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    # Multiplied, not `windowed`: the last bit of float32 would differ.
    stretched = (levels.astype(np.float64) - low) * (255 / (high - low))
    return np.nan_to_num(np.clip(stretched, 0, 255)).astype(np.float32)

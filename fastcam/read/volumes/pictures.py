"""Pictures as slices: one picture, a TIFF of many pages, a folder of numbered pictures.

Everything is read through Pillow, with nothing that pillow-simd lacks. EXIF orientation is not
applied: boxes were made on the stored pixels, and a slice has no camera to be held upright.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.regular_files import check_regular_case, unreadable
from fastcam.read.volumes.memory_limit import check_memory
from fastcam.read.volumes.png_levels import png_levels
from fastcam.read.volumes.voxels import Volume
from fastcam.storage.locations import readable

if TYPE_CHECKING:
    from PIL import Image

# Bytes at the peak for each of the volume's: a wider picture among them makes a second volume.
_COPIES = 1.5


def read_pictures(paths: Sequence[Path], labels: bool = False) -> Volume:
    """Pictures of one size, in the order given, as grey (z, y, x); one path may have many pages.

    Color becomes luma as in Pillow's ``convert("L")``, alpha is ignored, 1-bit becomes 0 and 255;
    8-bit is uint8, 16-bit uint16, more stays int32 or float32. With ``labels`` a palette picture
    of colors on black (a label map) gives 1 wherever it isn't color 0.
    CaseError where a picture can't be read or has another size than the first.
    """
    first = paths[0]
    with open_picture(first) as image:
        count, size = getattr(image, "n_frames", 1), image.size
        if len(paths) > 1:
            _check_single(first, count)
            count = len(paths)
        pixel_bytes = 2 if image.mode.startswith("I;16") else 4 if image.mode in "IF" else 1
        place = first if len(paths) == 1 else first.parent
        check_memory(place, count * size[0] * size[1] * pixel_bytes, _COPIES)
        grey = _grey(image, labels)
        voxels = np.empty((count, *grey.shape), grey.dtype)
        voxels[0] = grey
        for page in range(1, count if len(paths) == 1 else 0):
            image.seek(page)
            _check_size(first, f" page {page + 1}", image.size, size, "page 1")
            voxels = _put(voxels, page, _grey(image, labels))
    for index, path in enumerate(paths[1:], 1):
        with open_picture(path) as image:
            _check_single(path, getattr(image, "n_frames", 1))
            _check_size(path, "", image.size, size, first.name)
            voxels = _put(voxels, index, _grey(image, labels))
    return Volume(voxels=voxels)


def pictures_shape(paths: Sequence[Path]) -> tuple[int, int, int]:
    """(z, y, x) from the number of paths, or of pages, and the first picture's header."""
    with open_picture(paths[0]) as image:
        count = len(paths) if len(paths) > 1 else getattr(image, "n_frames", 1)
        return count, image.height, image.width


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """The picture, not decoded yet; whatever Pillow makes of a bad one becomes a CaseError."""
    from PIL import Image, UnidentifiedImageError

    check_regular_case(path)
    try:
        with Image.open(readable(path)) as image:
            yield image
    except UnidentifiedImageError as error:
        raise CaseError(f"{path}: is not a picture that Pillow knows, or is damaged") from error
    except Image.DecompressionBombError as error:
        raise CaseError(f"{path}: is too large: {error}") from error
    # Pillow's decoders let all of these out on damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, ArithmeticError) as error:
        raise unreadable(path, error) from error
    except (LookupError, TypeError) as error:
        raise CaseError(f"{path}: is damaged: {error!r}; copy the file again") from error


def _grey(image: Image.Image, labels: bool) -> NDArray[Any]:
    """The picture's pixels (y, x) as grey levels; decodes it."""
    if image.format == "JPEG" and image.mode == "RGB":
        # libjpeg leaves out the color planes: saves two fifths of the time and is OpenCV's grey.
        image.draft("L", image.size)
    mode = image.mode
    if labels and mode == "P" and _is_label_map(image):
        return np.array(image).astype(bool).astype(np.uint8)
    levels = png_levels(image)
    if levels is not None:
        return levels
    if mode == "I":
        pixels = np.array(image)
        # What Pillow calls I is most often a 16-bit PNG or PGM.
        fits = pixels.min() >= 0 and pixels.max() <= np.iinfo(np.uint16).max
        return pixels.astype(np.uint16) if fits else pixels
    if mode == "F" or mode.startswith("I;16"):
        pixels = np.array(image)
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if mode in ("1", "L", "LA", "La"):
        return np.array(image if mode == "L" else image.convert("LA" if mode == "La" else "L"))
    return np.array(image.convert("RGB").convert("L"))


def _is_label_map(image: Image.Image) -> bool:
    """Whether color 0 is black and others are true colors, whose luma would say nothing."""
    palette = np.reshape(image.getpalette() or [], (-1, 3))
    return len(palette) > 0 and not palette[0].any() and bool((palette != palette[:, :1]).any())


def _put(voxels: NDArray[Any], index: int, grey: NDArray[Any]) -> NDArray[Any]:
    """Store one slice; the volume widens where a later picture has more bits than the first."""
    kind = np.result_type(voxels, grey)
    if voxels.dtype != kind:
        voxels = voxels.astype(kind)
    voxels[index] = grey
    return voxels


def _check_single(path: Path, pages: int) -> None:
    if pages > 1:
        raise CaseError(f"{path}: has {pages} pages; in a folder of slices each file is one slice")


def _check_size(
    path: Path, page: str, size: tuple[int, int], expected: tuple[int, int], first: str
) -> None:
    if size != expected:
        raise CaseError(
            f"{path}{page}: is {size[0]}x{size[1]} pixels, but {first} is"
            f" {expected[0]}x{expected[1]}; a case's slices must have one size"
        )

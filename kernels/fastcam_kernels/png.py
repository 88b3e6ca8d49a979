"""PNG around a ready deflate stream: row filter before it, chunks after it.

W3C PNG specification, 3rd edition: section 9 (filters), 5.3 (chunk layout), 11 (chunks).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@borrowing_kernel
def _up_filter(rows: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    height, length = rows.shape
    for y in range(height):
        line, target = rows[y], out[y]
        target[0] = 2
        if y == 0:
            for i in range(length):
                target[i + 1] = line[i]
        else:
            above = rows[y - 1]
            for i in range(length):
                target[i + 1] = line[i] - above[i]


def up_filter(canvas: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Filter type 2 (Up) on (H, W, 3) RGB or (H, W, 1) grey uint8 -> (H, 1 + W * channels) uint8.

    Byte 0 of each row is the filter type. Deflate this, then hand it to ``assemble``. ``out`` is a
    C-contiguous buffer of that shape to use again.
    """
    height, width, channels = canvas.shape
    if channels not in (1, 3) or height < 1 or width < 1:
        raise ValueError(f"a canvas of shape {canvas.shape} is no picture; use (H, W, 1) or 3")
    if out is None or out.shape != (height, 1 + width * channels):
        out = np.empty((height, 1 + width * channels), np.uint8)
    _up_filter(plain(canvas, np.uint8).reshape(height, width * channels), out)
    return out


def assemble(
    width: int,
    height: int,
    channels: int,
    deflated: bytes,
    crc32: Callable[[bytes, int], int] = zlib.crc32,
    dpi: float | None = None,
    text: Mapping[str, str] | None = None,
) -> list[bytes]:
    """The file as a list of pieces to write one after the other; ``deflated`` is not copied.

    ``deflated`` is the zlib stream of ``up_filter``'s rows. ``text`` keys are PNG keywords
    (1-79 Latin-1 characters); values that aren't Latin-1 go into iTXt as UTF-8.
    """
    if channels not in (1, 3):
        raise ValueError(f"PNG with {channels} channels isn't supported; use 1 (grey) or 3 (RGB)")
    color_type = 0 if channels == 1 else 2
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    pieces = [SIGNATURE, *_chunk(b"IHDR", header, crc32)]
    if dpi is not None:
        per_metre = round(dpi / 0.0254)
        pieces += _chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1), crc32)
    for key, value in (text or {}).items():
        pieces += _text_chunk(key, value, crc32)
    start, _, checksum = _chunk(b"IDAT", deflated, crc32)
    # Three pieces, so that a writer makes three system calls and not one for each field.
    return [
        b"".join([*pieces, start]),
        deflated,
        b"".join([checksum, *_chunk(b"IEND", b"", crc32)]),
    ]


def _text_chunk(key: str, value: str, crc32: Callable[[bytes, int], int]) -> list[bytes]:
    latin = all(character.isprintable() and ord(character) < 256 for character in key)
    if not latin or not 1 <= len(key) <= 79 or key != key.strip():
        raise ValueError(f"PNG text keyword {key!r} must be 1-79 printable Latin-1 characters")
    keyword = key.encode("latin-1")
    try:
        plain_text = value.encode("latin-1")
    except UnicodeEncodeError:
        return _chunk(b"iTXt", keyword + b"\0\0\0\0\0" + value.encode("utf-8"), crc32)
    return _chunk(b"tEXt", keyword + b"\0" + plain_text, crc32)


def _chunk(kind: bytes, content: bytes, crc32: Callable[[bytes, int], int]) -> list[bytes]:
    if len(content) >= 2**31:
        raise ValueError(f"{len(content)} bytes don't fit into one PNG chunk; the limit is 2 GiB")
    checksum = crc32(content, crc32(kind, 0))
    return [struct.pack(">I", len(content)) + kind, content, struct.pack(">I", checksum)]

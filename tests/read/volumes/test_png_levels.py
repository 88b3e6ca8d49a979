"""16-bit PNG files beside what Pillow decodes of them, sound ones and damaged ones."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from fastcam.errors import CaseError
from fastcam.read.inputs.images import read_image
from fastcam.read.volumes.pictures import read_pictures
from fastcam.read.volumes.png_levels import png_levels

RNG = np.random.default_rng(0)
LEVELS = RNG.integers(0, 65536, (24, 37)).astype(np.uint16)


def levels_of(file: bytes) -> np.ndarray | None:
    """What is decoded of a file; Pillow decodes the same picture afterwards."""
    with Image.open(io.BytesIO(file)) as image:
        found = png_levels(image)
        if found is not None:
            np.testing.assert_array_equal(found, np.array(image))
    return found


def png_of(levels: np.ndarray, **how: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "png", **how)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def built(width: int, height: int, *chunks: bytes, interlace: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, interlace)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *chunks, chunk(b"IEND", b"")])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([2, 4096, 65536]),
    st.booleans(),
    st.integers(0, 9),
    st.integers(0, 10**6),
)
def test_pillow_decodes_the_same(height, width, limit, smooth, level, seed):
    levels = np.random.default_rng(seed).integers(0, limit, (height, width)).astype(np.uint16)
    if smooth:
        levels = np.cumsum(levels % 7, axis=1).astype(np.uint16)
    found = levels_of(png_of(levels, compress_level=level))
    assert found is not None
    np.testing.assert_array_equal(found, levels)


def test_other_writers_and_what_stands_beside_the_pixels():
    ready, file = cv2.imencode(".png", LEVELS)
    assert ready
    np.testing.assert_array_equal(levels_of(file.tobytes()), LEVELS)
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "scanner")
    np.testing.assert_array_equal(levels_of(png_of(LEVELS, pnginfo=info, dpi=(72, 72))), LEVELS)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in LEVELS.astype(">u2")))
    pieces = [chunk(b"IDAT", piece) for piece in (rows[:7], b"", rows[7:])]
    np.testing.assert_array_equal(levels_of(built(37, 24, *pieces)), LEVELS)


def test_what_is_left_to_pillow():
    assert levels_of(png_of((LEVELS >> 8).astype(np.uint8))) is None
    file = io.BytesIO()
    Image.fromarray(LEVELS).save(file, "tiff")
    assert levels_of(file.getvalue()) is None
    rows = zlib.compress(b"\0\1\2")
    assert levels_of(built(1, 1, chunk(b"IDAT", rows), interlace=1)) is None


@pytest.mark.parametrize(
    "rows",
    [
        b"".join(b"\0" + row.tobytes() for row in LEVELS.astype(">u2"))[:-1],
        b"".join(b"\0" + row.tobytes() for row in LEVELS.astype(">u2")) + b"\0",
        b"".join(b"\5" + row.tobytes() for row in LEVELS.astype(">u2")),
        bytes(1 << 24),
    ],
    ids=["too few bytes", "too many", "an unknown filter", "far too many"],
)
def test_wrong_rows_are_left_to_pillow(rows: bytes):
    assert levels_of(built(37, 24, chunk(b"IDAT", zlib.compress(rows)))) is None


def test_a_damaged_file_fails_as_pillow_has_it(tmp_path: Path):
    file = png_of(LEVELS)
    for at in range(60, len(file), 97):
        damaged = bytearray(file)
        damaged[at] ^= 0xFF
        for content in (bytes(damaged), file[:at]):
            path = tmp_path / "d.png"
            path.write_bytes(content)
            try:
                with Image.open(path) as image:
                    expected = np.array(image)
            except (OSError, SyntaxError, ValueError):
                with pytest.raises(CaseError):
                    read_pictures([path])
                with pytest.raises(CaseError):
                    read_image(path)
            else:
                np.testing.assert_array_equal(read_pictures([path]).voxels[0], expected)

"""The imaging library in use, Pillow or pillow-simd, decodes, resizes and writes as expected.

`make test` runs this with Pillow, `make test-simd` with pillow-simd. Expectations come from
OpenCV, from files written here byte by byte, and from the resampling formula, never from the
library itself.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from importlib import metadata
from typing import Any

import cv2
import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image, features

Pixels = NDArray[Any]
SIZES = [(1, 1), (7, 5), (64, 48), (97, 131)]


def noise(shape: tuple[int, ...], dtype: type = np.uint8, seed: int = 0) -> Pixels:
    top = int(np.iinfo(dtype).max) + 1
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


def soft(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """A smooth picture, as lossy codecs like them; RGB."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    planes = [127.5 + 120 * np.sin(x / (9 + c)) * np.cos(y / (7 + 2 * c)) for c in range(channels)]
    picture: NDArray[np.uint8] = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8).squeeze()
    return picture


def decoded(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)


def by_opencv(suffix: str, rgb: Pixels, *settings: int) -> bytes:
    ok, data = cv2.imencode(suffix, rgb[..., ::-1] if rgb.ndim == 3 else rgb, settings)
    assert ok
    return bytes(data)


def read_by_opencv(data: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


def apart(a: Pixels, b: Pixels) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())


def test_says_which_library_it_ran_on(capsys: pytest.CaptureFixture[str]) -> None:
    installed = {d.name.lower() for d in metadata.distributions()} & {"pillow", "pillow-simd"}
    name = "pillow-simd" if ".post" in PIL.__version__ else "pillow"
    with capsys.disabled():
        print(f"\n[imaging library: {name} {PIL.__version__}]")
    assert installed == {name}, "one of the two, and the one whose files are there"


@pytest.mark.parametrize("codec", ["jpg", "zlib", "libtiff", "webp", "jpg_2000", "freetype2"])
def test_has_the_codec(codec: str) -> None:
    assert features.check(codec)


# Decoding


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_lossless_formats_decode_exactly(suffix: str, channels: int, size: tuple[int, int]) -> None:
    pixels = noise((*size, 3) if channels == 3 else size)
    np.testing.assert_array_equal(decoded(by_opencv(suffix, pixels)), pixels)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_keeps_every_level(suffix: str, size: tuple[int, int]) -> None:
    pixels = noise(size, np.uint16)
    found = decoded(by_opencv(suffix, pixels))
    np.testing.assert_array_equal(found.astype(np.int64), pixels)


def png(height: int, width: int, depth: int, kind: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG from filtered rows, after the PNG specification, sections 5 and 11."""

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            *extra,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


def filtered(pixels: Pixels, filters: list[int]) -> bytes:
    """Rows of 8-bit RGB under PNG's five filters, section 9.2, one filter a row in turn."""
    height, width, _ = pixels.shape
    raw = pixels.reshape(height, width * 3).astype(np.int64)
    out = bytearray()
    for y in range(height):
        kind = filters[y % len(filters)]
        out.append(kind)
        for x in range(width * 3):
            a = int(raw[y, x - 3]) if x >= 3 else 0
            b = int(raw[y - 1, x]) if y else 0
            c = int(raw[y - 1, x - 3]) if y and x >= 3 else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            guess = (0, a, b, (a + b) // 2, paeth)[kind]
            out.append((int(raw[y, x]) - guess) % 256)
    return bytes(out)


@pytest.mark.parametrize("filters", [[0], [1], [2], [3], [4], [4, 2, 1, 3, 0]])
def test_png_filters_by_hand(filters: list[int]) -> None:
    pixels = noise((11, 13, 3))
    np.testing.assert_array_equal(decoded(png(11, 13, 8, 2, filtered(pixels, filters))), pixels)


def test_png_of_16_bits_by_hand() -> None:
    levels = np.array([[0, 1, 255], [256, 32768, 65535]], np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    np.testing.assert_array_equal(decoded(png(2, 3, 16, 0, rows)).astype(np.int64), levels)


def tiff(pages: list[NDArray[np.uint16]], order: str) -> bytes:
    """Uncompressed 16-bit grey pages after TIFF 6.0; ``order`` is < or >."""
    out = bytearray(struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8))
    for number, page in enumerate(pages):
        body = page.astype(order + "u2").tobytes()
        start = len(out) + 2 + 9 * 12 + 4
        tags = [
            *((256, 4, page.shape[1]), (257, 4, page.shape[0]), (258, 3, 16), (259, 3, 1)),
            *((262, 3, 1), (273, 4, start), (277, 3, 1), (278, 4, page.shape[0])),
            (279, 4, len(body)),
        ]
        out += struct.pack(order + "H", len(tags))
        for tag, kind, value in tags:
            out += struct.pack(order + "HHI", tag, kind, 1)
            out += struct.pack(order + ("I" if kind == 4 else "HH"), *([value, 0][: 5 - kind]))
        last = number == len(pages) - 1
        out += struct.pack(order + "I", 0 if last else start + len(body)) + body
    return bytes(out)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_tiff_pages_by_hand(order: str) -> None:
    pages = [noise((5, 8), np.uint16, seed) for seed in range(3)]
    with Image.open(io.BytesIO(tiff(pages, order))) as stack:
        assert getattr(stack, "n_frames", 1) == 3
        for index in (2, 0, 1):
            stack.seek(index)
            np.testing.assert_array_equal(np.asarray(stack).astype(np.int64), pages[index])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("compression", [1, 5, 8], ids=["none", "lzw", "deflate"])
def test_tiff_pages_by_opencv(dtype: type, compression: int) -> None:
    pages: list[Pixels] = [noise((40, 30), np.uint8, seed).astype(dtype) * 3 for seed in range(4)]
    ok, data = cv2.imencodemulti(".tif", pages, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert ok
    with Image.open(io.BytesIO(bytes(data))) as stack:
        for index, page in enumerate(pages):
            stack.seek(index)
            np.testing.assert_array_equal(np.asarray(stack).astype(np.float64), page)


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(64, 48), (97, 131)])
def test_jpeg_decodes_as_opencv_does(
    size: tuple[int, int], channels: int, progressive: int
) -> None:
    pixels = soft(*size, channels)
    settings = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    data = by_opencv(".jpg", pixels, *settings)
    assert apart(decoded(data), read_by_opencv(data)) <= 2
    assert np.abs(decoded(data).astype(int) - pixels).mean() < 3


def test_webp_decodes_as_opencv_does() -> None:
    pixels = soft(97, 131)
    lossless = by_opencv(".webp", pixels, cv2.IMWRITE_WEBP_QUALITY, 101)
    np.testing.assert_array_equal(decoded(lossless), pixels)
    lossy = by_opencv(".webp", pixels, cv2.IMWRITE_WEBP_QUALITY, 90)
    assert apart(decoded(lossy), read_by_opencv(lossy)) <= 2


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_a_truncated_file_is_an_error(suffix: str) -> None:
    data = by_opencv(suffix, noise((64, 64, 3)))
    with (
        pytest.raises(OSError, match=r"truncated|broken|could not create|cannot"),
        Image.open(io.BytesIO(data[: len(data) // 2])) as picture,
    ):
        picture.load()


# Resizing


def sinc(x: float) -> float:
    return float(np.sinc(x))


def cubic(x: float) -> float:
    """Keys' kernel with a = -0.5."""
    x, a = abs(x), -0.5
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


FILTERS: dict[str, tuple[float, Callable[[float], float]]] = {
    "BOX": (0.5, lambda x: 1.0 if -0.5 < x <= 0.5 else 0.0),
    "BILINEAR": (1.0, lambda x: max(0.0, 1 - abs(x))),
    "HAMMING": (1.0, lambda x: sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)) if abs(x) < 1 else 0.0),
    "BICUBIC": (2.0, cubic),
    "LANCZOS": (3.0, lambda x: sinc(x) * sinc(x / 3) if abs(x) < 3 else 0.0),
}


def weights(n_in: int, n_out: int, name: str) -> NDArray[np.float64]:
    """(n_out, n_in): the filter around each output pixel's centre, widened when shrinking."""
    support, shape = FILTERS[name]
    scale = n_in / n_out
    wide = max(scale, 1.0)
    table = np.zeros((n_out, n_in))
    for i in range(n_out):
        centre = (i + 0.5) * scale
        first = max(int(centre - support * wide + 0.5), 0)
        last = min(int(centre + support * wide + 0.5), n_in)
        row = [shape((j - centre + 0.5) / wide) for j in range(first, last)]
        table[i, first:last] = np.array(row) / sum(row)
    return table


def resized(pixels: Pixels, height: int, width: int, name: str) -> NDArray[np.float64]:
    down, across = weights(pixels.shape[0], height, name), weights(pixels.shape[1], width, name)
    out: NDArray[np.float64] = np.einsum(
        "yi,ij...,xj->yx...", down, pixels.astype(np.float64), across, optimize=True
    )
    return out


@pytest.mark.parametrize("name", list(FILTERS))
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("to", [(11, 9), (37, 80), (100, 150), (48, 64), (1, 1)])
def test_resizing_follows_the_formula(to: tuple[int, int], channels: int, name: str) -> None:
    # From 70 to 185, so that no filter overshoots: which pass comes first, and with it what is
    # clipped between them, differs from one version of Pillow to the next.
    pixels = noise((48, 64, channels) if channels > 1 else (48, 64), seed=channels) % 116 + 70
    # Resizing RGBA would weigh colours by alpha; RGBX has four plain channels.
    picture = Image.fromarray(pixels[..., :3] if channels == 4 else pixels)
    if channels == 4:
        picture = Image.frombytes("RGBX", (64, 48), pixels.tobytes())
    found = np.asarray(picture.resize(to[::-1], getattr(Image.Resampling, name)))
    difference = np.abs(found - resized(pixels, *to, name))
    # Rounded twice, with weights in fixed point.
    assert difference.max() < 1.5
    assert to == (1, 1) or difference.mean() < 0.4


@pytest.mark.parametrize("name", ["BILINEAR", "BICUBIC"])
def test_resizing_floats_follows_the_formula(name: str) -> None:
    maps = np.random.default_rng(1).random((14, 14)).astype(np.float32)
    found = Image.fromarray(maps).resize((60, 45), getattr(Image.Resampling, name))
    np.testing.assert_allclose(np.asarray(found), resized(maps, 45, 60, name), atol=1e-6)


@pytest.mark.parametrize("to", [(96, 128), (61, 99)])
def test_enlarging_bilinearly_agrees_with_opencv(to: tuple[int, int]) -> None:
    pixels = noise((48, 64, 3))
    found = Image.fromarray(pixels).resize(to[::-1], Image.Resampling.BILINEAR)
    assert apart(np.asarray(found), cv2.resize(pixels, to[::-1])) <= 1


@pytest.mark.parametrize("to", [(96, 128), (64, 32), (16, 256)])
def test_nearest_takes_the_pixel_under_the_centre(to: tuple[int, int]) -> None:
    pixels = noise((48, 64), np.uint8)
    rows = ((np.arange(to[0]) + 0.5) * 48 / to[0]).astype(int)
    columns = ((np.arange(to[1]) + 0.5) * 64 / to[1]).astype(int)
    found = Image.fromarray(pixels).resize(to[::-1], Image.Resampling.NEAREST)
    np.testing.assert_array_equal(np.asarray(found), pixels[np.ix_(rows, columns)])


def test_reducing_averages_blocks() -> None:
    pixels = noise((48, 64, 3))
    blocks = pixels.reshape(12, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(np.asarray(Image.fromarray(pixels).reduce(4)) - blocks).max() <= 0.51


# Colours and writing


def test_grey_of_colour() -> None:
    """ITU-R BT.601 luma."""
    pixels = noise((33, 65, 3))
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(np.asarray(Image.fromarray(pixels).convert("L")) - luma).max() <= 1
    grey = noise((33, 65))
    repeated = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(np.asarray(Image.fromarray(grey).convert("RGB")), repeated)


def written(pixels: Pixels, kind: str, **settings: int | bool) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **settings)
    return out.getvalue()


def test_opencv_reads_what_it_writes() -> None:
    pixels = soft(97, 131)
    np.testing.assert_array_equal(read_by_opencv(written(pixels, "PNG")), pixels)
    np.testing.assert_array_equal(read_by_opencv(written(pixels, "WEBP", lossless=True)), pixels)
    near = read_by_opencv(written(pixels, "JPEG", quality=95, subsampling=0))
    assert np.abs(near.astype(int) - pixels).mean() < 2

"""Images of every mode Pillow has, as models take them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fastcam.errors import CaseError
from fastcam.read.inputs.images import pixels_of, read_image, words_of_picture

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 17), np.uint8)
RGB = RNG.integers(0, 256, (12, 17, 3), np.uint8)


def saved(folder: Path, image: Image.Image, name: str, **how: Any) -> np.ndarray:
    """What is read of the file; of an opened picture, in memory, it is the same."""
    image.save(folder / name, **how)
    found = read_image(folder / name)
    assert found.shape == (image.height, image.width, found.shape[2])
    with Image.open(folder / name) as opened:
        in_memory = pixels_of(opened, 0)
    assert in_memory.dtype == found.dtype
    np.testing.assert_array_equal(in_memory, found)
    return found


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_8_bits_are_kept(tmp_path: Path, suffix: str) -> None:
    grey = saved(tmp_path, Image.fromarray(GREY), f"g{suffix}")
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey[:, :, 0], GREY)
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(RGB), f"c{suffix}"), RGB)
    bits = saved(tmp_path, Image.fromarray(GREY > 99), f"b{suffix}")
    np.testing.assert_array_equal(bits[:, :, 0], np.where(GREY > 99, 255, 0))


def test_alpha_is_ignored(tmp_path: Path) -> None:
    rgba = Image.fromarray(np.dstack([RGB, GREY]))
    np.testing.assert_array_equal(saved(tmp_path, rgba, "a.png"), RGB)
    la = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())])
    np.testing.assert_array_equal(saved(tmp_path, la, "la.png")[:, :, 0], GREY)


def test_palettes_become_colours(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (256, 3), np.uint8)
    picture = Image.fromarray(GREY).convert("P")
    picture.putpalette(colours.ravel().tolist())
    np.testing.assert_array_equal(saved(tmp_path, picture, "p.png"), colours[GREY])
    clear = saved(tmp_path, picture, "t.png", transparency=int(GREY[0, 0]))
    np.testing.assert_array_equal(clear, colours[GREY])


def test_cmyk(tmp_path: Path) -> None:
    ink = RNG.integers(0, 256, (16, 16, 4), np.uint8)
    found = saved(tmp_path, Image.frombytes("CMYK", (16, 16), ink.tobytes()), "c.tif")
    cyan, key = ink[..., :3].astype(float), ink[..., 3:].astype(float)
    expected = (255 - cyan) * (255 - key) / 255
    assert np.abs(found - expected).max() <= 1.5
    # JPEG as Adobe writes it stores the inks inverted; Pillow turns them back.
    flat = np.full((16, 16, 4), (200, 30, 60, 20), np.uint8)
    jpeg = saved(tmp_path, Image.frombytes("CMYK", (16, 16), flat.tobytes()), "c.jpg", quality=95)
    expected = (255.0 - flat[0, 0, :3]) * (255 - 20) / 255
    assert np.abs(jpeg - expected).max() <= 6


@pytest.mark.parametrize("mode", ["La", "RGBa", "I;16B", "HSV", "1"])
def test_modes_of_memory_alone(mode: str) -> None:
    alpha = np.full((12, 17), 255, np.uint8)
    deep = GREY.astype(np.uint16) * 200
    picture = {
        "La": Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]).convert("La"),
        "RGBa": Image.fromarray(np.dstack([RGB, alpha])).convert("RGBa"),
        "I;16B": Image.frombytes("I;16B", (17, 12), deep.astype(">u2").tobytes()),
        "HSV": Image.fromarray(RGB).convert("HSV"),
        "1": Image.fromarray(GREY > 99),
    }[mode]
    found = pixels_of(picture, 0)
    if mode == "I;16B":
        low, high = np.percentile(deep, [0.5, 99.5])
        expected: Any = np.clip((deep - low) / (high - low), 0, 1)[..., None] * 255
        assert np.abs(found - expected).max() < 2
    else:
        greys = {"La": GREY[..., None], "1": np.where(GREY > 99, 255, 0)[..., None]}
        expected = greys.get(mode, RGB)
        assert np.abs(found.astype(int) - expected).max() <= (6 if mode == "HSV" else 0)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_windowed_not_cut(tmp_path: Path, suffix: str) -> None:
    deep = RNG.integers(1000, 5000, (64, 64)).astype(np.uint16)
    deep[0, 0], deep[0, 1] = 65535, 0
    cv2.imwrite(str(tmp_path / f"d{suffix}"), deep)
    found = read_image(tmp_path / f"d{suffix}")
    assert found.dtype == np.float32
    assert found.shape == (64, 64, 1)
    low, high = np.percentile(deep, [0.5, 99.5])
    expected = np.clip((deep - low) / (high - low), 0, 1) * 255
    # The kernel's percentile may be a neighbouring level.
    np.testing.assert_allclose(found[:, :, 0], expected, atol=0.7)
    assert len(np.unique(found)) > 256


def test_floats_and_wide_integers(tmp_path: Path) -> None:
    floats = RNG.random((64, 64), np.float32)
    found = saved(tmp_path, Image.fromarray(floats), "f.tif")[:, :, 0]
    low, high = np.percentile(floats, [0.5, 99.5])
    expected = np.clip((floats - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(found, expected, atol=0.2)
    floats[3, 3] = np.nan
    assert saved(tmp_path, Image.fromarray(floats), "n.tif")[3, 3, 0] == 0
    wide = RNG.integers(-(10**6), 10**6, (64, 64)).astype(np.int32)
    found = saved(tmp_path, Image.fromarray(wide), "i.tif")[:, :, 0]
    assert np.corrcoef(found.ravel(), wide.ravel())[0, 1] > 0.999
    flat = saved(tmp_path, Image.fromarray(np.full((9, 9), 700, np.uint16)), "flat.png")
    assert np.isfinite(flat).all()


def test_16_bit_colour(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (12, 17, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 17, 12, 16, 2, 0, 0, 0))
    data = head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "d.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert np.abs(read_image(tmp_path / "d.png") - deep / 257.0).max() <= 1


def test_exif_and_pages(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(RGB), "e.png", exif=exif), RGB)
    more = [Image.fromarray(GREY[::-1].copy())]
    pages = saved(tmp_path, Image.fromarray(GREY), "p.tif", save_all=True, append_images=more)
    np.testing.assert_array_equal(pages[:, :, 0], GREY)


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_what_can_not_be_decoded(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"p{suffix}"
    Image.fromarray(RNG.integers(0, 256, (60, 60, 3), np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CaseError, match=rf"p\{suffix}: ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    for path in (tmp_path / "a.png", tmp_path / "none.png", tmp_path):
        with pytest.raises(CaseError, match=str(path)):
            read_image(path)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (640, 480), (3000, 1)])
def test_words_are_the_pixels(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    words = words_of_picture(Image.fromarray(pixels))
    assert words.shape == size
    for channel in range(3):
        np.testing.assert_array_equal((words >> (8 * channel)) & 255, pixels[:, :, channel])

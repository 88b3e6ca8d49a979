"""Preparing images and volumes, against Pillow, torch and formulas written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fastcam.errors import CaseError
from fastcam.read.inputs.images import decode_image
from fastcam.read.inputs.model_input import prepare, prepare_channels
from fastcam.read.inputs.preprocessing import (
    MEAN,
    STD,
    Preprocessing,
    input_region,
    resize_and_crop,
)

from ...torchvision_import import torchvision  # isort: skip

assert torchvision  # declared there for CPU builds, and imported

RNG = np.random.default_rng(0)
PLAIN: dict[str, Any] = {"mean": (0.0,), "std": (1.0,)}
RGB = RNG.integers(0, 256, (37, 53, 3), np.uint8)


def by_torchvision(image: np.ndarray, side: int, how: int) -> np.ndarray:
    """``Resize(side)``, ``CenterCrop(side)``, ``ToTensor`` of torchvision 0.29 written out."""
    height, width = image.shape[:2]
    short = min(height, width)
    high, wide = int(side * height / short), int(side * width / short)
    picture = Image.fromarray(image).resize((wide, high), how)
    top, left = int(round((high - side) / 2.0)), int(round((wide - side) / 2.0))  # noqa: RUF046
    cut = np.asarray(picture.crop((left, top, left + side, top + side)))
    return np.moveaxis(np.atleast_3d(cut), 2, 0) / 255.0


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("shape", [(37, 53), (53, 37), (300, 441), (24, 24)])
def test_crop_is_torchvisions(shape: tuple[int, int], interpolation: str) -> None:
    image = RNG.integers(0, 256, (*shape, 3), np.uint8)
    preprocessing = Preprocessing(size=(24, 24), fit="crop", interpolation=interpolation)  # type: ignore[arg-type]
    expected = by_torchvision(image, 24, getattr(Image.Resampling, interpolation.upper()))
    expected = (expected - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    found = prepare(image, preprocessing)
    assert found.dtype == np.float32
    assert np.moveaxis(found, 0, 2).flags.c_contiguous  # as models of images take them
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_against_torchvision_itself() -> None:
    from torchvision import transforms

    steps = transforms.Compose(
        [
            transforms.Resize(24),
            transforms.CenterCrop(24),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    preprocessing = Preprocessing(size=(24, 24), fit="crop")
    for shape in ((37, 53), (60, 31), (25, 24)):
        image = RNG.integers(0, 256, (*shape, 3), np.uint8)
        expected = steps(Image.fromarray(image)).numpy()
        np.testing.assert_allclose(prepare(image, preprocessing), expected, atol=1e-6)


def test_stretch_is_pillows_resize() -> None:
    preprocessing = Preprocessing(size=(20, 30), fit="stretch", interpolation="bicubic")
    resized = np.asarray(Image.fromarray(RGB).resize((30, 20), Image.Resampling.BICUBIC))
    expected = (np.moveaxis(resized, 2, 0) / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(
        STD, (3, 1, 1)
    )
    np.testing.assert_allclose(prepare(RGB, preprocessing), expected, atol=1e-6)


def test_floats_are_resized_without_rounding() -> None:
    image = (RNG.random((40, 30, 1)) * 255).astype(np.float32)
    expected = np.asarray(Image.fromarray(image[:, :, 0]).resize((12, 10), 2)) / 255
    found = prepare(image, Preprocessing(size=(10, 12), channels=1, **PLAIN))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    whole = np.rint(image).astype(np.uint8)
    near = prepare(whole, Preprocessing(size=(10, 12), channels=1, **PLAIN))
    assert np.abs(near - found).max() < 1.1 / 255


def test_channels() -> None:
    grey = RGB[:, :, :1]
    three = prepare(grey, Preprocessing(size=(37, 53), channels=3, mean=(0.0,) * 3, std=(1.0,) * 3))
    np.testing.assert_allclose(three, np.repeat(np.moveaxis(grey, 2, 0), 3, 0) / 255, atol=1e-7)
    one = prepare(RGB, Preprocessing(size=(37, 53), channels=1, **PLAIN))
    luma = np.asarray(Image.fromarray(RGB).convert("L"))
    # pillow-simd rounds a luma just at a half the other way.
    np.testing.assert_allclose(one[0], luma / 255, atol=1 / 255 + 1e-7)
    assert (np.abs(one[0] - luma / 255) > 1e-7).mean() < 0.002
    own = np.concatenate([RGB, RGB], axis=2)
    six = prepare(own, Preprocessing(size=(37, 53), channels=6, mean=(0.5,) * 6, std=(0.25,) * 6))
    np.testing.assert_allclose(six, (np.moveaxis(own, 2, 0) / 255 - 0.5) / 0.25, atol=1e-6)
    small = prepare(own, Preprocessing(size=(9, 9), channels=6, mean=(0.5,) * 6, std=(0.25,) * 6))
    np.testing.assert_array_equal(small[:3], small[3:])
    with pytest.raises(CaseError, match="has 3 channels, but the model takes 6"):
        prepare(RGB, Preprocessing(size=(9, 9), channels=6, mean=(0.5,) * 6, std=(0.25,) * 6))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (0, 5)])
def test_too_small(shape: tuple[int, int]) -> None:
    with pytest.raises(CaseError, match=f"{shape[1]}x{shape[0]} pixels: too small"):
        prepare(np.zeros((*shape, 3), np.uint8), Preprocessing(size=(8, 8)))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(2, 90), st.integers(2, 90)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["stretch", "crop"]),
    st.sampled_from([1, 3]),
)
def test_every_size_comes_out(
    shape: tuple[int, int], size: tuple[int, int], fit: str, channels: int
) -> None:
    preprocessing = Preprocessing(size=size, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3, fit=fit)  # type: ignore[arg-type]
    image = np.full((*shape, channels), 51, np.uint8)
    found = prepare(image, preprocessing)
    assert found.shape == (3, *size)
    np.testing.assert_allclose(found, 0.2, atol=1e-6)
    x1, y1, x2, y2 = input_region(*shape, preprocessing)
    assert 0 <= x1 < x2 <= shape[1]
    assert 0 <= y1 < y2 <= shape[0]
    if fit == "stretch":
        assert (x1, y1, x2, y2) == (0, 0, shape[1], shape[0])
    else:
        # Full in one direction; in the other the model's aspect, to the pixel.
        assert x2 - x1 == shape[1] or y2 - y1 == shape[0]
        scale = min(shape[0] / size[0], shape[1] / size[1])
        assert abs((x2 - x1) - size[1] * scale) <= 1.5 + scale
        assert abs((y2 - y1) - size[0] * scale) <= 1.5 + scale


@pytest.mark.parametrize("size", [(4, 9, 7), (9, 20, 11), (30, 40, 50), (1, 3, 2)])
def test_volumes_as_torch_resizes_them(size: tuple[int, int, int]) -> None:
    torch = pytest.importorskip("torch")
    voxels = RNG.integers(-1000, 1000, (9, 20, 11)).astype(np.int16)
    window = (-160.0, 240.0)
    levels = np.clip((voxels + 160.0) / 400, 0, 1).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(levels)[None, None], size, mode="trilinear", align_corners=False
    )[0, 0].numpy()
    found = prepare_channels(
        [(voxels, window)], Preprocessing(size=size, channels=1, mean=(0.5,), std=(0.25,))
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], (expected - 0.5) / 0.25, atol=2e-5)
    nearest = prepare_channels(
        [(voxels, window)],
        Preprocessing(size=size, channels=1, mean=(0.0,), std=(1.0,), interpolation="nearest"),
    )
    exact = torch.nn.functional.interpolate(
        torch.from_numpy(levels)[None, None], size, mode="nearest-exact"
    )[0, 0].numpy()
    assert nearest.shape == (1, *size)
    np.testing.assert_allclose(nearest[0], exact, atol=1e-6)


def test_volumes_turned_and_with_gaps() -> None:
    voxels = np.array([0.0, 50, 100, np.nan, 1e9, -1e9, 25, 75], np.float32).reshape(2, 2, 2)
    preprocessing = Preprocessing(size=(2, 2, 2), channels=1, **PLAIN)
    found = prepare_channels([(voxels, (100.0, 0.0))], preprocessing).ravel()
    np.testing.assert_allclose(found, [1, 0.5, 0, 0, 0, 1, 0.75, 0.25], atol=1e-6)
    with pytest.raises(CaseError, match="too small"):
        prepare_channels([(voxels[:, :1], (0.0, 1.0))], preprocessing)


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("shape", [(37, 53, 1), (37, 53, 3), (24, 24, 3)])
def test_bytes_are_prepared_as_the_formula_says_to_the_last_bit(shape, fit):
    pixels = RNG.integers(0, 256, shape, np.uint8)
    preprocessing = Preprocessing(size=(24, 24), fit=fit)
    (high, wide), (top, left) = resize_and_crop(shape[0], shape[1], preprocessing)
    picture = Image.fromarray(pixels[:, :, 0] if shape[2] == 1 else pixels)
    resized = np.asarray(picture.resize((wide, high), Image.Resampling.BILINEAR))
    cut = resized.reshape(high, wide, -1)[top : top + 24, left : left + 24].astype(np.float32)
    expected = (cut / np.float32(255) - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    found = prepare(pixels, preprocessing)
    np.testing.assert_array_equal(np.moveaxis(found, 0, 2), expected)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "changed",
    [{}, {"fit": "crop"}, {"interpolation": "nearest"}, {"size": (40, 30)}, {"halves": "mirror"}],
)
def test_a_decoded_picture_is_prepared_as_its_pixels_are(tmp_path, mode, channels, changed):
    """Pillow's own picture goes to the resizing without becoming an array in between."""
    if "halves" in changed:
        channels *= 2
    shape = (40, 30) if mode == "L" else (40, 30, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    given = {"size": (20, 24), "channels": channels, "mean": (0.3,) * channels} | changed
    preprocessing = Preprocessing(**given, std=(0.2,) * channels)
    decoded = decode_image(tmp_path / "a.png")
    assert not isinstance(decoded, np.ndarray)
    found = prepare(decoded, preprocessing)
    np.testing.assert_array_equal(found, prepare(pixels.reshape(40, 30, -1), preprocessing))

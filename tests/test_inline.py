"""A figure in memory, for scripts and notebooks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fastcam.errors import InputError, OutputError
from fastcam.inline import Figure, figure_of
from fastcam.spec import Style

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)
CAM = RNG.random((7, 7), dtype=np.float32)
STYLE = Style(panel_size=40)


def test_it_shows_in_a_notebook() -> None:
    figure = figure_of(IMAGE, {"layer4": CAM}, title="cat", style=STYLE)
    shown = np.asarray(Image.open(io.BytesIO(figure._repr_png_())))
    assert np.array_equal(shown, figure.pixels)
    assert figure.pixels.dtype == np.uint8
    height, width, _ = figure.pixels.shape
    assert f"{width}x{height}" in repr(figure)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "PNG"])
def test_it_saves_itself(tmp_path, suffix: str) -> None:
    figure = figure_of(IMAGE, {"layer4": CAM}, style=STYLE)
    path = figure.save(str(tmp_path / f"a.{suffix}"))
    with Image.open(path) as picture:
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - figure.pixels).mean() < 8
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{suffix}"]


def test_where_it_cannot_be_saved(tmp_path) -> None:
    figure = Figure(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"\.png, \.jpg or \.webp"):
        figure.save(tmp_path / "a.bmp")
    with pytest.raises(OutputError, match="folder doesn't exist"):
        figure.save(tmp_path / "no" / "a.png")


@pytest.mark.parametrize(
    ("shape", "dims", "rows"), [((7, 7), 2, 1), ((3, 7, 7), 2, 3), ((4, 6, 7, 7), 2, 1),
                                ((5, 7, 7), 3, 1), ((2, 5, 7, 7), 3, 2)],
)  # fmt: skip
def test_a_row_for_each_map(shape, dims, rows) -> None:
    one = figure_of(IMAGE, {"a": CAM}, style=STYLE).pixels
    many = figure_of(IMAGE, {"a": RNG.random(shape, np.float32)}, dims=dims, style=STYLE).pixels
    two = figure_of(IMAGE, {"a": CAM, "b": CAM}, style=STYLE).pixels
    step = len(two) - len(one)
    assert len(many) == len(one) + (rows - 1) * step


def test_attention_is_the_mean_over_heads_of_the_last_layer() -> None:
    attention = RNG.random((3, 2, 7, 7), np.float32)
    name = "attention · layer 2 · mean of heads"
    mean = figure_of(IMAGE, {name: attention[2].mean(axis=0)}, style=STYLE)
    found = figure_of(IMAGE, {"attention": attention}, style=STYLE)
    assert np.array_equal(found.pixels, mean.pixels)


def test_a_volume_shows_the_middle_of_its_map() -> None:
    volume = RNG.random((4, 7, 7), np.float32)
    found = figure_of(IMAGE, {"a": volume}, dims=3, style=Style(panel_size=40, scale="slice"))
    middle = (volume[1] + volume[2]) / 2
    expected = figure_of(IMAGE, {"a": middle}, style=Style(panel_size=40, scale="slice"))
    assert np.array_equal(found.pixels, expected.pixels)


def test_grey_images_masks_and_any_script() -> None:
    mask = np.zeros((24, 40), np.uint8)
    mask[5:9] = 1
    figure = figure_of(
        IMAGE[..., 0], {"слой": CAM}, title="患者 7", correct=True, verdict="ok", mask=mask,
        diverging=True, style=STYLE,
    )  # fmt: skip
    assert figure.pixels.shape[2] == 3


@pytest.mark.parametrize(
    ("maps", "word"),
    [
        ({}, "at least one map"),
        ({"a": CAM * np.float32(np.nan)}, "NaN"),
        ({"a": np.zeros((2, 2, 2, 2, 2))}, "shape"),
        ({"a": np.zeros((0, 4))}, "shape"),
    ],
)
def test_maps_that_cannot_be_drawn(maps, word: str) -> None:
    with pytest.raises(InputError, match=word):
        figure_of(IMAGE, maps, style=STYLE)

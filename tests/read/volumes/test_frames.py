from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError
from fastcam.read.volumes.frames import (
    Crop,
    Frame,
    SliceRange,
    parse_frame,
    parse_slices,
    plan_crop,
)


def slow_crop(picture: np.ndarray, mask: np.ndarray, size: int) -> np.ndarray:
    """DESIGN.md, Coordinates, sentence by sentence, with OpenCV."""
    ys, xs = np.where(mask > 127)
    if len(ys):
        y_min, y_max, x_min, x_max = ys.min(), ys.max(), xs.min(), xs.max()
        y_max, x_max = max(y_max, y_min + 1), max(x_max, x_min + 1)
        picture = picture[y_min:y_max, x_min:x_max]
    height, width = picture.shape

    def padded(side: int) -> np.ndarray:
        high, wide = side - height, side - width
        edges = ((high // 2, high - high // 2), (wide // 2, wide - wide // 2))
        return np.pad(picture, edges)

    if height <= size and width <= size:
        return padded(size)
    if height >= size and width >= size:
        if height / size > 1.5 or width / size > 1.5:
            return cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)
        top, left = (height - size) // 2, (width - size) // 2
        return picture[top : top + size, left : left + size]
    square = padded(max(height, width))
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_against_the_definition(data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    size = data.draw(st.integers(1, 40))
    mask = np.zeros((height, width), np.uint8)
    if data.draw(st.booleans()):
        y1, y2 = sorted(data.draw(st.tuples(*[st.integers(0, height - 1)] * 2)))
        x1, x2 = sorted(data.draw(st.tuples(*[st.integers(0, width - 1)] * 2)))
        mask[y1, x1] = mask[y2, x2] = 255
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    picture = rng.random((height, width), np.float32)

    crop = plan_crop(mask > 127, height, width, size)

    expected = slow_crop(picture, mask, size)
    result = crop.apply(picture)
    assert result.shape == (size, size)
    np.testing.assert_allclose(result, expected, atol=2e-5)
    if not crop.resized:
        assert np.array_equal(result, expected)
    x1, y1, x2, y2 = crop.box
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height

    blocks = (rng.random((height, width)) > 0.5).astype(np.uint8)
    reference = slow_crop(blocks * np.float32(255), mask, size)
    sure = np.abs(reference - 127.5) > 0.01  # where OpenCV's own rounding can't decide
    inside = crop.apply_mask(blocks)
    assert inside.dtype == np.uint8
    assert np.array_equal(inside[sure], (reference > 127.5)[sure])


def test_the_last_row_and_column_of_the_mask_are_left_out() -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[2:6, 3:9] = 1
    assert plan_crop(mask, 10, 12, 8) == Crop((3, 2, 8, 5), 2, 1, 8, 8, 8)


def test_a_mask_that_is_one_pixel_and_one_that_is_empty() -> None:
    mask = np.zeros((10, 12), np.uint8)
    assert plan_crop(mask, 10, 12, 20).box == (0, 0, 12, 10)
    mask[9, 11] = 1
    assert plan_crop(mask, 10, 12, 20).box == (11, 9, 12, 10)


@pytest.mark.parametrize(
    ("high", "wide", "expected"),
    [
        (244, 244, Crop((0, 0, 244, 244), 0, 0, 244, 244, 244)),
        (243, 240, Crop((0, 0, 240, 243), 0, 2, 244, 244, 244)),
        (366, 245, Crop((0, 61, 244, 305), 0, 0, 244, 244, 244)),  # 366 is exactly 1.5 times
        (367, 244, Crop((0, 0, 244, 367), 0, 0, 367, 244, 244)),
        (300, 101, Crop((0, 0, 101, 300), 0, 99, 300, 300, 244)),
    ],
)
def test_each_branch_by_hand(high: int, wide: int, expected: Crop) -> None:
    assert plan_crop(np.zeros((high, wide), bool), high, wide, 244) == expected


def test_pictures_keep_their_type_unless_resized_and_are_filled() -> None:
    picture = np.full((4, 6), -1000, np.int16)
    crop = plan_crop(np.zeros((4, 6), bool), 4, 6, 8)
    result = crop.apply(picture, fill=-1024)
    assert result.dtype == np.int16
    assert sorted(set(result.ravel().tolist())) == [-1024, -1000]
    assert (result == -1000).sum() == 24
    shrunk = plan_crop(np.zeros((4, 6), bool), 4, 6, 2).apply(picture)
    assert shrunk.dtype == np.float32
    assert np.allclose(shrunk, -1000)


def test_words() -> None:
    assert parse_frame("image") == Frame()
    assert parse_frame("mask-crop:244") == Frame(244)
    assert parse_slices("all") == SliceRange()
    assert parse_slices("middle:100") == SliceRange(100)
    for text in ("image", "mask-crop:7"):
        assert str(parse_frame(text)) == text
    for text in ("all", "middle:7"):
        assert str(parse_slices(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mask-crop",
        "mask-crop:",
        "mask-crop:0",
        "mask-crop:-3",
        "mask-crop:99999",
        "mask-crop:2.5",
        "Image",
        "mask-crop:٣",
    ],
)
def test_wrong_frames_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="must be image or mask-crop:SIDE"):
        parse_frame(text)


@pytest.mark.parametrize("text", ["", "middle", "middle:0", "middle:x", "first:3", "middle: 3"])
def test_wrong_slices_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="must be all or middle:COUNT"):
        parse_slices(text)


@given(st.integers(1, 500), st.integers(1, 500))
def test_the_middle_is_in_the_middle(n_slices: int, count: int) -> None:
    chosen = SliceRange(count)
    first, length = chosen.first(n_slices), chosen.length(n_slices)
    assert length == min(n_slices, count)
    after = n_slices - first - length
    assert 0 <= after - first <= 1
    assert (SliceRange().first(n_slices), SliceRange().length(n_slices)) == (0, n_slices)

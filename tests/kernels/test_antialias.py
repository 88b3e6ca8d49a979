from __future__ import annotations

import numpy as np
import pytest
from fastcam_kernels.antialias import BICUBIC, BILINEAR, columns_last, resize_planes, resize_words
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

METHODS = {BILINEAR: Image.Resampling.BILINEAR, BICUBIC: Image.Resampling.BICUBIC}


def by_pillow(pixels: np.ndarray, height: int, width: int, method: int) -> np.ndarray:
    """Pillow's resize along x, then along y, as planes (c, height, width)."""
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    for size in ((width, picture.height), (width, height)):
        picture = picture.resize(size, METHODS[method])
    return np.asarray(picture).reshape(height, width, -1).transpose(2, 0, 1)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(*[st.integers(1, 80)] * 4),
    st.sampled_from([1, 3]),
    st.sampled_from([BILINEAR, BICUBIC]),
    st.booleans(),
    st.integers(0, 10**6),
)
@example((512, 512, 224, 224), 3, BILINEAR, False, 0)
@example((480, 640, 256, 341), 3, BICUBIC, True, 0)
def test_every_number_is_pillows(sizes, channels, method, extremes, seed):
    height, width, new_height, new_width = sizes
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    if extremes:  # overshoot beyond 0 and 255 between the passes
        pixels = np.where(pixels > 127, np.uint8(255), np.uint8(0))
    found = resize_planes(pixels, new_height, new_width, method)
    expected = by_pillow(pixels, new_height, new_width, method)
    np.testing.assert_array_equal(found, expected)
    if channels == 3:
        # The highest byte holds what is to count for nothing.
        fourth = rng.integers(0, 256, (height, width, 1), np.uint8)
        words = np.concatenate([pixels, fourth], 2).view("<u4")[:, :, 0]
        found = resize_words(words, new_height, new_width, method)
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=150, deadline=None)
@given(st.tuples(*[st.integers(2, 150)] * 4), st.sampled_from([BILINEAR, BICUBIC]))
@example((100, 50, 37, 37), BILINEAR)
@example((333, 500, 224, 336), BILINEAR)
@example((500, 333, 336, 223), BICUBIC)
def test_pillow_itself_takes_both_passes_in_that_order(sizes, method):
    height, width, new_height, new_width = sizes
    if not columns_last((width, height), (new_width, new_height)):
        return
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 1), np.uint8)
    at_once = Image.fromarray(pixels[:, :, 0]).resize((new_width, new_height), METHODS[method])
    found = resize_planes(pixels, new_height, new_width, method)
    np.testing.assert_array_equal(found[0], np.asarray(at_once))


def test_what_is_left_to_pillow():
    assert columns_last((512, 512), (224, 224))
    assert columns_last((640, 480), (224, 224))
    assert not columns_last((480, 640), (224, 224))
    assert not columns_last((100, 300), (50, 150))


def test_views_are_read_as_they_are():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), np.uint8)
    view = pixels[::-1, ::2, :3]
    expected = by_pillow(np.ascontiguousarray(view), 11, 13, BILINEAR)
    np.testing.assert_array_equal(resize_planes(view, 11, 13, BILINEAR), expected)


@pytest.mark.parametrize(
    ("shape", "size", "method"),
    [
        ((9, 9, 2), (4, 4), BILINEAR),
        ((9, 9), (4, 4), BILINEAR),
        ((9, 0, 1), (4, 4), BILINEAR),
        ((9, 9, 1), (0, 4), BILINEAR),
        ((9, 9, 1), (4, 4), 3),
    ],
)
def test_what_cant_be_resized(shape, size, method):
    with pytest.raises(ValueError, match="resize"):
        resize_planes(np.zeros(shape, np.uint8), size[0], size[1], method)


@pytest.mark.parametrize(
    ("shape", "size", "method"),
    [((9, 9, 1), (4, 4), 1), ((0, 9), (4, 4), 1), ((9, 9), (4, 0), 1), ((9, 9), (4, 4), 0)],
)
def test_what_words_cant_be_resized(shape, size, method):
    with pytest.raises(ValueError, match="resize"):
        resize_words(np.zeros(shape, np.uint32), size[0], size[1], method)

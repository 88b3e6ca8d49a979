from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from fastcam_kernels.resize import BICUBIC, BILINEAR, NEAREST, resize, taps
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = st.integers(1, 40)


def cubic(d: float) -> float:
    """Keys 1981, equation 4, with a = -0.75 as in OpenCV."""
    a, d = -0.75, abs(d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def matrix(n_in: int, n_out: int, method: int) -> np.ndarray:
    """The axis as a dense matrix (n_out, n_in), weight by weight from the kernel's formula."""
    dense = np.zeros((n_out, n_in))
    for i in range(n_out):
        if method == NEAREST:
            dense[i, int((i + 0.5) * n_in / n_out)] = 1
            continue
        centre = (i + 0.5) * n_in / n_out - 0.5
        for j in range(int(np.floor(centre)) - 3, int(np.floor(centre)) + 5):
            d = centre - j
            weight = max(0.0, 1 - abs(d)) if method == BILINEAR else cubic(d)
            dense[i, min(max(j, 0), n_in - 1)] += weight
    return dense


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from([NEAREST, BILINEAR, BICUBIC]), st.booleans())
def test_agrees_with_the_formula(h, w, height, width, method, as_bytes):
    rng = np.random.default_rng([h, w, height, width])
    source = rng.integers(0, 256, (h, w)).astype(np.uint8 if as_bytes else np.float32)
    expected = matrix(h, height, method) @ source.astype(float) @ matrix(w, width, method).T
    result = resize(source, height, width, method)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("method", "flag"), [(BILINEAR, "LINEAR"), (BICUBIC, "CUBIC")])
@pytest.mark.parametrize("size", [(64, 48), (33, 97), (200, 131), (14, 14), (1, 3)])
def test_agrees_with_opencv(method, flag, size):
    rng = np.random.default_rng(0)
    source = rng.random((41, 57)).astype(np.float32)
    interpolation = getattr(cv2, f"INTER_{flag}")
    expected = cv2.resize(source, size[::-1], interpolation=interpolation)
    np.testing.assert_allclose(
        resize(source, size[0], size[1], method), expected, rtol=0, atol=2e-5
    )

    levels = rng.integers(0, 256, (41, 57)).astype(np.uint8)
    expected = cv2.resize(levels, size[::-1], interpolation=interpolation).astype(int)
    result = np.clip(np.floor(resize(levels, size[0], size[1], method) + 0.5), 0, 255)
    assert np.abs(result - expected).max() <= 1


@pytest.mark.parametrize(
    ("method", "mode"), [(NEAREST, "nearest-exact"), (BILINEAR, "bilinear"), (BICUBIC, "bicubic")]
)
@pytest.mark.parametrize("size", [(64, 48), (7, 5), (512, 3)])
def test_agrees_with_torch(method, mode, size):
    source = np.random.default_rng(1).random((14, 37)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(source)[None, None],
        size=size,
        mode=mode,
        align_corners=None if method == NEAREST else False,
    )
    np.testing.assert_allclose(
        resize(source, size[0], size[1], method), expected[0, 0], rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("method", [NEAREST, BILINEAR, BICUBIC])
def test_taps_are_the_resize_matrix(method):
    index, weight, count = taps(9, 23, method)
    assert count == {NEAREST: 1, BILINEAR: 2, BICUBIC: 4}[method]
    dense = np.zeros((23, 9))
    for k in range(4):
        np.add.at(dense, (np.arange(23), index[:, k]), weight[:, k])
    np.testing.assert_allclose(dense, matrix(9, 23, method), atol=1e-6)


def test_takes_flipped_and_read_only_views():
    source = np.random.default_rng(2).random((8, 9)).astype(np.float32)
    view = source[::-1].T
    view.flags.writeable = False
    np.testing.assert_array_equal(
        resize(view, 20, 20, BILINEAR), resize(view.copy(), 20, 20, BILINEAR)
    )


@pytest.mark.parametrize("arguments", [(0, 4, BILINEAR), (4, 0, BILINEAR), (4, 4, 3)])
def test_refuses_what_it_cannot_do(arguments):
    with pytest.raises(ValueError, match=r"resize|unknown"):
        resize(np.zeros((3, 3), np.float32), *arguments)

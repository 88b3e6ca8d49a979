from __future__ import annotations

import numpy as np
import pytest
from fastcam_kernels.grey import percentiles, to_grey
from hypothesis import given, settings
from hypothesis import strategies as st

DTYPES = ["u1", "i1", "u2", "i2", ">i2", "i4", "u4", "i8", "f2", "f4", "f8", ">f8", "?"]


def draw(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (rng.normal(10, 200, shape) * rng.choice([1, 1e-3], shape)).astype(kind)
    if kind.kind == "b":
        return rng.random(shape) > 0.5
    info = np.iinfo(kind)
    wide = rng.integers(info.min, info.max, shape, dtype=kind.newbyteorder("="), endpoint=True)
    return np.where(rng.random(shape) > 0.5, wide, wide // 8).astype(kind)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("window", [(-100.0, 300.0), (300.0, -100.0), (0.25, 0.75)])
def test_grey_levels_follow_the_formula(dtype, window):
    low, high = window
    source = draw(dtype, (13, 21), 0)
    expected = np.floor(255 * (source.astype(float) - low) / (high - low) + 0.5).clip(0, 255)
    for view, wanted in [
        (source, expected),
        (source.T, expected.T),
        (source[::-1, ::-2], expected[::-1, ::-2]),
    ]:
        result = to_grey(view, low, high)
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize(
    "window", [(-300.0, 300.0), (-160.0, 240.0), (300.0, -300.0), (-57.25, 388.5), (7.0, 8.0)]
)
def test_every_small_integer_gets_the_level_of_float64(dtype, window):
    """Slices of 16 bits are scaled in float32 where that changes nothing, else in float64."""
    low, high = window
    info = np.iinfo(dtype)
    source = np.arange(info.min, info.max + 1, dtype=np.int64).astype(dtype).reshape(16, -1)
    factor = 255.0 / (high - low)
    expected = np.floor((source.astype(float) - low) * factor + 0.5).clip(0, 255)
    np.testing.assert_array_equal(to_grey(source, low, high), expected)


def test_nan_is_black_and_infinities_are_clipped():
    source = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)
    assert to_grey(source, 0.0, 1.0).tolist() == [[0, 255, 0, 128]]


def test_equal_limits_make_a_threshold():
    assert to_grey(np.array([[6.0, 7.0, 8.0]]), 7.0, 7.0).tolist() == [[0, 0, 255]]


def test_read_only_source():
    source = np.arange(6, dtype=np.int16).reshape(2, 3)
    source.flags.writeable = False
    assert to_grey(source, 0, 5).tolist() == [[0, 51, 102], [153, 204, 255]]


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=12, deadline=None)
@given(
    shape=st.sampled_from([(1,), (2,), (7, 11), (3, 40, 41)]),
    low=st.floats(0, 100),
    high=st.floats(0, 100),
    seed=st.integers(0, 99),
)
def test_percentiles_are_numpys(dtype, shape, low, high, seed):
    voxels = draw(dtype, shape, seed)
    expected = np.percentile(voxels.astype(np.float64), [low, high])
    np.testing.assert_allclose(percentiles(voxels, low, high), expected, rtol=1e-14, atol=1e-300)
    assert percentiles(voxels.T, low, high) == percentiles(voxels, low, high)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_percentiles_of_small_integers_are_exact(dtype):
    voxels = draw(np.dtype(dtype).str[1:], (50, 60), 3)
    for low, high in [(0.5, 99.5), (0, 100), (33.3, 50)]:
        expected = np.percentile(voxels.astype(np.float64), [low, high])
        assert percentiles(voxels, low, high) == tuple(expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_percentiles_leave_out_nan_and_infinity(dtype):
    finite = draw(np.dtype(dtype).str[1:], (999,), 4)
    voxels = np.concatenate([finite, np.array([np.nan, np.inf, -np.inf, -np.nan] * 50, dtype)])
    expected = np.percentile(finite.astype(np.float64), [1, 99])
    np.testing.assert_allclose(percentiles(voxels, 1, 99), expected, rtol=1e-14)


@pytest.mark.parametrize("voxels", [np.zeros((0, 3)), np.full((2, 2), np.nan, np.float32)])
def test_nothing_finite_gives_a_usable_window(voxels):
    assert percentiles(voxels, 0.5, 99.5) == (0.0, 1.0)


def test_complex_numbers_are_refused():
    with pytest.raises(ValueError, match="complex64"):
        percentiles(np.zeros(3, np.complex64), 0, 100)
    with pytest.raises(ValueError, match="complex64"):
        to_grey(np.zeros((3, 3), np.complex64), 0, 100)


def test_a_buffer_is_filled_and_a_wrong_one_refused():
    source, buffer = np.array([[0, 5, 10]], np.int16), np.full((1, 3), 9, np.uint8)
    assert to_grey(source, 0, 10, buffer) is buffer
    assert buffer.tolist() == [[0, 128, 255]]
    with pytest.raises(ValueError, match="out must be"):
        to_grey(source, 0, 10, np.zeros((3, 1), np.uint8))

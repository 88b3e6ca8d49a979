from __future__ import annotations

import io
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from fastcam_kernels.png import assemble, up_filter
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from PIL import Image


def encode(canvas: np.ndarray, **options: Any) -> bytes:
    height, width, channels = canvas.shape
    deflated = isal_zlib.compress(up_filter(canvas).tobytes(), level=1)
    return b"".join(assemble(width, height, channels, deflated, **options))


def content(kind: str, height: int, width: int, channels: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    if kind == "flat":
        return np.full((height, width, channels), rng.integers(0, 256), np.uint8)
    ramp = np.add.outer(np.arange(height) * 7, np.arange(width) * 3)
    return np.repeat(ramp[:, :, None], channels, axis=2).astype(np.uint8)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(["noise", "flat", "ramp"]),
    st.integers(1, 70),
    st.one_of(st.integers(1, 70), st.just(3000)),
    st.sampled_from([1, 3]),
    st.integers(0, 10**6),
)
def test_pillow_and_opencv_read_back_what_was_written(kind, height, width, channels, seed):
    canvas = content(kind, height, width, channels, seed)
    data = encode(canvas, dpi=150, text={"Title": "case 1"})
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.mode == ("L" if channels == 1 else "RGB")
        pillow = np.asarray(picture).reshape(canvas.shape)
    np.testing.assert_array_equal(pillow, canvas)
    flag = cv2.IMREAD_UNCHANGED
    opencv = cv2.imdecode(np.frombuffer(data, np.uint8), flag).reshape(canvas.shape)
    np.testing.assert_array_equal(opencv[:, :, ::-1], canvas)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 10**6))
def test_up_filter_is_the_difference_to_the_row_above(height, width, channels, seed):
    canvas = content("noise", height, width, channels, seed)
    rows = canvas.reshape(height, -1).astype(int)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = up_filter(canvas)
    assert filtered.dtype == np.uint8
    assert (filtered[:, 0] == 2).all()
    np.testing.assert_array_equal(filtered[:, 1:], (rows - above) % 256)


def test_resolution_and_text_in_any_script():
    data = encode(
        content("flat", 2, 3, 3, 0), dpi=300, text={"Case": "Müller", "Comment": "患者 001"}
    )
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.info["dpi"] == pytest.approx((300, 300), rel=1e-4)
        assert picture.text == {"Case": "Müller", "Comment": "患者 001"}  # type: ignore[attr-defined]


def test_checksums_come_from_the_function_that_is_handed_over():
    canvas = content("ramp", 5, 6, 3, 0)
    calls = []

    def counting(data: bytes, start: int) -> int:
        calls.append(data)
        return zlib.crc32(data, start)

    assert encode(canvas, crc32=counting) == encode(canvas, crc32=isal_zlib.crc32)
    assert b"IDAT" in calls


def test_the_deflate_stream_is_not_copied():
    stream = zlib.compress(b"\x02\x00")
    assert any(piece is stream for piece in assemble(1, 1, 1, stream))


@pytest.mark.parametrize("shape", [(4, 4, 2), (0, 4, 3), (4, 0, 1)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match="no picture"):
        up_filter(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("keyword", ["", "a" * 80, " padded", "名", "two\nlines"])
def test_a_bad_keyword_is_refused(keyword):
    with pytest.raises(ValueError, match="keyword"):
        assemble(1, 1, 1, b"", text={keyword: "x"})

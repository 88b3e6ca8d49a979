from __future__ import annotations

import numpy as np
from fastcam_kernels.margins import margins
from fastcam_kernels.panel_layers import NO_TEXT, Text
from hypothesis import given, settings
from hypothesis import strategies as st

from .reference import draw_text

PLACE = st.integers(-12, 30)
NO_PANELS = np.zeros((0, 4), np.int32)


def atlas(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    coverage = rng.choice(np.array([0, 0, 255, 1, 128, 254], np.uint8), (9, 30))
    glyphs = np.array([[0, 0, 5, 9], [5, 0, 7, 9], [12, 2, 1, 4], [20, 0, 10, 9]], np.int32)
    return coverage, glyphs


def write(
    canvas: np.ndarray, background: np.ndarray, text: Text, clip: tuple[int, int, int, int]
) -> None:
    margins(canvas, background, NO_PANELS, text, None, clip)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 5), PLACE, PLACE, *[st.integers(0, 255)] * 3), max_size=6),
    st.tuples(*[st.integers(-5, 30)] * 4),
    st.integers(0, 9),
)
def test_text_is_its_formula_and_stays_inside_the_clip(glyphs, clip, seed):
    text = Text(*NO_TEXT[:2], *atlas(seed), np.array(glyphs, np.int32).reshape(-1, 6))
    rng = np.random.default_rng(seed)
    canvas = rng.integers(0, 256, (24, 21, 3), dtype=np.uint8)
    background = rng.integers(0, 256, 3, dtype=np.uint8)
    expected = canvas.copy()
    x1, y1, x2, y2 = (max(side, 0) for side in clip)
    expected[y1:y2, x1:x2] = background
    draw_text(expected, text, clip)
    write(canvas, background, text, clip)
    np.testing.assert_array_equal(canvas, expected)


def test_every_coverage_color_and_background_rounds_exactly():
    coverage = np.arange(256, dtype=np.uint8)[None]
    atlas = np.array([[0, 0, 256, 1]], np.int32)
    for background in range(256):
        colors = (0, 1, 100, 254, 255)
        glyphs = np.array([[0, 0, row, c, c, c] for row, c in enumerate(colors)], np.int32)
        canvas = np.zeros((len(colors), 256, 3), np.uint8)
        text = Text(*NO_TEXT[:2], coverage, atlas, glyphs)
        margins(canvas, np.full(3, background, np.uint8), NO_PANELS, text)
        c, color = np.meshgrid(np.arange(256), colors)
        expected = (c * color + (255 - c) * background + 127) // 255
        np.testing.assert_array_equal(canvas[:, :, 1], expected)


def test_a_glyph_that_sticks_out_of_its_atlas_is_cut():
    canvas = np.zeros((4, 6, 3), np.uint8)
    coverage = np.full((2, 3), 255, np.uint8)
    atlas, glyphs = np.array([[1, 1, 50, 50]], np.int32), np.array([[0, 0, 0, 9, 9, 9]], np.int32)
    text = Text(*NO_TEXT[:2], coverage, atlas, glyphs)
    write(canvas, np.zeros(3, np.uint8), text, (0, 0, 6, 4))
    assert canvas[:, :, 0].tolist() == [[9, 9, 0, 0, 0, 0]] + [[0] * 6] * 3

from __future__ import annotations

import numpy as np
from fastcam_kernels.text import blit
from hypothesis import given, settings
from hypothesis import strategies as st

from .reference import draw_text

PLACE = st.integers(-12, 30)


def atlas(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    coverage = rng.choice(np.array([0, 0, 255, 1, 128, 254], np.uint8), (9, 30))
    glyphs = np.array([[0, 0, 5, 9], [5, 0, 7, 9], [12, 2, 1, 4], [20, 0, 10, 9]], np.int32)
    return coverage, glyphs


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 5), PLACE, PLACE, *[st.integers(0, 255)] * 3), max_size=6),
    st.tuples(*[st.integers(-5, 30)] * 4),
    st.integers(0, 9),
)
def test_blit_is_its_formula_and_stays_inside_the_clip(marks, clip, seed):
    coverage, glyphs = atlas(seed)
    array = np.array(marks, np.int32).reshape(-1, 6)
    canvas = np.random.default_rng(seed).integers(0, 256, (24, 21, 3), dtype=np.uint8)
    expected = canvas.copy()
    draw_text(expected, coverage, glyphs, array, clip)
    blit(canvas, coverage, glyphs, array, clip)
    np.testing.assert_array_equal(canvas, expected)


def test_every_coverage_ink_and_paper_rounds_exactly():
    coverage = np.arange(256, dtype=np.uint8)[None]
    glyphs = np.array([[0, 0, 256, 1]], np.int32)
    paper, c = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    for ink in (0, 1, 100, 254, 255):
        canvas = np.repeat(paper[:, :, None], 3, axis=2).astype(np.uint8)
        marks = np.array([[0, 0, row, ink, ink, ink] for row in range(256)], np.int32)
        blit(canvas, coverage, glyphs, marks, (0, 0, 256, 256))
        expected = (c * ink + (255 - c) * paper + 127) // 255
        np.testing.assert_array_equal(canvas[:, :, 1], expected)


def test_a_glyph_that_sticks_out_of_its_atlas_is_cut():
    canvas = np.zeros((4, 6, 3), np.uint8)
    coverage = np.full((2, 3), 255, np.uint8)
    marks = np.array([[0, 0, 0, 9, 9, 9]], np.int32)
    blit(canvas, coverage, np.array([[1, 1, 50, 50]], np.int32), marks, (0, 0, 6, 4))
    assert canvas[:, :, 0].tolist() == [[9, 9, 0, 0, 0, 0]] + [[0] * 6] * 3

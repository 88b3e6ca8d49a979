from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
import pytest
from fastcam_kernels.blend_tables import Mode, blend_tables
from fastcam_kernels.colormap import table
from fastcam_kernels.filtered_rows import filters_of
from fastcam_kernels.margins import margins
from fastcam_kernels.panel_kernel import panel
from fastcam_kernels.panel_layers import Heat, Image, Layers, Text, Tint
from fastcam_kernels.png import assemble
from fastcam_kernels.text import changed_area
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from . import reference
from .test_panel_kernel import NO_HEAT, NO_IMAGE, NO_MASK, overlays


def unfiltered(rows: np.ndarray) -> np.ndarray:
    """Filter types 0 (None) and 2 (Up) undone as section 9.2 of the PNG specification says."""
    kinds, filtered = rows[:, 0], rows[:, 1:].astype(int)
    assert set(kinds.tolist()) <= {0, 2}
    plain = np.zeros_like(filtered)
    for y, kind in enumerate(kinds):
        above = plain[y - 1] if y > 0 else 0
        plain[y] = (filtered[y] + (above if kind == 2 else 0)) % 256
    return plain.astype(np.uint8).reshape(len(rows), -1, 3)


def grid(sizes: list[list[tuple[int, int]]], gap: int) -> tuple[np.ndarray, int, int]:
    """Panels (height, width) in rows, ``gap`` pixels around each: holes, height, width."""
    holes, y, width = [], gap, 1
    for line in sizes:
        x = gap
        for high, wide in line:
            holes.append((x, y, x + wide, y + high))
            x += wide + gap
        width = max(width, x)
        y += max(high for high, _ in line) + gap
    return np.array(holes, np.int32), max(y, 1), width


def any_panel(rng: np.random.Generator, height: int, width: int) -> Layers:
    """Layers of every kind a figure has."""

    def size() -> tuple[int, int]:
        return (height, width) if rng.random() < 0.6 else tuple(rng.integers(1, 30, 2))

    image, mask = NO_IMAGE, NO_MASK
    heat: np.ndarray = NO_HEAT
    if rng.random() < 0.7:
        image = rng.integers(0, 256, (*size(), int(rng.choice([1, 3]))), dtype=np.uint8)
        image[rng.random(len(image)) < 0.3] = 7  # rows that are like their neighbours
    kind = rng.integers(3)
    if kind == 1:
        heat = np.repeat(rng.random(size()[::-1], np.float32), 3, axis=0)
    elif kind == 2:
        heat = np.repeat(rng.integers(0, 256, size(), dtype=np.uint8), 2, axis=0)[:height]
    if rng.random() < 0.3:
        mask = rng.integers(0, 2, size(), dtype=np.uint8)
    over = overlays(rng, int(rng.choice([0, 0, 3])), max(height, width))
    modes: tuple[Mode, ...] = ("flat", "heat", "only")
    mode = modes[rng.integers(3)]
    tables = blend_tables(table("jet"), float(rng.choice([0.5, 0.35, 1.0])), mode)
    return Layers(
        Image(image, int(rng.integers(3))),
        Heat(heat, 0.2, 0.9, tables, int(rng.integers(3))),
        Tint(mask, np.array([9, 200, 90], np.uint8), 0.3),
        *over,
    )


PANEL_SIZES = st.lists(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(sizes=PANEL_SIZES, gap=st.integers(0, 4), seed=st.integers(0, 10**6))
def test_filtered_rows_are_the_canvas(sizes, gap, seed):
    rng = np.random.default_rng(seed)
    holes, height, width = grid(sizes, gap)
    _, text = overlays(rng, 4, max(height, width))
    background = rng.integers(0, 256, 3, dtype=np.uint8)
    panels = [any_panel(rng, y2 - y1, x2 - x1) for x1, y1, x2, y2 in holes.tolist()]

    def draw(target, filters):
        margins(target, background, holes, text, filters)
        for (x1, y1, x2, y2), layers in zip(holes.tolist(), panels, strict=True):
            panel(target, (x1, y1, x2 - x1, y2 - y1), layers, filters)
        return target

    canvas = draw(np.full((height, width, 3), 77, np.uint8), None)
    rows = np.full((height, 1 + 3 * width), 99, np.uint8)
    draw(rows, filters_of(height, holes))
    np.testing.assert_array_equal(unfiltered(rows), canvas)
    data = b"".join(assemble(width, height, 3, zlib.compress(rows.tobytes(), 1)))
    np.testing.assert_array_equal(np.asarray(PilImage.open(io.BytesIO(data))), canvas)
    opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(opencv[:, :, ::-1], canvas)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6), begin=st.integers(0, 4), ends=st.tuples(*[st.integers(0, 4)] * 2)
)
def test_what_changed_of_the_texts_can_be_drawn_anew(seed, begin, ends):
    """Two lists of glyphs with the same beginning, anywhere on the canvas and beyond it."""
    rng = np.random.default_rng(seed)
    panels = np.array([[3, 7, 20, 22]], np.int32)
    background = np.array([250, 240, 230], np.uint8)
    filters = filters_of(24, panels)
    _, text = overlays(rng, 12, 24)
    lists = [np.delete(text.glyphs, slice(begin, at), axis=0) for at in (4, 8)]
    lists = [glyphs[: begin + end] for glyphs, end in zip(lists, ends, strict=True)]

    def rows(glyphs, rows=None, area=None):
        rows = np.zeros((24, 1 + 3 * 24), np.uint8) if rows is None else rows
        boxes = text.boxes[:2], text.box_colors[:2]
        margins(
            rows, background, panels, Text(*boxes, text.coverage, text.atlas, glyphs), filters, area
        )
        return rows

    x1, y1, x2, y2 = changed_area(lists[0], lists[1], text.atlas)
    before, expected = rows(lists[0]), rows(lists[1])
    if x1 < x2:
        result = rows(lists[1], before.copy(), (x1, y1, x2, y2 + 1))
        outside = np.ones(before.shape, bool)
        outside[max(0, y1) : max(0, y2 + 1), max(0, 1 + 3 * x1) : max(0, 1 + 3 * x2)] = False
        np.testing.assert_array_equal(result[outside], before[outside])
    else:
        result = before
    np.testing.assert_array_equal(result, expected)


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    kinds=st.lists(st.sampled_from(["any", "blank", "grey"]), min_size=1, max_size=5),
    seed=st.integers(0, 10**6),
)
def test_zeros_that_are_there_already_need_no_writing(sizes, kinds, seed):
    rng = np.random.default_rng(seed)
    height, width = sizes
    filters = filters_of(height + 3, np.array([[2, 1, 2 + width, 1 + height]], np.int32))
    drawn, zeros = (
        np.full((height + 3, 1 + 3 * (width + 4)), 99, np.uint8),
        np.zeros(height, np.uint8),
    )
    for kind in kinds:
        layers = any_panel(rng, height, width)
        if kind != "any":
            pixels = np.repeat(rng.integers(0, 2, (height, 1, 1), np.uint8), width, axis=1)
            layers = Layers(layers.image._replace(pixels=pixels), layers.heat)
            layers = layers._replace(heat=layers.heat._replace(values=NO_HEAT))
        if kind == "blank":
            levels = layers.image.pixels[:, :, 0]
            layers = Layers(Image(NO_IMAGE), layers.heat._replace(values=levels))
        fresh = np.full(drawn.shape, 99, np.uint8)
        panel(fresh, (2, 1, width, height), layers, filters)
        panel(drawn, (2, 1, width, height), layers, filters, zeros)
        np.testing.assert_array_equal(drawn, fresh)
        inside = drawn[1 : 1 + height, 7 : 7 + 3 * width]
        assert not inside[zeros == 1].any()


@settings(max_examples=150, deadline=None)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 6),
    runs=st.integers(1, 9),
    mode=st.sampled_from(["flat", "heat", "only"]),
    alpha=st.sampled_from([0.5, 0.25, 0.0, 1.0, 0.4, 0.333]),
    enlarged=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_patchy_levels_over_grey_are_the_formula(width, height, runs, mode, alpha, enlarged, seed):
    """Levels in long runs take a path of their own; the reference has one path."""
    rng = np.random.default_rng(seed)
    cell = np.sort(rng.integers(0, runs, width))
    levels = rng.integers(0, 256, (height, runs), dtype=np.uint8)[:, cell]
    levels[1:][rng.random(height - 1) < 0.5] = levels[0]
    image = rng.integers(0, 256, (height, width, 1), dtype=np.uint8)
    tables = blend_tables(table("viridis"), alpha, mode)
    high, wide = (2 * height, 3 * width) if enlarged else (height, width)
    layers = Layers(
        Image(image),
        Heat(levels, 0.0, 255.0, tables),
        Tint(NO_MASK, np.zeros(3, np.uint8), 0.0),
        *overlays(rng, int(rng.integers(3)), max(high, wide)),
    )
    drawn, expected = np.zeros((2, high, wide, 3), np.uint8)
    panel(drawn, (0, 0, wide, high), layers)
    values = layers.heat._replace(values=levels.astype(np.float32))
    reference.panel(expected, (0, 0, wide, high), layers._replace(heat=values))
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("panels", [[], [[0, 0, 4, 4]], [[1, 2, 3, 9], [4, 2, 6, 5]]])
def test_up_is_used_but_where_a_panel_begins_or_has_ended(panels):
    filters = filters_of(9, np.array(panels, np.int32).reshape(-1, 4))
    edges = {0} | {y for _, y1, _, y2 in panels for y in (y1, y2)}
    assert filters.tolist() == [0 if y in edges else 2 for y in range(9)]

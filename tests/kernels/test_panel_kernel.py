from __future__ import annotations

import numpy as np
import pytest
from fastcam_kernels.blend_tables import blend_tables
from fastcam_kernels.colormap import table
from fastcam_kernels.margins import margins
from fastcam_kernels.panel_kernel import panel
from fastcam_kernels.panel_layers import (
    NO_OUTLINES,
    NO_TEXT,
    Heat,
    Image,
    Layers,
    Outlines,
    Text,
    Tint,
)
from fastcam_kernels.resize import BILINEAR
from hypothesis import given, settings
from hypothesis import strategies as st

from . import reference

NO_IMAGE = np.zeros((0, 0, 1), np.uint8)
NO_HEAT = np.zeros((0, 0), np.float32)
NO_MASK = np.zeros((0, 0), np.uint8)
SIDE = st.integers(1, 40)


def overlays(rng: np.random.Generator, n: int, reach: int) -> tuple[Outlines, Text]:
    """Boxes, backgrounds and text anywhere, partly or wholly outside."""
    corners = rng.integers(-reach // 2, reach, (2, n, 2))
    boxes = np.concatenate([corners[0], corners[0] + rng.integers(-2, reach, (n, 2))], axis=1)
    glyphs = np.concatenate(
        [rng.integers(0, 4, (n, 1)), corners[1], rng.integers(0, 256, (n, 3))], axis=1
    )
    outlines = Outlines(
        boxes=boxes.astype(np.int32),
        colors=rng.integers(0, 256, (n, 3)).astype(np.uint8),
        widths=rng.integers(0, 5, n).astype(np.int32),
    )
    text = Text(
        boxes=(boxes[::-1] + 3).astype(np.int32),
        box_colors=rng.integers(0, 256, (n, 3)).astype(np.uint8),
        coverage=rng.integers(0, 256, (9, 30)).astype(np.uint8),
        atlas=np.array([[0, 0, 5, 9], [5, 0, 7, 9], [12, 2, 1, 4]], np.int32),
        glyphs=glyphs.astype(np.int32),
    )
    return outlines, text


@settings(max_examples=250, deadline=None)
@given(
    x=st.integers(0, 9),
    y=st.integers(0, 9),
    width=SIDE,
    height=SIDE,
    image_size=st.one_of(st.none(), st.just("same"), st.tuples(SIDE, SIDE)),
    channels=st.sampled_from([1, 3]),
    heat_size=st.one_of(st.none(), st.just("same"), st.tuples(SIDE, SIDE)),
    tint_size=st.one_of(st.none(), st.just("same"), st.tuples(SIDE, SIDE)),
    methods=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    limits=st.sampled_from([(0.0, 1.0), (-0.3, 0.4), (0.5, 0.5), (0.8, 0.1)]),
    mode=st.sampled_from(["flat", "heat", "only"]),
    n=st.integers(0, 5),
    seed=st.integers(0, 10**6),
)
def test_panel_is_its_reference_and_touches_nothing_else(
    x, y, width, height, image_size, channels, heat_size, tint_size, methods, limits, mode, n, seed
):
    rng = np.random.default_rng(seed)

    def size(choice):
        return (height, width) if choice == "same" else choice

    image, heat, mask = NO_IMAGE, NO_HEAT, NO_MASK
    if image_size is not None:
        image = rng.integers(0, 256, (*size(image_size), channels), dtype=np.uint8)
    if heat_size is not None:
        heat = rng.random(size(heat_size), np.float32)
        heat[rng.random(heat.shape) > 0.9] = rng.choice([np.nan, 0, 5, -5])
    if tint_size is not None:
        mask = rng.integers(0, 3, size(tint_size), dtype=np.uint8)
    tables = blend_tables(table("turbo"), 0.35, mode)
    layers = Layers(
        Image(image, methods[0]),
        Heat(heat, limits[0], limits[1], tables, methods[1]),
        Tint(mask, np.array([250, 3, 90], np.uint8), 0.3),
        *overlays(rng, n, max(width, height)),
    )
    canvas = rng.integers(0, 256, (y + height + 3, x + width + 2, 3), dtype=np.uint8)
    expected = canvas.copy()
    reference.panel(expected, (x, y, width, height), layers)
    panel(canvas, (x, y, width, height), layers)
    np.testing.assert_array_equal(canvas, expected)


def draw(width, height, image=NO_IMAGE, heat=NO_HEAT, low=0.0, high=1.0, tables=None, **over):
    canvas = np.zeros((height, width, 3), np.uint8)
    tables = tables or blend_tables(table("jet"), 1.0, "only")
    heat_layer = Heat(heat, low, high, tables, BILINEAR)
    layers = Layers(Image(image, BILINEAR), heat_layer, **over)
    panel(canvas, (0, 0, width, height), layers)
    return canvas


def test_heat_levels_follow_the_formula_in_double_precision():
    heat = np.linspace(-0.3, 1.2, 4000, dtype=np.float32)[None]
    low, high = -0.1, 1.1
    exact = 255 * (heat[0].astype(float) - low) / (high - low)
    clear = np.abs(exact - np.floor(exact) - 0.5) > 1e-3  # a half may go either way in float32
    drawn = draw(4000, 1, heat=heat, low=low, high=high)[0]
    expected = table("jet")[np.floor(exact + 0.5).clip(0, 255).astype(int)]
    np.testing.assert_array_equal(drawn[clear], expected[clear])


def test_the_limits_get_the_ends_of_the_table():
    heat = np.array([[np.float32(0.1), np.float32(0.7), np.nan]], np.float32)
    low, high = float(heat[0, 0]), float(heat[0, 1])
    jet = table("jet")
    assert draw(3, 1, heat=heat, low=low, high=high)[0].tolist() == jet[[0, 255, 0]].tolist()
    assert draw(3, 1, heat=heat, low=high, high=high)[0].tolist() == jet[[0, 0, 0]].tolist()


def test_a_flat_blend_is_opencvs_add_weighted():
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (64, 50, 1), dtype=np.uint8)
    levels = rng.integers(0, 256, (64, 50), dtype=np.uint8)
    colors = cv2.applyColorMap(levels, cv2.COLORMAP_JET)[:, :, ::-1]
    expected = cv2.addWeighted(colors, 0.4, np.repeat(image, 3, axis=2), 0.6, 0)
    drawn = draw(
        50, 64, image, levels.astype(np.float32), 0, 255, blend_tables(table("jet"), 0.4, "flat")
    )
    assert np.abs(drawn.astype(int) - expected).max() <= 1


def test_an_outline_lies_inside_its_box():
    drawn = draw(
        7,
        6,
        outlines=Outlines(
            np.array([[1, 1, 6, 6]], np.int32),
            np.array([[0, 255, 0]], np.uint8),
            np.array([1], np.int32),
        ),
    )
    expected = np.zeros((6, 7), int)
    expected[1:6, 1:6] = 255
    expected[2:5, 2:5] = 0
    assert drawn[:, :, 1].tolist() == expected.tolist()


@pytest.mark.parametrize("area", [(-1, 0, 4, 4), (0, 7, 4, 4), (7, 0, 4, 4), (0, 0, 0, 4)])
def test_a_panel_outside_the_canvas_is_refused(area):
    canvas = np.zeros((10, 10, 3), np.uint8)
    layers = Layers(Image(NO_IMAGE))
    with pytest.raises(ValueError, match="isn't inside the canvas of 10x10"):
        panel(canvas, area, layers)


def test_arrays_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="each box needs"):
        draw(5, 5, outlines=NO_OUTLINES._replace(boxes=np.zeros((2, 4), np.int32)))
    with pytest.raises(ValueError, match="each label background needs"):
        draw(5, 5, text=NO_TEXT._replace(boxes=np.zeros((2, 4), np.int32)))
    with pytest.raises(ValueError, match="2 channels"):
        draw(5, 5, image=np.zeros((5, 5, 2), np.uint8))


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 50),
    st.integers(1, 40),
    st.lists(st.tuples(*[st.integers(-10, 60)] * 4), max_size=4),
    st.integers(0, 4),
    st.integers(0, 10**6),
)
def test_margins_fill_all_but_the_panels(width, height, panels, n, seed):
    rng = np.random.default_rng(seed)
    _, text = overlays(rng, n, max(width, height))
    background = rng.integers(0, 256, 3, dtype=np.uint8)
    canvas = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = canvas.copy()
    outside = np.ones((height, width), bool)
    for x1, y1, x2, y2 in panels:
        reference.fill(outside, x1, y1, x2, y2, False)
    page = np.broadcast_to(background, canvas.shape).copy()
    reference.draw_text(page, text, (0, 0, width, height))
    expected[outside] = page[outside]
    array = np.array(panels, np.int32).reshape(-1, 4)
    margins(canvas, background, array, text)
    np.testing.assert_array_equal(canvas, expected)

"""The four-panel figure, pixel by pixel, against the slow painting of ``painted``."""

from __future__ import annotations

import numpy as np
import pytest
from fastcam_kernels.colormap import table
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.figures import layout
from fastcam.figures.glyph_atlas import prepare
from fastcam.options import Style

from . import expected_pixels

GREEN, YELLOW = (0, 255, 0), (255, 255, 0)


def some_case(height: int, width: int, count: int, seed: int):
    """Boxes of which some overlap, stick out or are one pixel wide; weights as softmax gives."""
    rng = np.random.default_rng(seed)
    x1, y1 = rng.integers(-4, width - 1, count), rng.integers(-4, height - 1, count)
    x2 = np.maximum(x1 + rng.integers(1, max(2, width // 2), count), 1)
    y2 = np.maximum(y1 + rng.integers(1, max(2, height // 2), count), 1)
    weights = np.exp(rng.normal(size=count) * 2)
    return expected_pixels.make_case(np.stack([x1, y1, x2, y2], 1), weights / weights.sum())


def check(case, grey, style, mask=None) -> None:
    """Every pixel of every panel, save those under a label."""
    _, panels, sheet, (low, high) = expected_pixels.figure(case, grey, style, mask)
    height, width = layout.enlarged(grey.shape[0], grey.shape[1], style.panel_size)
    slack = 0 if (height, width) == grey.shape else 1
    image = expected_pixels.bilinear(grey, height, width)
    assert np.abs(panels[0].astype(int) - image[..., None]).max() <= slack
    if mask is not None:
        white = expected_pixels.nearest((mask > 0) * 255, height, width)
        assert (panels[1] == white[..., None]).all()

    heat = expected_pixels.slow_heat(case.boxes, case.weights, *grey.shape)
    assert low == 0.0
    assert high == pytest.approx(heat.max(), rel=1e-6)
    colors = expected_pixels.JET if style.colormap == "jet" else table(style.colormap)
    choices = [
        expected_pixels.nearest(e, height, width) for e in expected_pixels.levels(heat, low, high)
    ]
    shown = np.stack([colors[level] for level in choices])
    assert (panels[-2] == shown).all(axis=-1).any(axis=0).all()

    overlays = []
    for level in choices:
        picture = expected_pixels.blended(image, level, colors, style.heat_alpha, style.patch_blend)
        order = sorted(range(len(case.weights)), key=lambda i: (-case.weights[i], i))
        for rank, i in reversed(list(enumerate(order[: style.top_k]))):
            inside = expected_pixels.box_pixels(case.boxes[i], grey.shape, height, width)
            expected_pixels.outline(picture, inside, YELLOW if rank else GREEN, 1 if rank else 3)
        overlays.append(picture)
    lettering = prepare("".join(set(case.name)), (), layout.zoom_of(max(height, width)))
    free = ~expected_pixels.label_pixels(sheet, lettering)
    off = np.abs(panels[-1].astype(float) - np.stack(overlays)).max(axis=-1).min(axis=0)
    assert off[free].max(initial=0) <= slack + 0.501


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


@pytest.mark.parametrize("blend", ["flat", "heat"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("panel_size", [32, 61, 120, 150])
def test_the_figure_is_the_one_painted_by_hand(blend, theme, panel_size):
    case = some_case(60, 48, 14, seed=panel_size)
    grey, mask = noise(60, 48), (noise(60, 48, 1) > 99) * np.uint8(255)
    style = Style(
        blend=blend, theme=theme, panel_size=panel_size, top_k=5, heat_alpha=0.4, style="classic"
    )
    check(case, grey, style, mask)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(3, 70),
    width=st.integers(3, 70),
    count=st.integers(1, 20),
    panel_size=st.integers(32, 140),
    top_k=st.integers(0, 8),
    alpha=st.floats(0, 1),
    blend=st.sampled_from(["flat", "heat"]),
    colormap=st.sampled_from(["jet", "viridis", "gray", "coolwarm"]),
    seed=st.integers(0, 99),
)
def test_it_is_so_for_any_size_of_slice_and_panel(
    height, width, count, panel_size, top_k, alpha, blend, colormap, seed
):
    style = Style(
        style="classic",
        blend=blend,
        panel_size=panel_size,
        top_k=top_k,
        heat_alpha=alpha,
        colormap=colormap,
    )
    check(some_case(height, width, count, seed), noise(height, width, seed), style)


@pytest.fixture
def unlabelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for any label, so that none lies on what is looked at."""
    monkeypatch.setattr(
        "fastcam_kernels.label_placement.label_positions",
        lambda anchors, *_: np.full((len(anchors), 2), -1),
    )


@pytest.mark.usefixtures("unlabelled")
def test_red_is_red():
    """The hottest pixel is JET's dark red, no patch is grey; a box is green, not blue."""
    case = expected_pixels.make_case([[10, 10, 30, 30], [0, 0, 9, 9]], [0.75, 0.25])
    _, panels, _, _ = expected_pixels.figure(
        case, np.zeros((64, 64), np.uint8), Style(panel_size=32)
    )
    assert panels[1][20, 20].tolist() == [128, 0, 0]
    assert panels[1][50, 50].tolist() == [40, 40, 40]
    assert panels[2][10, 10].tolist() == [0, 255, 0]
    assert panels[2][0, 0].tolist() == [255, 255, 0]


@pytest.mark.usefixtures("unlabelled")
def test_the_heaviest_box_is_three_green_pixels_on_top_of_the_yellow_ones():
    boxes = [[20, 20, 50, 50], [10, 10, 40, 40], [20, 20, 50, 50]]
    case = expected_pixels.make_case(boxes, [0.2, 0.5, 0.3])
    style = Style(panel_size=32, heat_alpha=0.0, style="classic")
    _, panels, _, _ = expected_pixels.figure(case, np.zeros((64, 64), np.uint8), style)
    overlay = panels[2]
    for depth in range(3):
        assert overlay[10 + depth, 30].tolist() == [0, 255, 0]
        assert overlay[39 - depth, 30].tolist() == [0, 255, 0]
        assert overlay[30, 10 + depth].tolist() == [0, 255, 0]
        assert overlay[30, 39 - depth].tolist() == [0, 255, 0]
    assert overlay[13, 30].tolist() == [0, 0, 0]
    assert overlay[30, 49].tolist() == [255, 255, 0]
    assert overlay[30, 48].tolist() == [0, 0, 0]
    assert overlay[30, 50].tolist() == [0, 0, 0]


@pytest.mark.usefixtures("unlabelled")
def test_equal_weights_rank_by_their_order_in_the_file():
    boxes = [[40, 40, 60, 60], [0, 0, 20, 20], [20, 20, 40, 40]]
    case = expected_pixels.make_case(boxes, [1 / 3, 1 / 3, 1 / 3])
    _, panels, sheet, _ = expected_pixels.figure(
        case, np.zeros((64, 64), np.uint8), Style(panel_size=32, top_k=2, heat_alpha=0.0)
    )
    assert sheet.rows[0][-1].outlines.boxes.tolist() == boxes[:2]
    assert panels[2][59, 59].tolist() == [0, 255, 0]
    assert panels[2][0, 0].tolist() == [255, 255, 0]
    assert panels[2][39, 39].tolist() == [0, 0, 0]


@pytest.mark.parametrize("side", [200, 199, 96, 244])
@pytest.mark.parametrize("panel_size", [500, 300, 512])
def test_lines_lie_on_the_edges_of_the_heat(side, panel_size):
    """Also where an edge falls on the middle of a pixel: 200 to 500 puts every odd one there."""
    for start in range(0, side - 31, 7):
        box = [start, side - start - 30, start + 24 + start % 2, side - start]
        case = expected_pixels.make_case([box], [1.0])
        style = Style(panel_size=panel_size, heat_alpha=0.0)
        _, panels, _, _ = expected_pixels.figure(case, np.zeros((side, side), np.uint8), style)
        hot = (panels[1] == (128, 0, 0)).all(axis=2)
        expected = np.zeros_like(panels[2])
        expected_pixels.outline(expected, hot, GREEN, 3)
        rows, columns = np.flatnonzero(hot.any(axis=1)), np.flatnonzero(hot.any(axis=0))
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        np.testing.assert_array_equal(panels[2][part], expected[part])


@pytest.mark.usefixtures("unlabelled")
def test_a_box_that_sticks_out_is_closed_at_the_edge():
    case = expected_pixels.make_case([[-5, 20, 30, 99]], [1.0])
    _, panels, _, _ = expected_pixels.figure(
        case, np.zeros((64, 64), np.uint8), Style(panel_size=32, heat_alpha=0.0)
    )
    assert (panels[2][20:, :3] == GREEN).all()
    assert (panels[2][61:, :30] == GREEN).all()
    assert (panels[2][30:50, 3:27] == 0).all()


@pytest.mark.parametrize(
    ("mask", "notice", "panels"), [(True, "", 4), (False, "no mask found", 4), (False, "", 3)]
)
def test_without_masks_there_are_three_panels_and_a_missing_one_says_so(mask, notice, panels):
    grey = noise(128, 128)
    inside = np.full(grey.shape, 255, np.uint8) if mask else None
    case = expected_pixels.make_case([[1, 1, 9, 9]], [1.0])
    _, drawn, sheet, _ = expected_pixels.figure(
        case, grey, Style(panel_size=64), inside, notice=notice
    )
    assert len(drawn) == panels
    assert [p.caption.split(",")[0] for p in sheet.rows[0]] == [
        "slice",
        *["mask"] * (panels == 4),
        "attention",
        "overlay",
    ]
    if notice:
        assert 0 < (drawn[1] > 100).all(axis=2).sum() < 2000


def test_the_header_says_who_where_and_how_sure_in_green_or_red():
    boxes, grey = [[1, 1, 9, 9], [2, 2, 9, 9]], noise(300, 300)
    for theme in ("light", "dark"):
        for correct in (True, False):
            case = expected_pixels.make_case(boxes, [0.7, 0.3], [5, 6], "站 7", correct)
            style = Style(panel_size=64, theme=theme)
            canvas, _, sheet, _ = expected_pixels.figure(case, grey, style, index=5)
            assert sheet.title == "站 7  ·  slice 5  ·  BEST"
            told = [("correct", 1), ("wrong", 0)][not correct]
            assert (
                sheet.verdict == f"{told[0]}  ·  true 1  predicted {told[1]}  ·  confidence 0.9000"
            )
            header = canvas[:40].reshape(-1, 3).astype(int)
            greener = (header[:, 1] - header[:, 0]).max()
            redder = (header[:, 0] - header[:, 1]).max()
            assert (greener > 60) == correct
            assert (redder > 60) == (not correct)
            _, _, sheet, _ = expected_pixels.figure(case, grey, style, index=6)
            assert "BEST" not in sheet.title


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 2), (1, 2000), (2000, 3), (24, 24), (7, 1), (3, 300)],
)
@pytest.mark.parametrize("scale", ["slice", "patient", "cohort", "rank"])
def test_odd_shapes_are_drawn(height, width, scale):
    case = expected_pixels.make_case([[0, 0, width, height]], [1.0])
    style = Style(scale=scale, panel_size=64)
    _, panels, _, limits = expected_pixels.figure(case, noise(height, width), style, high=1.0)
    assert limits == (0.0, 1.0)
    assert panels[0].shape[:2] == layout.enlarged(height, width, 64)
    assert (panels[1] == (128, 0, 0)).all()


def test_a_large_slice_has_larger_text_and_its_own_pixels():
    grey = noise(4096, 4096)
    case = expected_pixels.make_case([[100, 100, 900, 900]], [1.0])
    _, panels, sheet, _ = expected_pixels.figure(case, grey, Style())
    assert (panels[0] == grey[..., None]).all()
    label = expected_pixels.label_pixels(sheet, prepare("p", (), 8.0))
    assert label.any(axis=1).sum() > 100


@pytest.mark.parametrize("scale", ["slice", "patient", "cohort", "rank"])
@pytest.mark.parametrize("weights", [[0.0] * 3, [1e-9] * 3, [0.25] * 3, [1e-9, 0.0, 1.0]])
def test_odd_weights_are_drawn(scale, weights):
    boxes = [[0, 0, 9, 9], [5, 5, 20, 20], [30, 30, 40, 40]]
    case = expected_pixels.make_case(boxes, weights)
    high = max(weights)
    _, panels, _, limits = expected_pixels.figure(
        case, noise(64, 64), Style(scale=scale, panel_size=32, style="classic"), high=high
    )
    top = 1.0 if scale == "rank" else np.float32(high)
    assert limits == (0.0, pytest.approx(top))
    assert (panels[1][:, 60:] == (0, 0, 128)).all()
    if high > 0:
        assert panels[1][35, 35].tolist() == [128, 0, 0]
    else:
        assert (panels[1] == (0, 0, 128)).all()


def test_a_weight_of_zero_is_not_the_same_as_no_patch():
    case = expected_pixels.make_case([[0, 0, 20, 20], [30, 30, 50, 50]], [0.0, 1.0])
    grey = np.zeros((64, 64), np.uint8)
    _, panels, _, _ = expected_pixels.figure(case, grey, Style(panel_size=64))
    zero, without = panels[1][10, 10].tolist(), panels[1][25, 25].tolist()
    assert without == [40, 40, 40]
    assert zero == expected_pixels.JET[1].tolist()
    # The pictures of old have one color for both.
    _, panels, _, _ = expected_pixels.figure(case, grey, Style(panel_size=64, style="classic"))
    assert panels[1][10, 10].tolist() == panels[1][25, 25].tolist() == [0, 0, 128]


def test_a_slice_without_patches_is_grey_and_has_no_boxes():
    case = expected_pixels.make_case([[0, 0, 9, 9]], [1.0], [3])
    _, panels, sheet, limits = expected_pixels.figure(
        case, noise(64, 64), Style(panel_size=32), index=0
    )
    assert limits == (0.0, 1.0)
    assert (panels[1] == (40, 40, 40)).all()
    assert sheet.rows[0][-1].caption == "overlay, 0 patches"


def test_five_hundred_patches_are_drawn():
    case = some_case(256, 256, 500, seed=3)
    check(case, noise(256, 256), Style(panel_size=256, top_k=500, style="classic"))

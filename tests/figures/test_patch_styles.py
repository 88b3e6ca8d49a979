"""The four-panel figure by style: where heat is seen, how boxes differ, what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_pixels import draw_rows
from fastcam.figures.render_style import render_style_of
from fastcam.options import Style, StyleName

from . import expected_pixels


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


STYLES: tuple[StyleName, ...] = ("standard", "classic")


def test_heat_shows_where_attention_is_and_leaves_the_rest_grey():
    case = expected_pixels.make_case([[10, 10, 30, 30], [0, 0, 9, 9]], [0.75, 0.25])
    grey = noise(64, 64)
    for style, same in zip(STYLES, (True, False), strict=True):
        look = Style(panel_size=32, top_k=0, style=style)
        _, panels, _, _ = expected_pixels.figure(case, grey, look)
        assert (panels[2][40:] == grey[40:, :, None]).all() == same
        assert (panels[2][12:28, 12:28] != grey[12:28, 12:28, None]).any()


def test_boxes_are_told_apart_without_color():
    case = expected_pixels.make_case([[4, 4, 60, 60], [70, 4, 126, 60]], [0.75, 0.25])
    black = np.zeros((128, 128), np.uint8)
    look = Style(panel_size=32, heat_alpha=0.0)
    _, panels, sheet, _ = expected_pixels.figure(case, black, look)
    assert sheet.rows[0][-1].outlines.texts == ("1: 0.7500", "2: 0.2500")
    first, second = panels[2][4, 4:60].any(axis=1), panels[2][4, 70:126].any(axis=1)
    assert first.all()
    assert second[0]
    assert second[-1]
    assert 0.4 < second.mean() < 0.9
    assert (second == second[::-1]).all()


def test_attention_that_singles_out_no_patch_is_said_to_be_so():
    rng = np.random.default_rng(0)
    boxes = [[i, i, i + 9, i + 9] for i in range(40)]
    even = 1 + 0.02 * rng.uniform(-1, 1, 40)
    case = expected_pixels.make_case(boxes, even / even.sum())
    _, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), Style(panel_size=32))
    assert "all but uniform" in sheet.note
    assert f"{even.max() / even.mean():.2f} times" in sheet.note
    assert "× uniform" in sheet.rows[0][-1].caption
    peaked = np.r_[np.ones(39), 39.0]
    case = expected_pixels.make_case(boxes, peaked / peaked.sum())
    _, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), Style(panel_size=32))
    assert sheet.note == ""
    assert sheet.rows[0][-1].caption.endswith("up to 20 × uniform")


def test_a_case_whose_patches_weigh_the_same_has_no_evidence_and_no_best_slice():
    case = expected_pixels.make_case([[0, 0, 9, 9], [20, 20, 30, 30]], [0.5, 0.5])
    for style in STYLES:
        look = Style(panel_size=200, style=style)
        _, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), look)
        said = "no evidence" in sheet.rows[0][1].notice
        assert said == (style == "standard")
        assert ("BEST" in sheet.title) != said
        # Also where there is no heat panel to say it on.
        look = replace(look, panels=("overlay",))
        _, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), look)
        assert ("every patch of this case weighs the same" in sheet.note) == said


def test_classes_are_called_by_their_names():
    case = expected_pixels.make_case([[1, 1, 9, 9]], [1.0], correct=False)
    look = Style(panel_size=64, class_names=("Stable", "Unstable"))
    _, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), look)
    assert "true Unstable  predicted Stable" in sheet.verdict


def test_heat_that_is_a_mean_of_overlapping_patches_is_called_so():
    overlapping = expected_pixels.make_case([[4, 4, 30, 30], [4, 4, 30, 30]], [0.8, 0.2])
    apart = expected_pixels.make_case([[4, 4, 30, 30], [32, 32, 60, 60]], [0.8, 0.2])
    standard, classic = STYLES
    for style, case, mean in [
        (standard, overlapping, True),
        (standard, apart, False),
        (classic, overlapping, False),
    ]:
        _, _, sheet, _ = expected_pixels.figure(
            case, noise(64, 64), Style(panel_size=64, style=style)
        )
        assert ("overlap mean (1: 0.8000)" in sheet.rows[0][1].caption) == mean


def bar_colors(canvas, sheet) -> np.ndarray:
    """The rows of the heat's bar, at its left edge, from its top."""
    bar = expected_pixels.plan_of(sheet, canvas).areas[1].bar
    return canvas[bar.y : bar.y + bar.height, bar.x]


# Alone, at the end of the bar; shared, beyond it.
@pytest.mark.parametrize("other", [[32, 32, 60, 60], [4, 4, 30, 30]])
def test_the_highest_patch_is_marked_on_the_bar(other):
    case = expected_pixels.make_case([[4, 4, 30, 30], other], [0.8, 0.2])
    look = Style(panel_size=200)
    canvas, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), look)
    marked = np.flatnonzero((bar_colors(canvas, sheet) == (0, 255, 0)).all(axis=1))
    assert marked[0] == 0
    assert len(marked) < 5


def test_the_mark_moves_with_the_slice_and_the_bar_is_drawn_anew():
    """On the rows of a PNG, from which only what changed is drawn."""
    case = expected_pixels.make_case([[4, 4, 30, 30], [4, 4, 30, 30]], [0.8, 0.2], slices=[0, 1])
    look = Style(panel_size=200)
    buffers = Buffers()
    for index, share in ((0, 0.0), (1, 0.75), (0, 0.0)):
        canvas, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), look, index=index)
        marked = np.flatnonzero((bar_colors(canvas, sheet) == (0, 255, 0)).all(axis=1))
        assert abs(marked.mean() - share * 200) < 3
        style = render_style_of(look, "", (), 200)
        rows = draw_rows(sheet, style.lettering, style.palette, buffers)
        assert (unfiltered(rows) == canvas).all()


def unfiltered(rows: np.ndarray) -> np.ndarray:
    """The picture of PNG rows with the filters None and Up."""
    lines = rows[:, 1:].copy()
    for y in range(1, len(lines)):
        if rows[y, 0] == 2:
            lines[y] += lines[y - 1]
    return lines.reshape(len(rows), -1, 3)


@pytest.mark.parametrize(
    ("style", "scale", "top_k"),
    [("classic", "patient", 3), ("standard", "rank", 3), ("standard", "patient", 0)],
)
def test_bars_without_a_mark(style, scale, top_k):
    case = expected_pixels.make_case([[4, 4, 30, 30], [32, 32, 60, 60]], [0.8, 0.2])
    look = Style(panel_size=64, style=style, scale=scale, top_k=top_k)
    _, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), look)
    assert sheet.rows[0][1].bar_mark is None


def test_labels_have_the_form_of_the_bar():
    boxes = [[4, 4, 30, 30], [32, 32, 60, 60]]
    for weights, texts in [
        ([0.059, 0.00042], ("1: 0.0590", "2: 0.00042")),
        ([0.00083, 0.0000031], ("1: 8.3e-4", "2: 3.1e-6")),
    ]:
        case = expected_pixels.make_case(boxes, weights)
        _, _, sheet, _ = expected_pixels.figure(case, noise(64, 64), Style(panel_size=64))
        assert sheet.rows[0][-1].outlines.texts == texts

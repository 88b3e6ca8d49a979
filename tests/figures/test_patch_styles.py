"""The four-panel figure by style: where heat is seen, how boxes differ, what is said."""

from __future__ import annotations

import numpy as np

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
        assert ("overlaps averaged" in sheet.rows[0][1].caption) == mean

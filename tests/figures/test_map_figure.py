"""The figure of maps, panel by panel, against a slow painting with OpenCV and PyTorch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fastcam.figures.figure_pixels import draw
from fastcam.figures.map_figure import Heading, MapPanel, MapPicture, map_sheet
from fastcam.figures.map_scales import map_scale
from fastcam.figures.render_style import render_style_of
from fastcam.figures.slice_facts import SliceFacts
from fastcam.options import Style

from .expected_pixels import bilinear, nearest, plan_of
from .test_map_scales import CAM, like_grad_cam

RNG = np.random.default_rng(5)
SMALL = RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8)
PHOTO = np.asarray(cv2.resize(SMALL, (60, 48), interpolation=cv2.INTER_LINEAR), np.uint8)


HEADING = Heading("a", "b")


def panels_of(picture, maps, style, heading=HEADING):
    height, width = picture.image.shape[:2]
    scale = max(style.panel_size / max(height, width), 1)
    render_style = render_style_of(style, "·", (), max(round(height * scale), round(width * scale)))
    sheet, limits = map_sheet(heading, picture, maps, render_style)
    canvas = draw(sheet, render_style.lettering, render_style.palette)
    places = [p.panel for p in plan_of(sheet, canvas).areas]
    return [canvas[p.y : p.y + p.height, p.x : p.x + p.width] for p in places], sheet, limits


def shown(cells, kind="slice", diverging=False, caption="gradcam · layer4") -> MapPanel:
    return MapPanel(caption, cells, map_scale(cells, kind, diverging))


def colors(heat, height: int, width: int) -> np.ndarray:
    table = cv2.applyColorMap(np.uint8(255 * heat), cv2.COLORMAP_JET)
    return cv2.cvtColor(table, cv2.COLOR_BGR2RGB).astype(float)


# One level of heat is at most so much of a color of JET, and rounding is added to it.
STEP = 5


@pytest.mark.parametrize("size", [32, 96])
def test_slice_scale_is_what_pytorch_grad_cam_shows(size: int) -> None:
    style = Style(panel_size=size, scale="slice", heat_alpha=0.4)
    (image, heat, overlay), _, _ = panels_of(MapPicture(PHOTO), [shown(CAM)], style)
    height, width = image.shape[:2]
    assert (height, width) == ((48, 60) if size == 32 else (77, 96))
    large = np.stack([bilinear(PHOTO[..., c], height, width) for c in range(3)], axis=-1)
    assert np.abs(image - large).max() <= 1
    expected = colors(like_grad_cam(CAM.astype(np.float64), height, width), height, width)
    assert np.abs(heat - expected).max() <= STEP
    mixed = 0.6 * large + 0.4 * expected
    assert np.abs(overlay - mixed).max() <= 0.4 * STEP + 1


def test_the_mask_is_tinted_red_on_the_image_only() -> None:
    mask = np.zeros((48, 60), np.uint8)
    mask[10:20, 15:40] = 255
    style = Style(panel_size=96)
    (image, heat, overlay), sheet, _ = panels_of(MapPicture(PHOTO, mask), [shown(CAM)], style)
    (plain, same_heat, same_overlay), _, _ = panels_of(MapPicture(PHOTO), [shown(CAM)], style)
    inside = nearest(mask, *image.shape[:2]) > 0
    expected = 0.7 * plain[inside] + 0.3 * np.array([255.0, 0, 0])
    assert np.abs(image[inside] - expected).max() <= 1
    assert np.array_equal(image[~inside], plain[~inside])
    assert np.array_equal(heat, same_heat)
    assert np.array_equal(overlay, same_overlay)
    assert sheet.rows[0][0].caption == "image, mask in red"


def test_rows_are_the_maps_in_order() -> None:
    maps = [shown(CAM, caption="one"), shown(CAM[:3], caption="two")]
    panels, sheet, limits = panels_of(MapPicture(PHOTO), maps, Style(panel_size=32, scale="slice"))
    assert len(panels) == 6
    assert [row[1].caption for row in sheet.rows] == [
        "one, color scale: per slice",
        "two, color scale: per slice",
    ]
    assert np.array_equal(panels[0], panels[3])
    assert not np.array_equal(panels[1], panels[4])
    assert [row[1].limits for row in sheet.rows] == limits


def test_a_grey_image_and_the_side_of_the_patient() -> None:
    picture = MapPicture(PHOTO[..., :1].copy(), left_side="R")
    (image, _, _), sheet, _ = panels_of(picture, [shown(CAM)], Style(panel_size=96))
    assert sheet.rows[0][0].left_side == "R"
    assert (image[:20] == image[:20, :, :1]).all()


def test_diverging_maps_have_a_table_of_two_sides() -> None:
    cells = np.array([[-2.0, 0.0, 2.0]], np.float32)
    style = Style(panel_size=60, heat_alpha=0.5)
    black = np.zeros((20, 60, 3), np.uint8)
    maps = [shown(cells, "patient", True)]
    (_, heat, overlay), _, limits = panels_of(MapPicture(black), maps, style)
    assert limits == [(-2.0, 2.0)]
    left, middle, right = heat[10, 5].astype(int), heat[10, 30].astype(int), heat[10, 55]
    assert left[2] > left[0] + 80  # blue
    assert right[0] > int(right[2]) + 80  # red
    assert np.ptp(middle) < 12  # neutral
    assert np.abs(overlay[10].astype(int) * 2 - heat[10]).max() <= 2
    style = Style(panel_size=60, heat_alpha=0.5, blend="heat")
    white = np.full((20, 60, 3), 255, np.uint8)
    (_, heat, overlay), _, _ = panels_of(MapPicture(white), maps, style)
    assert (overlay[10, 30] >= 254).all()  # no heat, so only the image
    for at in (5, 55):  # as much of the one side as of the other
        assert np.abs(overlay[10, at] - (255 + heat[10, at].astype(float)) / 2).max() <= 2


def test_no_evidence_is_said_and_drawn_as_nothing() -> None:
    cells = np.full((4, 4), 0.3, np.float32)
    for diverging in (False, True):
        maps = [shown(cells, "patient", diverging)]
        _, sheet, _ = panels_of(MapPicture(PHOTO), maps, Style(panel_size=32))
        assert sheet.rows[0][1].notice == "no evidence"
        style = Style(panel_size=32, style="classic")
        panels, sheet, _ = panels_of(MapPicture(PHOTO), maps, style)
        assert "no evidence" in sheet.rows[0][1].caption
        assert len(np.unique(panels[1].reshape(-1, 3), axis=0)) == 1
    assert np.ptp(panels[1]) < 5  # neutral, not red


def test_the_verdict_is_green_red_or_neither() -> None:
    style = Style(panel_size=32)
    found = []
    for correct in (True, False, None):
        _, sheet, _ = panels_of(MapPicture(PHOTO), [shown(CAM)], style, Heading("a", "b", correct))
        found.append(sheet.verdict_color)
    right, wrong, unknown = found
    assert right[1] > right[0]
    assert wrong[0] > wrong[1]
    assert len(set(unknown)) == 1


def test_attention_is_shown_as_multiples_of_uniform() -> None:
    flat = np.array([[0.00494, 0.00517], [0.00505, 0.00504]], np.float32)
    scale = map_scale(flat, "patient", attention=True)
    maps = [MapPanel("rollout", flat, scale)]
    (_, heat, _), sheet, limits = panels_of(MapPicture(PHOTO), maps, Style(panel_size=96))
    mean = float(flat.mean(dtype=np.float64))
    assert limits == [pytest.approx((0.0, 2 * mean))]
    assert sheet.rows[0][1].bar_caption == "× uniform"
    assert sheet.rows[0][1].bar_unit == pytest.approx(mean)
    assert f"nowhere more than {0.00517 / mean:.2f} × uniform" in sheet.note
    # The green in the middle of JET, and next to no part of the table.
    assert (heat[..., 1] == 255).all()
    assert np.ptp(heat[..., 0]) < 40
    assert np.abs(heat[..., 0].astype(int) - heat[..., 2]).max() < 50


def test_attention_that_singles_out_a_place_starts_at_zero_and_ends_at_its_highest() -> None:
    peaked = np.ones((4, 4), np.float32)
    peaked[1, 2] = 17.0
    shares = (peaked / 32).astype(np.float32)
    scale = map_scale(shares, "patient", attention=True)
    assert scale.limits == pytest.approx((0.0, 17 / 32))
    assert scale.times_uniform == pytest.approx(8.5)
    assert not scale.nearly_uniform
    cohort = map_scale(shares, "cohort", cohort=(0.0, 20.0), attention=True)
    assert cohort.limits == pytest.approx((0.0, 20 * 2 / 32))


def test_zero_is_marked_on_the_bar_of_a_map_of_two_signs() -> None:
    cells = np.array([[-2.0, 0.5, 2.0]], np.float32)
    picture = MapPicture(np.zeros((200, 60, 3), np.uint8))
    marks = {}
    for style in ("standard", "classic"):
        _, sheet, _ = panels_of(
            picture, [shown(cells, "patient", True)], Style(panel_size=200, style=style)
        )
        look = Style(panel_size=200, style=style)
        render_style = render_style_of(look, "·", (), 200)
        canvas = draw(sheet, render_style.lettering, render_style.palette)
        bar = plan_of(sheet, canvas).areas[1].bar
        column = canvas[bar.y : bar.y + bar.height, bar.x + bar.width // 2]
        marks[style] = np.flatnonzero((column == 0).all(axis=1))
    assert marks["classic"].size == 0
    assert abs(marks["standard"].mean() - 99.5) <= 1


def test_a_slice_says_where_it_lies() -> None:
    facts = SliceFacts(154, "S 23.5 mm", "C 40 W 80", "A", 0.5)
    picture = MapPicture(PHOTO[..., :1].copy(), left_side="R", facts=facts)
    _, sheet, _ = panels_of(picture, [shown(CAM)], Style(panel_size=600))
    image = sheet.rows[0][0]
    assert image.caption == "image  ·  S 23.5 mm  ·  C 40 W 80"
    assert (image.left_side, image.top_side) == ("R", "A")
    # 60 columns of 0.5 mm on 600 pixels: 5 mm are 100 pixels, 10 mm more than a quarter.
    assert image.scale_bar == (100, "5 mm")
    _, sheet, _ = panels_of(picture, [shown(CAM)], Style(panel_size=96, style="classic"))
    assert sheet.rows[0][0].caption == "image"
    assert sheet.rows[0][0].scale_bar[0] == 0

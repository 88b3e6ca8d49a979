"""``--style classic``: the pictures that fastcam drew before it had styles, panel by panel.

The hashes are of panels that were drawn by that code. Texts are compared as texts: what a font's
library makes of them may differ.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from fastcam.figures.figure_parts import Sheet
from fastcam.figures.figure_pixels import draw_panel
from fastcam.figures.map_figure import Heading, MapPanel, MapPicture, map_sheet
from fastcam.figures.map_scales import map_scale
from fastcam.figures.patch_figure import SlicePicture, patch_sheet, slice_patches
from fastcam.figures.patch_scales import case_scale
from fastcam.figures.render_style import RenderStyle, render_style_of
from fastcam.figures.slice_facts import SliceFacts
from fastcam.options import Style

from . import expected_pixels

# Of a slice, its mask, the heat and the overlay.
PATCHES = [
    "c0b9019ab56bc651",
    "347f62789baefd0b",
    "07c875e79b442f96",
    "0dd22c594c8a1487",
]
# Of the image, the heat and the overlay of three maps.
MAPS = [
    "cd738b880403fbd1",
    "8da7533d6bbc3a9f",
    "d20d771804745109",
    "cd738b880403fbd1",
    "7a17e87242712683",
    "2c4de89e91b16e4d",
    "cd738b880403fbd1",
    "d936b33425da361a",
    "b848e2f734ad3a7a",
]

FACTS = SliceFacts(154, "S 23.5 mm", "C 40 W 80", "A", 0.5)
SIZE = 96


def pixels(size: int) -> np.ndarray:
    """A picture that no library's random numbers change."""
    y, x = np.mgrid[:size, :size]
    return ((x * 7 + y * 13 + x * y) % 256).astype(np.uint8)


def hashes(sheet: Sheet, render_style: RenderStyle) -> list[str]:
    """The start of each panel's SHA-256, without texts on it."""
    found = []
    for row in sheet.rows:
        for panel in row:
            bare = replace(panel, outlines=replace(panel.outlines, texts=()), left_side="")
            drawn = draw_panel(bare, render_style.lettering)
            found.append(hashlib.sha256(drawn.tobytes()).hexdigest()[:16])
    return found


def patch_figure(style: Style) -> tuple[Sheet, RenderStyle]:
    boxes = [[10, 10, 34, 34], [22, 10, 46, 34], [60, 50, 84, 74], [60, 62, 84, 86]]
    case = expected_pixels.make_case(boxes, [0.5, 0.3, 0.15, 0.05], correct=True)
    grey = pixels(SIZE)
    mask = np.where(grey > 99, np.uint8(255), np.uint8(0))
    patches = slice_patches(case.boxes, case.weights, SIZE, SIZE)
    picture = SlicePicture(grey, mask, "", patches, "R", FACTS)
    render_style = render_style_of(style, "", (), style.panel_size)
    scale = case_scale(case, style.scale, SIZE, SIZE, 0.0)
    return patch_sheet(case, 0, picture, scale, render_style)[0], render_style


def map_figure(style: Style) -> tuple[Sheet, RenderStyle]:
    render_style = render_style_of(style, "", (), style.panel_size)
    values = ((pixels(8).astype(np.float32) - 100) / 7).astype(np.float32)
    positive = np.clip(values, 0, None).astype(np.float32)
    flat = np.ones((8, 8), np.float32)
    maps = [
        MapPanel("gradcam", positive, map_scale(positive, "patient")),
        MapPanel("both", values, map_scale(values, "patient", True)),
        MapPanel("flat", flat, map_scale(flat, "patient")),
    ]
    picture = MapPicture(pixels(64)[:, :, np.newaxis], left_side="R", facts=FACTS)
    return map_sheet(Heading("a", "b"), picture, maps, render_style)[0], render_style


def test_patch_attention_is_as_it_was() -> None:
    sheet, render_style = patch_figure(Style(panel_size=200, style="classic"))
    assert hashes(sheet, render_style) == PATCHES
    assert sheet.title == "p  ·  slice 000  ·  BEST"
    assert sheet.verdict == "correct  ·  true 1  predicted 1  ·  confidence 0.9000"
    assert sheet.note == ""
    assert [panel.caption for panel in sheet.rows[0]] == [
        "slice",
        "mask",
        "attention, scale: patient",
        "overlay, top 3 of 4 patches",
    ]
    assert sheet.rows[0][3].outlines.texts == ("0.5000", "0.3000", "0.1500")
    bare = [(p.bar_caption, p.bar_unit, p.top_side, p.scale_bar[0]) for p in sheet.rows[0]]
    assert bare == [("", 1.0, "", 0)] * 4


def test_maps_are_as_they_were() -> None:
    sheet, render_style = map_figure(Style(panel_size=120, style="classic"))
    assert hashes(sheet, render_style) == MAPS
    assert [panel.caption for panel in sheet.rows[0]] == [
        "image",
        "gradcam, scale: patient",
        "overlay",
    ]
    assert sheet.rows[2][1].caption == "flat, no evidence"
    assert not any(p.notice or p.bar_zero or p.bar_caption for row in sheet.rows for p in row)


def test_the_standard_style_differs() -> None:
    sheet, render_style = patch_figure(Style(panel_size=200))
    assert hashes(sheet, render_style) != PATCHES

"""The four-panel figure painted slowly, from DESIGN.md: NumPy, OpenCV's colors, no kernel."""

from __future__ import annotations

import cv2
import numpy as np

from fastcam.figures import layout
from fastcam.figures.figure_pixels import draw
from fastcam.figures.patch_figure import SlicePicture, patch_sheet, slice_patches
from fastcam.figures.patch_scales import case_scale
from fastcam.figures.render_style import render_style_of
from fastcam.options import Style
from fastcam.read.results.case import Case
from tests import sample_runs

JET = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_JET).reshape(256, 3)[
    :, ::-1
]  # RGB


def make_case(boxes, weights, slices=None, name="p", correct=True) -> Case:
    slices = [0] * len(weights) if slices is None else slices
    predicted = 1 if correct else 0
    return sample_runs.make_case(
        7, name, slices, weights, boxes, predicted_label=predicted, correct=correct
    )


def figure(case: Case, grey, style: Style, mask=None, index=0, notice="", high=0.0, fonts=()):
    """Draw with the project; returns the canvas, its panels in order, the sheet and the limits."""
    members = case.slices == index
    picture = SlicePicture(
        grey, mask, notice, slice_patches(case.boxes[members], case.weights[members], *grey.shape)
    )
    size = layout.enlarged(grey.shape[0], grey.shape[1], style.panel_size)
    letters = "".join({c for c in case.name if c.isprintable()})
    render_style = render_style_of(style, letters, fonts, max(size))
    scale = case_scale(case, style.scale, grey.shape[0], grey.shape[1], high)
    sheet, limits = patch_sheet(case, index, picture, scale, render_style)
    canvas = draw(sheet, render_style.lettering, render_style.palette)
    plan = plan_of(sheet, canvas)
    panels = [
        canvas[p.panel.y : p.panel.y + p.panel.height, p.panel.x : p.panel.x + p.panel.width]
        for p in plan.areas
    ]
    return canvas, panels, sheet, limits


def plan_of(sheet, canvas) -> layout.Layout:
    """The layout that explains the canvas: one header line or two, and those of a note; where a
    caption is never shortened, also several lines of captions."""
    cells = tuple(
        tuple(layout.Cell(p.width, p.height, p.bar is not None) for p in row) for row in sheet.rows
    )
    zoom = layout.zoom_of(max(max(p.height, p.width) for row in sheet.rows for p in row))
    whole = any(panel.whole_caption for row in sheet.rows for panel in row)
    plans = [
        layout.arrange(cells, lines, zoom, captions)
        for captions in range(1, 5 if whole else 2)
        for lines in range(1, 8)
    ]
    return next(plan for plan in plans if (plan.height, plan.width) == canvas.shape[:2])


def slow_heat(boxes, weights, height: int, width: int) -> np.ndarray:
    """Weight summed into its box, divided by the number of boxes over a pixel; 0 where none."""
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for (x1, y1, x2, y2), weight in zip(boxes.tolist(), weights.tolist(), strict=True):
        for y in range(max(y1, 0), min(y2, height)):
            for x in range(max(x1, 0), min(x2, width)):
                total[y, x] += weight
                count[y, x] += 1
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


def nearest(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Output pixel i shows the source sample under its centre, in whole numbers."""
    rows = [(2 * i + 1) * picture.shape[0] // (2 * height) for i in range(height)]
    columns = [(2 * i + 1) * picture.shape[1] // (2 * width) for i in range(width)]
    return picture[rows][:, columns]


def bilinear(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    if picture.shape == (height, width):
        return picture.astype(float)
    resized = cv2.resize(
        picture.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.floor(resized + 0.5)


def levels(heat, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest table entry that rounding in float32 may choose."""
    exact = 255 * (heat - low) / (high - low) if high > low else np.zeros_like(heat)
    return tuple(np.floor(exact + 0.5 + slack).clip(0, 255).astype(int) for slack in (-1e-3, 1e-3))


def blended(grey, level, table, alpha: float, blend: str) -> np.ndarray:
    weight = np.full(level.shape, alpha) if blend == "flat" else alpha * level / 255
    weight = weight[..., None]
    return (1 - weight) * grey[..., None] + weight * table[level]


def outline(picture: np.ndarray, inside: np.ndarray, color, width: int) -> None:
    """A frame of ``width`` pixels just inside a rectangle given by its pixels."""
    if not inside.any():
        return
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    y1, y2, x1, x2 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    for y in range(y1, y2):
        for x in range(x1, x2):
            if min(y - y1, y2 - 1 - y, x - x1, x2 - 1 - x) < width:
                picture[y, x] = color


def box_pixels(box, shape, height: int, width: int) -> np.ndarray:
    """Which pixels of the enlarged panel a box covers, by enlarging the box's own pixels."""
    x1, y1, x2, y2 = (int(v) for v in box)
    inside = np.zeros(shape, bool)
    inside[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = True
    return nearest(inside, height, width)


def label_pixels(sheet, lettering) -> np.ndarray:
    """Where labels may be: their backgrounds on the sheet's overlay, as the kernels get them."""
    from fastcam.figures.panel_annotations import panel_text

    panel = sheet.rows[0][-1]
    covered = np.zeros((panel.height, panel.width), bool)
    for x1, y1, x2, y2 in panel_text(panel, lettering).boxes.tolist():
        covered[y1:y2, x1:x2] = True
    return covered

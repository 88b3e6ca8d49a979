"""Plain NumPy twins of the drawing kernels, written from their formulas."""

from __future__ import annotations

import numpy as np
from fastcam_kernels.resize import NEAREST, resize


def draw_text(canvas, coverage, glyphs, marks, clip):
    """Pixel by pixel, straight onto ``canvas``."""
    for glyph, left, top, *ink in marks.tolist():
        if not 0 <= glyph < len(glyphs):
            continue
        gx, gy, gw, gh = glyphs[glyph].tolist()
        for y in range(max(top, clip[1], 0), min(top + gh, clip[3], canvas.shape[0])):
            for x in range(max(left, clip[0], 0), min(left + gw, clip[2], canvas.shape[1])):
                row, column = gy + y - top, gx + x - left
                if 0 <= row < coverage.shape[0] and 0 <= column < coverage.shape[1]:
                    c = int(coverage[row, column])
                    for k in range(3):
                        paper = int(canvas[y, x, k])
                        canvas[y, x, k] = (c * ink[k] + (255 - c) * paper + 127) // 255


def fill(canvas, x1, y1, x2, y2, colour):
    canvas[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = colour


def half_up(values):
    values = np.floor(values.astype(np.float32) + np.float32(0.5))
    return np.nan_to_num(values, nan=0, posinf=255, neginf=0).clip(0, 255).astype(np.uint8)


def panel(
    canvas, x, y, width, height, image, heat, low, high, image_weight, heat_colour, image_method,
    heat_method, tint, tint_colour, tint_alpha, boxes, box_colour, box_width, plates,
    plate_colour, coverage, glyphs, marks,
):  # fmt: skip
    """What ``compose.panel`` draws. Resampling itself is held against OpenCV in test_resize."""
    out = np.zeros((height, width, 3), np.uint8)
    if image.shape[0]:
        planes = image
        if image.shape[:2] != (height, width):
            planes = np.stack(
                [
                    half_up(resize(image[:, :, c], height, width, image_method))
                    for c in range(image.shape[2])
                ],
                axis=2,
            )
        out[:] = planes
    if heat.shape[0]:
        if heat.shape != (height, width):
            heat = resize(heat, height, width, heat_method)
        factor = np.float32(255.0 / (high - low)) if high > low else np.float32(0)
        with np.errstate(invalid="ignore"):
            level = half_up((heat - np.float32(low)) * factor)
        out = half_up(image_weight[level][..., None] * out.astype(np.float32) + heat_colour[level])
    if tint.shape[0]:
        inside = resize((tint != 0).astype(np.uint8), height, width, NEAREST) > 0
        alpha = np.float32(tint_alpha)
        mixed = half_up((1 - alpha) * out.astype(np.float32) + alpha * tint_colour.astype("f4"))
        out[inside] = mixed[inside]
    for (x1, y1, x2, y2), colour, line in zip(boxes, box_colour, box_width, strict=True):
        inner = out.copy()
        fill(out, x1, y1, x2, y2, colour)
        keep = [max(v, 0) for v in (y1 + line, y2 - line, x1 + line, x2 - line)]
        window = slice(keep[0], keep[1]), slice(keep[2], keep[3])
        out[window] = inner[window]
    for rectangle, colour in zip(plates, plate_colour, strict=True):
        fill(out, *rectangle, colour)
    draw_text(out, coverage, glyphs, marks, (0, 0, width, height))
    canvas[y : y + height, x : x + width] = out

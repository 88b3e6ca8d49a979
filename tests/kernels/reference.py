"""The drawing kernels in plain NumPy, written from their formulas."""

from __future__ import annotations

import numpy as np
from fastcam_kernels.resize import NEAREST, resize


def draw_text(canvas, text, clip):
    """Boxes and glyphs pixel by pixel, straight onto ``canvas`` within ``clip``."""
    x1, y1, x2, y2 = (max(side, 0) for side in clip)
    for box, color in zip(text.boxes, text.box_colors, strict=True):
        left, top, right, bottom = np.maximum(box, [x1, y1, x1, y1])
        fill(canvas[:y2, :x2], left, top, right, bottom, color)
    coverage = text.coverage
    for glyph, left, top, *color in text.glyphs.tolist():
        if not 0 <= glyph < len(text.atlas):
            continue
        gx, gy, gw, gh = text.atlas[glyph].tolist()
        for y in range(max(top, clip[1], 0), min(top + gh, clip[3], canvas.shape[0])):
            for x in range(max(left, clip[0], 0), min(left + gw, clip[2], canvas.shape[1])):
                row, column = gy + y - top, gx + x - left
                if 0 <= row < coverage.shape[0] and 0 <= column < coverage.shape[1]:
                    c = int(coverage[row, column])
                    for k in range(3):
                        behind = int(canvas[y, x, k])
                        canvas[y, x, k] = (c * color[k] + (255 - c) * behind + 127) // 255


def fill(canvas, x1, y1, x2, y2, color):
    canvas[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = color


def half_up(values):
    values = np.floor(values.astype(np.float32) + np.float32(0.5))
    return np.nan_to_num(values, nan=0, posinf=255, neginf=0).clip(0, 255).astype(np.uint8)


def panel(canvas, area, layers):
    """What ``panel_kernel.panel`` draws. Resampling is held against OpenCV in test_resize."""
    x, y, width, height = area
    image, heat, tint, outlines, text = layers
    out = np.zeros((height, width, 3), np.uint8)
    if len(image.pixels):
        planes = image.pixels
        if planes.shape[:2] != (height, width):
            planes = np.stack(
                [
                    half_up(resize(planes[:, :, c], height, width, image.method))
                    for c in range(planes.shape[2])
                ],
                axis=2,
            )
        out[:] = planes
    if len(heat.values):
        values = heat.values
        if values.shape != (height, width):
            values = resize(values, height, width, heat.method)
        low, high = heat.low, heat.high
        factor = np.float32(255.0 / (high - low)) if high > low else np.float32(0)
        with np.errstate(invalid="ignore"):
            level = half_up((values - np.float32(low)) * factor)
        weight = heat.tables.image_weight[level][..., None]
        out = half_up(weight * out.astype(np.float32) + heat.tables.heat_color[level])
    if len(tint.mask):
        inside = resize((tint.mask != 0).astype(np.uint8), height, width, NEAREST) > 0
        alpha = np.float32(tint.alpha)
        mixed = half_up((1 - alpha) * out.astype(np.float32) + alpha * tint.color.astype("f4"))
        out[inside] = mixed[inside]
    for (x1, y1, x2, y2), color, line in zip(*outlines, strict=True):
        inner = out.copy()
        fill(out, x1, y1, x2, y2, color)
        keep = [max(v, 0) for v in (y1 + line, y2 - line, x1 + line, x2 - line)]
        window = slice(keep[0], keep[1]), slice(keep[2], keep[3])
        out[window] = inner[window]
    draw_text(out, text, (0, 0, width, height))
    canvas[y : y + height, x : x + width] = out

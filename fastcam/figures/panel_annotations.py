"""What lies on top of a panel: boxes with whole and dashed lines, labels, letters, a scale bar."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from fastcam_kernels import label_placement, panel_layers
from numpy.typing import NDArray

from fastcam.figures.clear_labels import clear_positions
from fastcam.figures.figure_parts import Outlines, Panel
from fastcam.figures.glyph_atlas import Lettering, TextLine
from fastcam.figures.line_breaks import break_lines

_SIDE_COLOR, _NOTICE_COLOR = (235, 235, 235), (200, 200, 200)
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_GAP = 3
# Pixels of a dash with the gap after it, and the share that is drawn. Shorter sides are whole.
_DASH, _DASH_SHARE, _LEAST_SIDE = 10, 0.6, 8


@dataclass(frozen=True)
class Annotations:
    """Texts on a panel, and the label backgrounds behind them.

    Attributes:
        backgrounds: x1, y1, x2, y2 of each label background, in panel pixels.
        background_colors: RGB, 0 to 255, of each.
        lines: the texts, in panel pixels.
    """

    backgrounds: list[tuple[int, int, int, int]] = field(default_factory=list)
    background_colors: list[tuple[int, int, int]] = field(default_factory=list)
    lines: list[TextLine] = field(default_factory=list)

    def background(self, x1: int, y1: int, x2: int, y2: int, color: tuple[int, int, int]) -> None:
        """Add a filled rectangle."""
        self.backgrounds.append((x1, y1, x2, y2))
        self.background_colors.append(color)


def panel_lines(lines: Outlines) -> panel_layers.Outlines:
    """The boxes as the kernel draws them: the last on top, which is the most important one."""
    boxes, colors, widths = lines.boxes, lines.colors, lines.widths
    if lines.whole_lines is not None and lines.whole_lines < len(boxes):
        dashes = [
            _dashes(box, width) if number >= lines.whole_lines else box[np.newaxis]
            for number, (box, width) in enumerate(zip(boxes, widths.tolist(), strict=True))
        ]
        counts = [len(part) for part in dashes]
        boxes, colors = np.concatenate(dashes), np.repeat(colors, counts, axis=0)
        widths = np.repeat(widths, counts)
    if len(boxes) > 1:
        boxes, colors, widths = boxes[::-1].copy(), colors[::-1].copy(), widths[::-1].copy()
    return panel_layers.Outlines(boxes, colors, widths)


def _dashes(box: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    """The dashes (n, 4) of a box's lines, which lie inside it; each corner has one."""
    x1, y1, x2, y2 = box.tolist()
    if min(x2 - x1, y2 - y1) < max(_LEAST_SIDE, 2 * width):
        return box[np.newaxis]
    parts = []
    for start, stop in _spans(x1, x2):
        parts += [(start, y1, stop, y1 + width), (start, y2 - width, stop, y2)]
    for start, stop in _spans(y1, y2):
        parts += [(x1, start, x1 + width, stop), (x2 - width, start, x2, stop)]
    return np.array(parts, np.int32)


def _spans(start: int, stop: int) -> list[tuple[int, int]]:
    """The dashes of a side, symmetric about its middle, with half a dash at both ends."""
    length = stop - start
    count = max(1, round(length / _DASH))
    half = max(1, round(length / count * _DASH_SHARE / 2))
    middles = [start + round(length * number / count) for number in range(count + 1)]
    return [(max(start, middle - half), min(stop, middle + half)) for middle in middles]


def panel_text(panel: Panel, lettering: Lettering) -> panel_layers.Text:
    """A panel's labels, letters, notice and scale bar as glyphs, in panel pixels."""
    texts = annotations_of(panel, lettering)
    if not texts.lines:
        return panel_layers.NO_TEXT
    return panel_layers.Text(
        boxes=np.array(texts.backgrounds, dtype=np.int32).reshape(-1, 4),
        box_colors=np.array(texts.background_colors, dtype=np.uint8).reshape(-1, 3),
        coverage=lettering.coverage,
        atlas=lettering.boxes,
        glyphs=np.concatenate([line.glyphs for line in texts.lines]),
    )


def annotations_of(panel: Panel, lettering: Lettering) -> Annotations:
    """A panel's labels, letters, notice and scale bar."""
    texts = Annotations()
    _add_labels(texts, panel, lettering)
    _add_notice(texts, panel, lettering)
    _add_letters(texts, panel, lettering)
    _add_scale_bar(texts, panel, lettering)
    return texts


def label_size(text: str, lettering: Lettering) -> tuple[int, int]:
    """Width and height of a label of a box with its background, in pixels."""
    return lettering.label.width(text) + 6, lettering.label.height


def _add_labels(texts: Annotations, panel: Panel, lettering: Lettering) -> None:
    lines, font = panel.outlines, lettering.label
    if not lines.texts:
        return
    sizes = np.array([label_size(text, lettering) for text in lines.texts], dtype=np.int32)
    positions_of = clear_positions if lines.clear else label_placement.label_positions
    positions = positions_of(
        lines.boxes[: len(lines.texts)], sizes, panel.width, panel.height, _GAP
    )
    for label, (x, y), (width, height), (r, g, b) in zip(
        lines.texts, positions.tolist(), sizes.tolist(), lines.colors.tolist(), strict=False
    ):
        if x >= 0:
            texts.background(x, y, x + width, y + height, _BLACK)
            texts.lines.append(TextLine(font, label, x + 3, y, (r, g, b)))


def _add_notice(texts: Annotations, panel: Panel, lettering: Lettering) -> None:
    if not panel.notice:
        return
    font, room = lettering.caption, panel.width - 8
    lines = break_lines(panel.notice, room, font.width).split("\n")
    if len(lines) * font.height > panel.height // 2:  # it would hide the picture
        lines = [panel.notice]
    top = (panel.height - len(lines) * font.height) // 2
    for number, line in enumerate(lines):
        notice, y = font.fit(line, room), top + number * font.height
        width = font.width(notice)
        x = (panel.width - width) // 2
        if panel.heat.size:
            texts.background(x - 3, y, x + width + 3, y + font.height, _BLACK)
        texts.lines.append(TextLine(font, notice, x, y, _NOTICE_COLOR))


def _add_letters(texts: Annotations, panel: Panel, lettering: Lettering) -> None:
    """The letters of the patient's sides at the left and the top edge."""
    font = lettering.label
    if panel.height < 2 * font.height:
        return
    if panel.left_side:
        width, y = font.width(panel.left_side) + 6, (panel.height - font.height) // 2
        texts.background(0, y, width, y + font.height, _BLACK)
        texts.lines.append(TextLine(font, panel.left_side, 3, y, _SIDE_COLOR))
    if panel.top_side:
        width = font.width(panel.top_side) + 6
        x = (panel.width - width) // 2
        texts.background(x, 0, x + width, font.height, _BLACK)
        texts.lines.append(TextLine(font, panel.top_side, x + 3, 0, _SIDE_COLOR))


def _add_scale_bar(texts: Annotations, panel: Panel, lettering: Lettering) -> None:
    """A white line with black around it, and its length above it, at the bottom left."""
    length, text = panel.scale_bar
    font = lettering.label
    wide, thick = max(length, font.width(text)) + 6, max(2, font.height // 6)
    high = font.height + thick + 3
    if not length or wide > panel.width // 2 or 3 * high > panel.height:
        return
    top = panel.height - high
    texts.background(0, top, wide, panel.height, _BLACK)
    texts.background(3, panel.height - thick - 3, 3 + length, panel.height - 3, _WHITE)
    texts.lines.append(TextLine(font, text, 3, top, _SIDE_COLOR))

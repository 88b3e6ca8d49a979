"""Labels of boxes that would cover a picture on paper: numbers in it, texts in the header."""

from __future__ import annotations

from dataclasses import replace

from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.glyph_atlas import Lettering
from fastcam.figures.panel_annotations import label_size
from fastcam.figures.slice_facts import CAPTION_SEPARATOR

# Of a picture, by its labels together: three weights in letters of 7 points cover 0.10 of a picture
# of 38 mm, one of four on 180 mm, and 0.06 of one of 50 mm, one of three.
_MOST_COVERED = 0.08


def with_short_labels(sheet: Sheet, lettering: Lettering) -> Sheet:
    """A figure whose labels leave the pictures to be seen: where those of a panel cover too much of
    it, boxes have their numbers alone, and the figure's note says what the numbers stand for."""
    said: list[str] = []
    rows = tuple(tuple(_shortened(panel, lettering, said) for panel in row) for row in sheet.rows)
    if not said:
        return sheet
    notes = dict.fromkeys([*filter(None, [sheet.note]), *said])
    return replace(sheet, rows=rows, note=CAPTION_SEPARATOR.join(notes))


def _shortened(panel: Panel, lettering: Lettering, said: list[str]) -> Panel:
    texts = panel.outlines.texts
    sizes = [label_size(text, lettering) for text in texts]
    covered = sum(width * height for width, height in sizes)
    numbers = tuple(str(number) for number in range(1, len(texts) + 1))
    if covered <= _MOST_COVERED * panel.height * panel.width or texts == numbers:
        return panel
    meant = ", ".join(
        f"{number} = {text.removeprefix(f'{number}: ')}"
        for number, text in zip(numbers, texts, strict=True)
    )
    said.append(f"{panel.caption.partition(',')[0]}: {meant}")
    return replace(panel, outlines=replace(panel.outlines, texts=numbers))

"""On paper the labels of boxes leave the pictures to be seen: shares of them, worked out here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastcam.figures.figure_parts import Sheet
from fastcam.figures.paper import on_paper
from fastcam.figures.render_style import RenderStyle
from fastcam.options import Style

from .test_classic import map_figure, patch_figure


def covered(sheet: Sheet, render_style: RenderStyle) -> float:
    """The share of the overlay that its labels cover, if none is left out."""
    panel, font = sheet.rows[-1][-1], render_style.lettering.label
    areas = [(font.width(text) + 6) * font.height for text in panel.outlines.texts]
    assert areas
    return sum(areas) / (panel.height * panel.width)


@pytest.mark.parametrize(("width", "numbers"), [(85.0, True), (180.0, True), (240.0, False)])
def test_labels_that_would_cover_the_picture_are_numbers(width: float, numbers: bool) -> None:
    sheet, render_style = patch_figure(Style(panel_size=512, width_mm=width, format="pdf"))
    texts = sheet.rows[0][-1].outlines.texts
    shown, fitted, _ = on_paper(sheet, render_style)
    overlay = shown.rows[-1][-1]
    assert covered(shown, fitted) < 0.08
    if numbers:
        assert overlay.outlines.texts == tuple(str(n) for n in range(1, len(texts) + 1))
        meant = ", ".join(text.replace(": ", " = ") for text in texts)
        assert shown.note.endswith(f"overlay: {meant}")
    else:
        assert overlay.outlines.texts == texts
        assert shown.note == sheet.note
    assert overlay.caption == sheet.rows[0][-1].caption


def test_a_note_is_kept_and_names_stand_behind_numbers() -> None:
    sheet, render_style = patch_figure(Style(panel_size=512, width_mm=85.0, format="pdf"))
    overlay = sheet.rows[0][-1]
    names = tuple(f"layer{n}.1.conv2" for n in range(len(overlay.outlines.texts)))
    overlay = replace(overlay, caption="peaks", outlines=replace(overlay.outlines, texts=names))
    sheet = replace(sheet, rows=((*sheet.rows[0][:-1], overlay),), note="Something else.")
    shown, _, _ = on_paper(sheet, render_style)
    first, second = shown.note.split("  ·  ")
    assert first == "Something else."
    assert second.startswith("peaks: 1 = layer0.1.conv2, 2 = layer1.1.conv2")


def test_without_a_width_on_paper_and_in_classic_all_is_as_it_was() -> None:
    sheet, render_style = patch_figure(Style(panel_size=64))
    assert on_paper(sheet, render_style)[0] is sheet
    sheet, render_style = patch_figure(Style(panel_size=512, width_mm=85.0, style="classic"))
    before = [panel.outlines.texts for panel in sheet.rows[0]]
    shown = on_paper(sheet, render_style)[0]
    assert [panel.outlines.texts for row in shown.rows for panel in row] == before
    sheet, render_style = map_figure(Style(panel_size=200, width_mm=180.0, format="pdf"))
    assert on_paper(sheet, render_style)[0] == sheet

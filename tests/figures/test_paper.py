"""Figures on paper: their width, their letters, their files, against Pillow and the files' text."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.errors import InputError
from fastcam.figures import layout
from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.figure_texts import texts_of
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.paper import on_paper
from fastcam.figures.png_writer import WriteBatch, write_sheet
from fastcam.figures.render_style import RenderStyle
from fastcam.figures.view_panels import empty_panel, figure_of_sheet
from fastcam.options import PanelName, PictureFormat, Style

from .test_classic import map_figure, patch_figure

LOOK = Style(panel_size=200)


def drawn(style: Style) -> tuple[Sheet, RenderStyle]:
    return patch_figure(style)


@pytest.mark.parametrize("width", [180.0, 300.0])
@pytest.mark.parametrize("font_scale", [1.0, 2.0])
def test_the_smallest_letters_have_seven_points_at_the_width_on_paper(width, font_scale) -> None:
    style = replace(LOOK, width_mm=width, font_scale=font_scale)
    sheet, render_style = drawn(style)
    shown, fitted, dpi = on_paper(sheet, render_style)
    assert dpi is not None
    assert [panel.caption for panel in shown.rows[0]] == [panel.caption for panel in sheet.rows[0]]
    columns = layout.layout_of(sheet, fitted.lettering).width
    assert columns / dpi * 25.4 == pytest.approx(width)
    assert fitted.lettering.tick.size / dpi * 72 >= 7.0
    # Letters grow no more than that takes, and are as much larger as is asked for.
    assert fitted.lettering.tick.size / dpi * 72 >= 7.0 * font_scale
    smaller = fitted.with_letters(max(font_scale, fitted.lettering.scale - 0.2))
    if smaller.lettering.scale < fitted.lettering.scale - 0.1:
        columns = layout.layout_of(sheet, smaller.lettering).width
        assert smaller.lettering.tick.size * 72 * width / 25.4 / columns < 7.0 * font_scale


@pytest.mark.parametrize("figure", [patch_figure, map_figure])
@pytest.mark.parametrize("width", [50.0, 85.0])
def test_panels_without_room_beside_each_other_go_on_below(figure, width) -> None:
    sheet, render_style = figure(replace(LOOK, panel_size=512, width_mm=width))
    # As layers of a model stand: five beside each other.
    row = (sheet.rows[0] * 2)[:5]
    sheet = replace(sheet, rows=(row, row))
    shown, fitted, dpi = on_paper(sheet, render_style)
    assert dpi is not None
    captions = [panel.caption for row in shown.rows for panel in row]
    assert captions == [panel.caption for panel in [*row, *row]]
    assert len(shown.rows[0]) < 5
    plan = layout.layout_of(shown, fitted.lettering)
    assert plan.width / dpi * 25.4 == pytest.approx(width)
    assert fitted.lettering.tick.size / dpi * 72 >= 7.0
    assert max(panel.width for panel in row) / dpi * 25.4 >= 20.0
    # Nothing reaches beyond the page, or over another.
    areas = [area.panel for area in plan.areas]
    assert all(area.x + area.width <= plan.width for area in areas)
    assert all(area.y + area.height <= plan.height for area in areas)


def test_places_left_free_in_a_row_are_not_in_broken_rows() -> None:
    sheet, render_style = map_figure(replace(LOOK, panel_size=512, width_mm=85.0))
    image, *maps = sheet.rows[0]
    blank = empty_panel(image.height, image.width, LOOK)
    sheet = replace(sheet, rows=((image, *maps, *maps), (blank, *maps, *maps)))
    shown, _, _ = on_paper(sheet, render_style)
    assert [panel for row in shown.rows for panel in row] == [image, *maps * 4]
    wide, _, _ = on_paper(sheet, replace(render_style, style=replace(LOOK, width_mm=400.0)))
    assert wide == sheet


def test_a_width_without_room_for_letters_is_refused() -> None:
    sheet, render_style = drawn(replace(LOOK, width_mm=30.0, panel_size=512))
    with pytest.raises(InputError, match=r"--width-mm 30: .* smaller --panel-size"):
        on_paper(sheet, render_style)


def test_captions_in_large_letters_go_on_in_the_next_line() -> None:
    sheet, render_style = drawn(replace(LOOK, font_scale=2.5))
    plan = layout.layout_of(sheet, render_style.lettering)
    assert plan.caption_lines == 4
    for panel, area in zip(sheet.rows[0], plan.areas, strict=True):
        lines = layout.caption_lines(panel, area, render_style.lettering)
        # A line ends where the sign between two parts would stand.
        assert " ".join(lines).replace("·", "").split() == panel.caption.replace("·", "").split()
        assert area.panel.y == area.caption.y + area.caption.height
    usual, plain = drawn(replace(LOOK, panel_size=512))
    assert layout.layout_of(usual, plain.lettering).caption_lines == 1


@pytest.mark.parametrize("scale", [1.6, 2.5, 4.0])
def test_large_letters_beside_small_panels_leave_the_header_whole(scale: float) -> None:
    style = replace(LOOK, font_scale=scale, panel_size=256, panels=("image", "overlay"))
    sheet, render_style = drawn(style)
    lettering = render_style.lettering
    plan = layout.layout_of(sheet, lettering)
    title, verdict = layout.header_lines(sheet, plan.header.width, lettering)
    # A line ends where the sign between two parts would stand.
    for lines, text in ((title, sheet.title), (verdict, sheet.verdict)):
        assert " ".join(lines).replace("·", "").split() == text.replace("·", "").split()
    assert len(verdict) > 1
    written = [
        line for line in texts_of(sheet, plan, lettering, render_style.palette)
        if line.font is lettering.title
    ]  # fmt: skip
    assert [line.text for line in written] == [*title, *verdict]
    assert all(line.x + line.font.width(line.text) <= plan.width for line in written)
    below = [line.y + line.font.height for line in written]
    assert all(later.y >= end - 6 for later, end in zip(written[1:], below, strict=False))
    assert below[-1] <= plan.areas[0].caption.y + 6


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (LOOK, 300.0),
        (replace(LOOK, dpi=72.0), 72.0),
        (replace(LOOK, style="classic"), None),
        (replace(LOOK, style="classic", dpi=150.0), 150.0),
    ],
)
@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_every_raster_says_its_pixels_an_inch(
    tmp_path: Path, style: Style, expected: float | None, kind: PictureFormat
) -> None:
    path = tmp_path / f"a.{kind}"
    sheet, render_style = drawn(style)
    write_sheet(path, sheet, render_style, kind, Buffers())
    with Image.open(path) as picture:
        said = picture.info.get("dpi", (None,))[0]
        if kind == "webp":
            said = picture.getexif().get(282)
        if kind == "jpg" and expected is None:
            assert picture.info["jfif_unit"] == 0  # an aspect, no resolution
            return
    assert said == (None if expected is None else pytest.approx(expected, abs=0.1))


def test_a_batch_says_it_too_and_has_the_pixels_of_the_single_file(tmp_path: Path) -> None:
    sheet, render_style = drawn(replace(LOOK, width_mm=180.0))
    batch = WriteBatch([Buffers()])
    batch.put(tmp_path / "a.png", sheet, render_style, "png", lambda _: None)
    batch.finish()
    write_sheet(tmp_path / "b.png", sheet, render_style, "png", Buffers())
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width / picture.info["dpi"][0] * 25.4 == pytest.approx(180.0, rel=1e-3)
        pixels = np.asarray(picture)
    assert np.array_equal(figure_of_sheet(sheet, render_style).pixels, pixels)


def sizes_of(svg: str) -> list[float]:
    return [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]


def test_an_svg_has_texts_as_text_and_panels_as_pixels(tmp_path: Path) -> None:
    sheet, render_style = drawn(replace(LOOK, format="svg", panel_size=512))
    write_sheet(tmp_path / "a.svg", sheet, render_style, "svg", Buffers())
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    for text in (sheet.verdict, "1", "R", "A", "10 mm", "mask"):
        assert text in texts, text
    assert any("1 = 0.5000" in text for text in texts)
    assert svg.count("<image") == 5
    points = [float(size) for size in re.findall(r'width="([\d.]+)pt"', svg)]
    assert points[0] == pytest.approx(180 / 25.4 * 72, abs=0.01)
    assert min(sizes_of(svg)) >= 7.0
    again = tmp_path / "b.svg"
    write_sheet(again, sheet, render_style, "svg", Buffers())
    assert again.read_bytes() == (tmp_path / "a.svg").read_bytes()


def test_a_pdf_has_fonts_of_type_42_and_the_panels_own_pixels(tmp_path: Path) -> None:
    sheet, render_style = drawn(replace(LOOK, format="pdf", width_mm=120.0))
    write_sheet(tmp_path / "a.pdf", sheet, render_style, "pdf", Buffers())
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, not outlines of Type 3
    assert b"/Type3" not in pdf
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", pdf)
    assert box is not None
    assert float(box[1]) == pytest.approx(120 / 25.4 * 72, abs=0.01)
    panel = sheet.rows[0][0]
    size = f"/Width {panel.width} /Height {panel.height}".encode()
    assert pdf.count(size) == 4
    assert any(b"Tj" in part or b"TJ" in part for part in streams(pdf))


def streams(pdf: bytes) -> list[bytes]:
    """The deflated streams of a file."""
    parts = []
    for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S):
        try:
            parts.append(zlib.decompress(part))
        except zlib.error:
            continue
    return parts


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_a_figure_of_a_notebook_saves_pages(tmp_path: Path, suffix: str) -> None:
    sheet, render_style = drawn(LOOK)
    path = figure_of_sheet(sheet, render_style).save(tmp_path / f"a.{suffix}")
    content = path.read_bytes()
    assert content[:5] in (b"%PDF-", b"<?xml")
    plain = Figure(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / f"b.{suffix}")
    assert plain.stat().st_size > 0
    if suffix == "svg":
        assert min(sizes_of(content.decode())) >= 7.0
        assert "<text" not in plain.read_text()


@pytest.mark.parametrize(
    ("order", "captions"),
    [
        ((), ["slice", "mask", "attention", "overlay"]),
        (("overlay", "image"), ["attention", "slice"]),
        (("heat",), ["attention"]),
    ],
)
def test_panels_of_a_row_and_their_order(order: tuple[PanelName, ...], captions) -> None:
    sheet, _ = drawn(replace(LOOK, panels=order))
    row = sheet.rows[0]
    assert [panel.caption.split(" ")[0].rstrip(",") for panel in row] == captions
    assert sum(panel.bar is not None for panel in row) == 1
    maps, _ = map_figure(replace(LOOK, panels=("overlay",)))
    whole, _ = map_figure(LOOK)
    for one, all_panels in zip(maps.rows, whole.rows, strict=True):
        assert len(one) == 1
        assert one[0].bar is not None
        assert one[0].limits == all_panels[1].limits
        assert one[0].caption == f"{all_panels[1].caption}; {all_panels[2].caption}"
        assert one[0].bar_unit == all_panels[1].bar_unit
        assert one[0].bar_zero == all_panels[1].bar_zero


def test_panels_that_a_figure_has_not() -> None:
    with pytest.raises(InputError, match="--panels mask: these figures have image, heat, overlay"):
        map_figure(replace(LOOK, panels=("mask",)))

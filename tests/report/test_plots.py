"""Pages of matplotlib as figures."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from fastcam.options import PictureFormat, Style
from fastcam.report.plot_files import write_plot_page
from fastcam.report.plots import (
    drawable_text,
    frame,
    new_page,
    page_figure,
    plot_style,
    series_colors,
    write_title,
)


def test_pixels_are_the_page(tmp_path: Path) -> None:
    page = new_page(2, 1, Style())
    axes = page.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    # Red at the top left, blue at the bottom right, nothing elsewhere.
    axes.imshow([[[255, 0, 0], [255, 255, 255]], [[255, 255, 255], [0, 0, 255]]], aspect="auto")
    figure = page_figure(page, Style())
    assert figure.pixels.shape == (150, 300, 3)
    assert figure.pixels.dtype == np.uint8
    assert figure.pixels.flags.c_contiguous
    assert figure.pixels[10, 10].tolist() == [255, 0, 0]
    assert figure.pixels[-10, -10].tolist() == [0, 0, 255]
    figure.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as saved:
        assert np.array_equal(np.asarray(saved), figure.pixels)


def test_the_theme_is_that_of_the_other_figures() -> None:
    page = new_page(1, 1, Style(theme="dark"))
    assert page_figure(page, Style()).pixels[0, 0].tolist() == [20, 21, 24]
    assert plot_style(Style()).background == "#ffffff"


def test_no_global_figures() -> None:
    import matplotlib.pyplot as plt

    page_figure(new_page(1, 1, Style()), Style())
    assert plt.get_fignums() == []


def test_titles_are_no_formulas_and_have_all_letters() -> None:
    page = new_page(4, 2, Style())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_title(page, "case_$1$ · é \U000f0000", "a note with $", Style())
        frame(page.add_subplot(), "$x_1$", Style())
        page_figure(page, Style())


def test_letters_that_no_font_has_are_boxes() -> None:
    text, font = drawable_text("a\U000f0000 b", Style())
    assert text == "a□ b"
    assert str(font.get_file()).endswith("DejaVuSans.ttf")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_shades_are_seen_on_the_paper(theme: Literal["light", "dark"]) -> None:
    """Contrast by WCAG 2.1: 1 is none."""
    colors = series_colors(Style(theme=theme))(np.linspace(0, 1, 9))[:, :3]
    background = plot_style(Style(theme=theme)).background
    paper = np.array([int(background[start : start + 2], 16) for start in (1, 3, 5)])
    lights = [_luminance(color) for color in (*colors, paper / 255)]
    for light in lights[:-1]:
        assert (max(light, lights[-1]) + 0.05) / (min(light, lights[-1]) + 0.05) > 1.3


def _luminance(color: np.ndarray) -> float:
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("kind", ["pdf", "svg"])
def test_plots_in_vector_files_are_lines_and_texts(tmp_path: Path, kind: str) -> None:
    page = new_page(4, 3, Style())
    frame(page.add_axes((0.2, 0.2, 0.7, 0.6)), "attention by layer", Style(), "layer", "pixels")
    content = page_figure(page, Style()).save(tmp_path / f"a.{kind}").read_bytes()
    if kind == "svg":
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", content.decode())
        assert {"attention by layer", "layer", "pixels"} <= set(texts)
        assert b"<image" not in content
    else:
        assert b"/Subtype /Type0" in content  # with fonts of Type 42
        assert b"/FontFile2" in content
        assert b"/Subtype /Image" not in content
        # 180 mm, as figures without a width on paper.
        assert b"/MediaBox [ 0 0 510.23" in content


@pytest.mark.parametrize("kind", ["png", "webp", "pdf", "svg"])
def test_pages_of_reports_are_png_and_lines_beside_it(tmp_path: Path, kind: PictureFormat) -> None:
    page = new_page(4, 3, constrained=True)
    frame(page.add_subplot(), "attention by layer", None, "layer", "pixels")
    for earlier in ("pdf", "svg", "txt"):
        (tmp_path / f"results.{earlier}").write_text("earlier", encoding="utf-8")
    paths = write_plot_page(tmp_path / "results.png", page, Style(format=kind))
    assert {path.name for path in tmp_path.iterdir()} - {"results.txt"} == {p.name for p in paths}
    beside = [f"results.{kind}"] if kind in ("pdf", "svg") else []
    assert [path.name for path in paths] == ["results.png", *beside]
    if beside:
        assert Image.open(paths[0]).width == pytest.approx(180 / 25.4 * 300, abs=1)
    else:
        assert Image.open(paths[0]).size == (600, 450)
    content = paths[-1].read_bytes()
    if kind == "svg":
        assert "attention by layer" in re.findall(r"<text[^>]*>([^<]*)</text>", content.decode())
    elif kind == "pdf":
        assert b"/FontFile2" in content
        assert b"/Subtype /Image" not in content


def test_files_of_plots_say_their_pixels_an_inch(tmp_path: Path) -> None:
    style = Style(dpi=600)
    path = page_figure(new_page(1, 1, style), style).save(tmp_path / "a.png")
    with Image.open(path) as saved:
        assert saved.info["dpi"] == pytest.approx((600, 600), abs=0.1)

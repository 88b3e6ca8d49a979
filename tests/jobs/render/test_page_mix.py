"""The page's mixing by heat in a browser, for every color table, beside the formula of overlays."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcam_kernels import colormap
from PIL import Image

import fastcam
from fastcam.figures.patch_figure import WITHOUT_PATCH
from fastcam.jobs.render.gallery import read_gallery
from fastcam.jobs.render.gallery_content import Gallery, GalleryCase, GalleryFigure
from fastcam.jobs.render.page import page_html
from fastcam.jobs.render.picture_page import PictureGroup, write_picture_page
from fastcam.options import COLORMAPS
from tests.sample_map_stores import image_store

CELL, CELLS = 32, 16  # a cell for each level
SIDE = CELL * CELLS
LEVELS = np.arange(256).reshape(CELLS, CELLS)
GREYS = (LEVELS * 37 + 90) % 256


def write_page(folder: Path, colors: np.ndarray, *, maps: bool, signed: bool, **settings) -> Path:
    """A page of one figure: an image of ``GREYS`` beside all ``colors`` (256, 3) of a table."""
    cells = np.hstack([np.repeat(GREYS[:, :, None], 3, axis=2), colors[LEVELS]])
    figure = np.kron(cells, np.ones((CELL, CELL, 1))).astype(np.uint8)
    Image.fromarray(figure).save(folder / "x.png")
    panels = f"{2 * SIDE} {SIDE},0 0 {SIDE} {SIDE},{SIDE} 0 {SIDE} {SIDE} 0{' 1' * signed}"
    case = GalleryCase(
        place=1,
        name="x",
        true_label=0,
        predicted_label=0,
        correct=True,
        confidence=math.nan,
        highest=1.0,
        figures=(GalleryFigure("x.png", 0, True, 0.5, panels=panels),),
    )
    gallery = Gallery(
        title="t", status="finished", settings=settings, available=1, cases=(case,), maps=maps
    )
    (folder / "index.html").write_text(page_html(gallery), encoding="utf-8")
    return folder / "index.html"


def seen(browser: Any, path: Path) -> np.ndarray:
    """The colors (16, 16, 3) of the cells of the mixed picture."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{path.as_uri()}#1/0?mix=0.6&blend=heat")
    page.wait_for_selector(".stage.mixed")
    page.wait_for_function("() => document.querySelector('#large-image').complete")
    box = page.locator(".picture").first.bounding_box()
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), float)
    chosen = page.locator("#blend").evaluate("blend => blend.checkVisibility() && blend.value")
    page.close()
    if chosen != "heat":
        raise LookupError("the page doesn't offer it")
    side = min(box["width"], box["height"])
    left = box["x"] + (box["width"] - side) / 2
    top = box["y"] + (box["height"] - side) / 2
    middles = (np.arange(CELLS) + 0.5) * side / CELLS
    rows, columns = np.rint(top + middles).astype(int), np.rint(left + middles).astype(int)
    return shot[rows[:, None], columns]


def overlay(colors: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    weight = 0.6 * opacity[LEVELS][:, :, None]
    return (1 - weight) * GREYS[:, :, None] + weight * colors[LEVELS]


@pytest.mark.parametrize("name", COLORMAPS)
def test_maps_are_mixed_as_on_their_overlay(browser: Any, tmp_path: Path, name: str) -> None:
    colors = colormap.table(name)
    path = write_page(tmp_path, colors, maps=True, signed=False, colormap=name)
    assert np.abs(seen(browser, path) - overlay(colors, np.arange(256) / 255)).max() <= 5


@pytest.mark.parametrize("name", [name for name in COLORMAPS if name != "gray"])
def test_no_patch_no_heat(browser: Any, tmp_path: Path, name: str) -> None:
    colors = colormap.table(name).copy()
    colors[0] = WITHOUT_PATCH
    path = write_page(tmp_path, colors, maps=False, signed=False, colormap=name)
    assert np.abs(seen(browser, path) - overlay(colors, np.arange(256) / 255)).max() <= 5


def test_a_table_that_has_the_grey_of_no_patch_is_not_offered(browser: Any, tmp_path: Path) -> None:
    colors = colormap.table("gray")
    path = write_page(tmp_path, colors, maps=False, signed=False, colormap="gray")
    with pytest.raises(LookupError):
        seen(browser, path)


def test_evidence_for_and_against(browser: Any, tmp_path: Path) -> None:
    """Whatever the table of the run is, such maps have the diverging one."""
    colors = colormap.table("coolwarm")
    path = write_page(tmp_path, colors, maps=True, signed=True, colormap="jet")
    away = np.abs(2 * np.arange(256) / 255 - 1)
    assert np.abs(seen(browser, path) - overlay(colors, away)).max() <= 5


def test_where_a_map_is_for_and_against_is_recorded(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    maps = {
        "eigencam/a": rng.normal(size=(1, 4, 4)).astype(np.float32),
        "gradcam/b": rng.random((1, 4, 4)).astype(np.float32),
    }
    store = image_store(tmp_path, labels=("1",), maps=maps)
    fastcam.render(store.path, output_dir=tmp_path / "out", panel_size=64)
    rows = (tmp_path / "out" / "figures.csv").read_text(encoding="utf-8")
    (panels,) = re.findall(r'"(\d+ \d+,[^"]*)"', rows)
    heats = [text.split()[4:] for text in panels.split(",")[2:]]
    assert sorted(len(rest) for rest in heats) == [1, 2]
    assert [rest[1] for rest in heats if len(rest) == 2] == ["1"]
    (case,) = read_gallery(tmp_path / "out").cases
    assert [figure.panels for figure in case.figures] == [panels]


def test_texts_of_maps_without_facts(browser: Any, tmp_path: Path) -> None:
    """A figure of no prediction begins with its own name; a mean that float32 left over is 0."""
    maps = {"eigencam/a": np.array([[[-1.0, 1.0], [2.0, -2.0 + 4e-7]]], np.float32)}
    store = image_store(tmp_path, labels=("1",), maps=maps)
    fastcam.render(store.path, output_dir=tmp_path / "out", panel_size=64)
    write_picture_page(tmp_path, "views", [PictureGroup("a", "", None, ["out/x.png"])])
    texts = []
    for path in (tmp_path / "out" / "index.html", tmp_path / "index.html"):
        page = browser.new_page()
        page.goto(f"{path.as_uri()}#1/0")
        page.wait_for_selector("#large[open]")
        texts.append(page.locator("#large-facts").inner_text().strip())
        page.close()
    assert texts[0].endswith("average value 0")
    assert texts[1] == "x"

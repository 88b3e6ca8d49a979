"""Figures of an analysis: what lies where on their panels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fastcam.figures.figure_parts import Sheet
from fastcam.figures.map_figure import Heading
from fastcam.figures.render_style import RenderStyle, render_style_of
from fastcam.jobs.analyze.figures.sheets import (
    LayerMaps,
    classes_sheet,
    heatmap_sheet,
    layers_sheet,
    models_sheet,
    overlay_sheet,
)
from fastcam.jobs.analyze.figures.subject import Subject
from fastcam.jobs.analyze.map_statistics import feature_statistics
from fastcam.options import PanelName, Style

HEADING = Heading("image", "predicted cat", True)
PICTURE = np.full((40, 60, 1), 100, np.uint8)


@pytest.fixture(scope="module")
def look() -> RenderStyle:
    return render_style_of(Style(heat_alpha=0.7, panel_size=120), "", (), 120)


def maps(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return {name: rng.random((6, 5), np.float32) for name in ("one", "two", "three")}


@pytest.mark.parametrize("halves", ["plain", "mirror"])
def test_a_map_of_halves_is_on_both_and_not_stretched(halves: str, look: RenderStyle) -> None:
    subject = Subject(HEADING, PICTURE, halves)
    (panel,) = heatmap_sheet(subject, "one", maps()["one"], look).rows[0]
    left, right = panel.heat[:, :60], panel.heat[:, 60:]
    np.testing.assert_array_equal(left, right[:, ::-1] if halves == "mirror" else right)
    assert len(np.unique(left)) > 20
    np.testing.assert_array_equal(panel.outlines.boxes, [(0, 0, 60, 80), (60, 0, 120, 80)])


def test_all_layers_and_their_peaks(look: RenderStyle) -> None:
    found = maps()
    field = (0, 0, 60, 40)
    numbers = {name: feature_statistics(cells, field) for name, cells in found.items()}
    of_layers = LayerMaps(values=found, statistics=numbers, region=field)
    sheet = layers_sheet(Subject(HEADING, PICTURE), of_layers, look)
    assert [[panel.caption for panel in row] for row in sheet.rows] == [
        ["image", "one", "two", "three"],
        ["peaks of the layers", "one", "two", "three"],
    ]
    peaks = sheet.rows[1][0].outlines
    assert peaks.texts == ("one", "two", "three")
    for box, name in zip(peaks.boxes, found, strict=True):
        place = numbers[name].peak
        assert place is not None
        middle = (box[0] + box[2] - 1) / 2, (box[1] + box[3] - 1) / 2
        if box[0] > 0 and box[2] < 120 and box[1] > 0 and box[3] < 80:
            assert middle == pytest.approx((place.x * 2 + 0.5, place.y * 2 + 0.5), abs=1)


def test_the_shares_stand_on_the_input(look: RenderStyle) -> None:
    found = maps()
    field = (0, 0, 60, 40)
    numbers = {name: feature_statistics(cells, field, "plain") for name, cells in found.items()}
    subject = Subject(HEADING, PICTURE, "plain", left_share=0.75)
    at_input = np.random.default_rng(0).random((10, 12), np.float32)
    of_layers = LayerMaps(values=found, statistics=numbers, region=field, at_input=at_input)
    sheet = layers_sheet(subject, of_layers, look)
    assert sheet.rows[1][0].outlines.texts == ("left 75.0%", "right 25.0%")
    dark = replace(of_layers, at_input=np.zeros_like(at_input))
    nothing = layers_sheet(subject, dark, look)
    assert nothing.rows[1][0].height == 80


def test_differences_are_around_zero(look: RenderStyle) -> None:
    one, other = maps(0), maps(1)
    both = {name: (one[name], other[name]) for name in one}
    rgb = np.repeat(PICTURE, 3, axis=2)
    sheets = (
        classes_sheet(Heading("a against b", ""), ("a", "b"), (rgb, rgb), both, "no", look),
        models_sheet(Subject(HEADING, PICTURE), ("a", "b"), both, dict.fromkeys(one, 0.5), look),
    )
    for sheet in sheets:
        assert len(sheet.rows) == 3
        for row in sheet.rows:
            low, high = row[2].limits
            assert low == -high < 0
    for name, row in zip(one, sheets[0].rows, strict=True):
        high = max(one[name].max(), other[name].max())
        assert row[0].limits == row[1].limits == pytest.approx((0.0, high))


def kinds(sheet: Sheet) -> list[str]:
    """Of each row what its panels show, i, h or o, and * where they have a color bar."""
    letters = {(True, False): "i", (False, True): "h", (True, True): "o"}
    return [
        "".join(
            letters[len(panel.image) > 0, len(panel.heat) > 0] + "*" * (panel.bar is not None)
            for panel in row
        )
        for row in sheet.rows
    ]


@pytest.mark.parametrize(
    ("order", "single", "layers", "two"),
    [
        ((), ["io*"], ["io*o*o*", "ih*h*h*"], ["o*o*o*"]),
        (("overlay", "image"), ["o*i"], ["o*o*o*i"], ["o*o*o*{i}"]),
        (("image", "heat", "overlay"), ["ih*o"], ["ih*h*h*", "io*o*o*"], ["{i}h*h*h*ooo"]),
        (("heat", "mask"), ["h*"], ["h*h*h*"], ["h*h*h*"]),
        (("image",), ["i"], ["i"], ["{i}"]),
    ],
)
def test_panels_and_their_order(order: tuple[PanelName, ...], single, layers, two) -> None:
    look = render_style_of(Style(panel_size=120, panels=order), "", (), 120)
    one, other = maps(0), maps(1)
    field = (0, 0, 60, 40)
    numbers = {name: feature_statistics(cells, field) for name, cells in one.items()}
    of_layers = LayerMaps(values=one, statistics=numbers, region=field)
    subject = Subject(HEADING, PICTURE)
    rgb = np.repeat(PICTURE, 3, axis=2)
    both = {name: (one[name], other[name]) for name in one}
    assert kinds(heatmap_sheet(subject, "one", one["one"], look)) == ["h*"]
    overlays = overlay_sheet(subject, "one", one["one"], look)
    assert kinds(overlays) == single
    assert {panel.caption for panel in overlays.rows[0]} <= {"image", "one"}
    assert kinds(layers_sheet(subject, of_layers, look)) == layers
    models = models_sheet(subject, ("a", "b"), both, dict.fromkeys(one, 0.5), look)
    assert kinds(models) == [row.format(i="i") for row in two] * 3
    classes = classes_sheet(Heading("", ""), ("a", "b"), (rgb, rgb), both, "no", look)
    assert kinds(classes) == [row.format(i="ii") for row in two] * 3

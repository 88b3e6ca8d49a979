"""The figures of an explanation, and how pictures are arranged in them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from fastcam.figures import layout
from fastcam.figures.slice_facts import SliceFacts
from fastcam.jobs.explain.comparison import Comparison, Explanation
from fastcam.options import Style, StyleName

from ...figures.expected_pixels import bilinear
from ..vit.passes import sheet_and_panels
from .samples import PICTURES, SIDE, attention, cam, explanation, reconstruction

STYLE: dict[str, Any] = {"panel_size": SIDE, "heat_alpha": 0.4, "style": "classic"}


def bilinear_of(large: np.ndarray) -> np.ndarray:
    return np.stack([bilinear(large[..., c], 36, 48) for c in range(3)], axis=-1)


def test_what_has_to_be_said_stands_below_the_title() -> None:
    note = "windows are not comparable with each other"
    one = explanation({"window": attention(("a",), method="window", note=note)})
    sheet, _ = sheet_and_panels(Comparison((one,), ("",)).figure, 0, **STYLE)
    assert sheet.note == f"window: {note}"
    silent = explanation({"window": attention(("a",), method="window")})
    taller = len(one.figure(**STYLE).pixels) - len(silent.figure(**STYLE).pixels)
    assert taller == layout.arrange(((layout.Cell(1, 1),),), 1, 1.0).header_line
    for name, figure in _sheets(one).items():
        assert figure.note == (note if name.startswith("window") else f"window: {note}")


def test_sentences_follow_each_other_as_sentences() -> None:
    even = attention(("a",))[0], np.full((2, 1, 3, 6, 8), 1 / 49, np.float32)
    even[1][..., 0, :] *= 1.02
    note = "layer a only"
    window = attention(("b",), method="window", note=note)
    one = explanation({"attention": even, "window": window}, random_weights=True)
    sheet, _ = sheet_and_panels(Comparison((one,), ("",)).figure, 0, panel_size=SIDE)
    assert sheet.note == f"Random weights: these maps mean nothing. window: {note}"
    alone = explanation({"attention": even}, random_weights=True)
    sheet, _ = sheet_and_panels(Comparison((alone,), ("",)).figure, 0, panel_size=SIDE)
    assert sheet.note == (
        "Random weights: these maps mean nothing. "
        "Attention is all but uniform: nowhere more than 1.02 × uniform."
    )


def test_the_query_is_shown_once() -> None:
    one = explanation({}, reconstruction=reconstruction(shots=2))
    style: dict[str, Any] = {**STYLE, "style": "standard"}
    sheet, _ = sheet_and_panels(Comparison((one,), ("",)).figure, 0, **style)
    first, more, second, _ = sheet.rows
    assert [len(row) for row in sheet.rows] == [6, 3, 6, 3]
    assert first[3].caption == "query"
    assert (second[3].caption, second[3].image.shape) == ("", (1, 1, 3))
    assert all(row[0].image.shape[:2] == PICTURES[0].shape[:2] for row in (first, more, second))
    errors = [row[4].caption for row in (first, second)]
    names = list(one.reconstruction.classes) if one.reconstruction else []
    assert [caption.split()[0] for caption in errors] == names


def _sheets(one: Explanation, style: StyleName = "standard") -> dict[str, Any]:
    several = Comparison((one,), ("",))
    names: list[str] = []
    sheets = []

    def watched() -> Any:
        for name, figure in several.figures(0, "auto", "mean", Style(panel_size=SIDE, style=style)):
            names.append(name)
            yield figure

    figures = watched()
    while True:
        try:
            sheet, _ = sheet_and_panels(lambda: next(figures))
        except StopIteration:
            return dict(zip(names, sheets, strict=True))
        sheets.append(sheet)


def test_a_methods_own_figures_keep_the_pixels_of_a_large_picture() -> None:
    large = cv2.resize(PICTURES[0], (96, 72))
    one = explanation({"layer4": cam("layer4")})
    one.images[:] = [large, *PICTURES[1:]]  # type: ignore[list-item]
    sheets = _sheets(one)
    one.images[0] = PICTURES[0]
    (overlay,) = sheets["gradcam_overlay"].rows[0]
    assert (overlay.height, overlay.width) == (72, 96)
    assert np.array_equal(overlay.image, large)
    image = sheets["first_explained"].rows[0][0]
    assert (image.height, image.width) == (36, 48)
    assert np.abs(image.image - bilinear_of(large)).max() <= 40


def test_the_picture_is_shown_once_and_single_overlays_have_bar_and_prediction() -> None:
    one = explanation({"a": cam("a"), "b": cam("b")})
    looks: list[tuple[StyleName, bool]] = [("standard", False), ("classic", True)]
    for style, again in looks:
        sheets = _sheets(one, style)
        first, second = sheets["first_explained"].rows
        assert first[0].caption == "image"
        assert [len(first), len(second)] == [3, 3]
        assert (second[0].caption == "image") == again
        assert (len(np.unique(second[0].image.reshape(-1, 3), axis=0)) == 1) != again
        overlay = sheets["gradcam_overlay"]
        assert all((panel.bar is not None) != again for row in overlay.rows for panel in row)
        captions = [
            [panel.caption for row in sheets[name].rows for panel in row]
            for name in ("gradcam_heatmap", "gradcam_overlay")
        ]
        assert (captions[0] == captions[1]) != again
        assert overlay.verdict == ("" if again else "predicted 1  ·  confidence 0.7500")


def test_many_maps_of_one_picture_stand_two_in_a_row() -> None:
    names = ("a", "b", "c")
    one = explanation({name: cam(name) for name in names})
    sheet = _sheets(one)["first_explained"]
    captions = [[panel.caption.partition(",")[0] for panel in row] for row in sheet.rows]
    assert captions == [
        ["image", "gradcam · a", "overlay", "gradcam · b", "overlay"],
        ["", "gradcam · c", "overlay"],
    ]


def test_figures_of_a_volume_say_which_slice_and_which_sides() -> None:
    facts = SliceFacts(154, "S 5.6 mm", top_side="A", pixel_width=1.0, series="T1w", index=60)
    one = explanation({"layer4": cam("layer4")}, left_sides=("R", "R"), slice_facts=(facts, facts))
    for style in ("standard", "classic"):
        known = style == "standard"
        sides = ("R" if known else "", "A" if known else "")
        sheets = _sheets(one, style)
        for name in ("gradcam_heatmap", "gradcam_overlay"):
            (panel,) = sheets[name].rows[0]
            assert (panel.left_side, panel.top_side) == sides
            assert bool(panel.scale_bar[1]) == known
        image = sheets["first_explained"].rows[0][0]
        caption = "image, slice 60 of 154  ·  S 5.6 mm"
        assert image.caption == (caption if known else "image")
        assert image.aside == ("T1w" if known else "")

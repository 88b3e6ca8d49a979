"""Detectors through infer, render and explain: boxes stored, drawn and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fastcam
from fastcam.errors import InputError
from fastcam.figures.box_outlines import with_boxes
from fastcam.jobs.infer.box_targets import image_corners
from fastcam.jobs.render.maps.captions import RenderCaptions, row_captions, row_note
from fastcam.options import MapChoice
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.store.map_rows import choose_rows
from fastcam.store.maps import MapStore

from ...attribution.detectors import SIDE, SquareDetector, write_square_images


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_square_images(tmp_path / "images")


def _options(**options: Any) -> dict[str, Any]:
    # Pixels of 0 to 255 as the images were before.
    return {
        "image_size": SIDE,
        "mean": (100 / 255,),
        "std": (50 / 255,),
        "layers": ["backbone.2"],
        "method": "hirescam",
    } | options


def test_boxes_are_stored_and_drawn(images: Path, tmp_path: Path) -> None:
    report = fastcam.infer(
        SquareDetector(),
        images,
        tmp_path / "out",
        device="cpu",
        workers=0,
        **_options(target=("box:best", "box:label:1")),
    )
    assert report.exit_code == 0
    assert report.notes == [
        "--target box:best: 1 of 3 images have no such box, and maps of 0 without evidence",
        "--target box:label:1: 2 of 3 images have no such box, and maps of 0 without evidence",
    ]
    store = MapStore.open(tmp_path / "out" / "run.zarr")
    assert store.attrs.settings["boxes"] == ["box:best", "box:label:1"]
    first, second, third = (header.boxes for header in store.headers)
    assert first[:, :5].tolist() == [[16, 8, 24, 16, 0], [0, 24, 8, 32, 1]]
    assert second[:, 4].tolist() == [0, -1]
    assert third.tolist() == [[0, 0, 0, 0, -1, 0]] * 2
    np.testing.assert_array_equal(store.headers[0].output, first[:, 5])
    assert store.map("hirescam/backbone.2", 0)[0].argmax() == 1 * 4 + 2
    assert not store.map("hirescam/backbone.2", 1)[1].any()
    rows = choose_rows(store, MapChoice())
    header = store.headers[1]
    captions = RenderCaptions(class_names=("bright", "dark"))
    heading = captions.heading(header, None, True)
    assert heading.verdict == f"box of bright, score {second[0, 5]:.3f}; no such box"
    assert row_note(rows[1], header) == "box:label:1: no such box, no evidence"
    assert [text.endswith("target bright") for text in row_captions(rows, header, captions)] == [
        True,
        False,
    ]
    done = fastcam.render(
        tmp_path / "out" / "run.zarr", output_dir=tmp_path / "figures", workers=1, max_samples=1
    )
    assert done.exit_code == 0
    (figure,) = (tmp_path / "figures").glob("*.png")
    pixels = np.asarray(Image.open(figure).convert("RGB")).astype(int)
    for color in ((0, 255, 0), (255, 220, 0)):
        assert (abs(pixels - color).max(-1) < 70).sum() > 200


def test_explain_says_which_box(images: Path) -> None:
    result = fastcam.explain(
        SquareDetector(), images / "im0.png", target=["box:2", "box:3"], **_options()
    )
    assert result.boxes is not None
    assert result.boxes[0, :, 4].tolist() == [1, -1]
    assert result.prediction_text(0).endswith("; no such box")
    assert result.maps["backbone.2"].shape == (1, 2, 4, 4)
    assert result.figure(0)


def test_what_a_detector_needs(images: Path, tmp_path: Path) -> None:
    for options, words in (
        ({}, "box:best, the score of"),
        ({"target": "label"}, "has the label"),
        ({"target": (1,)}, "box:best, the score of"),
        ({"target": ("box:1",), "task": "regression"}, "answers with boxes"),
        ({"target": ("box:1",), "tta": "flips"}, "the boxes of a changed image"),
    ):
        with pytest.raises(InputError, match=words):
            fastcam.infer(
                SquareDetector(), images, tmp_path / "out", workers=0, **_options(**options)
            )
    with pytest.raises(InputError, match="the model is a detector"):
        fastcam.explain(SquareDetector(), images / "im0.png", **_options())


def test_a_box_in_pixels_of_its_image() -> None:
    stretched = {"size": (30, 20), "fit": "stretch"}
    assert image_corners([5, 10, 20, 30], (60, 80), stretched) == (20, 20, 80, 60)
    # Of 80 x 60 pixels the middle 60 x 60 are seen, at half their size.
    cropped = Preprocessing(size=(30, 30), fit="crop").settings
    assert image_corners([0, 10, 20, 30], (60, 80), cropped) == (10, 20, 50, 60)


def test_a_box_is_turned_with_its_picture() -> None:
    """Against a box drawn first and turned then."""
    picture = np.zeros((40, 60, 1), np.uint8)
    box = np.array([[5.0, 2.0, 20.0, 12.0, 0.0, 1.0]], np.float32)
    drawn = with_boxes(picture, box, (20, 30))
    assert drawn.any(-1).sum() == 2 * (31 + 21) - 4
    for turn in (
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a.swapaxes(0, 1),
        lambda a: a.swapaxes(0, 1)[::-1],
        lambda a: a[::-1, ::-1].swapaxes(0, 1),
    ):
        turned = with_boxes(np.ascontiguousarray(turn(picture)), box, (20, 30), turn)
        expected = turn(drawn).any(-1)
        assert turned.any(-1).shape == expected.shape
        rows, columns = np.nonzero(turned.any(-1))
        wanted_rows, wanted_columns = np.nonzero(expected)
        # The end of a box lies on the pixel after it.
        for found, wanted in ((rows, wanted_rows), (columns, wanted_columns)):
            assert abs(int(found.min()) - int(wanted.min())) <= 1
            assert abs(int(found.max()) - int(wanted.max())) <= 1


def test_a_box_of_two_targets_has_the_first_ones_color() -> None:
    box = [2.0, 2.0, 9.0, 9.0, 0.0, 1.0]
    other = [2.0, 2.0, 15.0, 15.0, 1.0, 0.5]
    drawn = with_boxes(
        np.zeros((20, 20, 1), np.uint8), np.array([box, other, box], np.float32), (20, 20)
    )
    colors = {tuple(pixel) for pixel in drawn[drawn.any(-1)].tolist()}
    assert colors == {(0, 255, 0), (255, 220, 0)}
    assert drawn[2, 2].tolist() == [0, 255, 0]
    assert drawn[15, 15].tolist() == [255, 220, 0]

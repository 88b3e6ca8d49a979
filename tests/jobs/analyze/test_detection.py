"""Detectors through analyze: maps and boxes as infer stores them, images without a box left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import fastcam
from fastcam.cli.main import app
from fastcam.errors import InputError
from fastcam.figures.map_figure import Heading
from fastcam.jobs.analyze.figures.subject import Subject, found_boxes
from fastcam.jobs.analyze.request import AnalyzeOptions
from fastcam.options import Style
from fastcam.read.volumes.orientation import Orientation
from fastcam.store.maps import MapStore

from ...attribution.detectors import CELL, SIDE, SquareDetector, square_images, write_square_images

LAYERS = ["backbone.0", "backbone.2"]
OPTIONS: dict[str, Any] = {
    "image_size": SIDE,
    "mean": (100 / 255,),
    "std": (50 / 255,),
    "layers": LAYERS,
    "method": "hirescam",
    "device": "cpu",
}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A bright and a dark square, a bright one, nothing; each twice as large as it is seen."""
    return write_square_images(tmp_path / "images")


def _analyzer(tmp_path: Path, target: Any = "box:best", **options: Any) -> fastcam.Analyzer:
    style = Style(panel_size=64, heat_alpha=0.7)
    report = AnalyzeOptions(style, class_names=("bright", "dark"), workers=1)
    return fastcam.Analyzer(
        SquareDetector(), target=target, output_dir=tmp_path / "out", readers=0,
        options=report, **OPTIONS | options,
    )  # fmt: skip


def test_maps_and_boxes_are_those_of_infer(images: Path, tmp_path: Path) -> None:
    found = _analyzer(tmp_path).analyze_batch(images)
    assert found.exit_code == 0
    fastcam.infer(
        SquareDetector(), images, tmp_path / "run", target="box:best", workers=0, **OPTIONS
    )
    store = MapStore.open(tmp_path / "run" / "run.zarr")
    own = MapStore.open(tmp_path / "out" / "run.zarr")
    batch = square_images()
    with torch.no_grad():
        activations = SquareDetector().backbone(batch).numpy()
    for index, (image, header) in enumerate(zip(found.images, store.headers, strict=True)):
        for layer in LAYERS:
            name = f"hirescam/{layer}"
            np.testing.assert_array_equal(own.map(name, index), store.map(name, index))
            raw = image.layers[layer].feature_statistics.raw
            assert raw.max_activation == pytest.approx(store.map(name, index).clip(0).max())
        measured = image.layers["backbone.2"].activations
        assert measured is not None
        assert measured.mean == pytest.approx(activations[index].mean(), abs=1e-3)
        (*corners, label, score) = header.boxes[0].tolist()
        if label < 0:
            assert (image.box, image.predicted, image.confidence) == (None, None, None)
            assert image.without_box
            assert image.explained == image.predicted_name == "no such box"
            continue
        # In pixels of the image, which is twice as large.
        assert image.box == pytest.approx([2 * corner for corner in corners])
        assert image.confidence == pytest.approx(score)
        assert (image.predicted, image.explained) == (int(label), ("bright", "dark")[int(label)])
    assert [image.without_box for image in found.images] == [False, False, True]


def test_what_has_no_box_is_in_no_mean(images: Path, tmp_path: Path) -> None:
    """Of folders, of which the one has an image without a box beside one that has it."""
    for name in ("one", "two"):
        (images / name).mkdir()
    shutil.move(images / "im0.png", images / "one" / "im0.png")
    shutil.move(images / "im1.png", images / "two" / "im1.png")
    shutil.move(images / "im2.png", images / "two" / "im2.png")
    found = _analyzer(tmp_path).analyze_batch(images)
    by_name = {image.id.rpartition("/")[2]: image for image in found.images}
    groups = {entry.name: entry for entry in found.comparison.classes}
    assert {name: entry.n for name, entry in groups.items()} == {"one": 1, "two": 1}
    for name, image in (("one", "im0"), ("two", "im1")):
        own = groups[name].layers["backbone.2"].metrics["max_activation"].mean
        expected = by_name[image].layers["backbone.2"].feature_statistics.raw.max_activation
        assert own == pytest.approx(expected)
        assert groups[name].metrics["confidence"].mean == pytest.approx(by_name[image].confidence)
    results = json.loads((tmp_path / "out" / "analysis_results.json").read_text("utf-8"))
    assert results["target"] == "box:best"
    rows = {row["id"].rpartition("/")[2]: row for row in results["images"]}
    assert rows["im2"]["without_box"] is True
    assert "box" not in rows["im2"]
    assert rows["im1"]["box"] == [2 * CELL, 0, 4 * CELL, 2 * CELL]
    assert "without_box" not in rows["im1"]
    report = (tmp_path / "out" / "summary_report.txt").read_text("utf-8")
    assert "Explained:          box:best" in report
    assert "1, left out of all means and comparisons" in report


def test_the_box_is_on_every_picture(images: Path, tmp_path: Path) -> None:
    _analyzer(tmp_path).analyze_batch(images)
    out = tmp_path / "out"
    assert (out / "gradcam_heatmaps" / "im2_backbone.2_no-box_heatmap.png").is_file()
    # Of the panel's 64 pixels the box has 32 to 48 along x and 16 to 32 along y.
    for path, panels in (
        (out / "gradcam_heatmaps" / "im0_backbone.2_bright_heatmap.png", 1),
        (out / "overlay_images" / "im0_backbone.2_bright_overlay.png", 2),
    ):
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        green = (pixels == (0, 255, 0)).all(-1)
        # Two lines of two pixels' width along each side of 16.
        assert green.sum() == panels * (16**2 - 12**2), path.name
        rows, columns = np.nonzero(green)
        assert np.ptp(rows) == 15
        left = columns.min()
        assert green[:, left : left + 16].sum() == 16**2 - 12**2


def test_boxes_turn_with_their_picture() -> None:
    """Against the boxes drawn first and the picture turned then."""
    boxes = found_boxes(
        np.array([[2, 4, 10, 12, 1, 0.5], [0, 0, 0, 0, -1, 0]], np.float32), (16, 20)
    )
    np.testing.assert_allclose(boxes, [[0.1, 0.25, 0.5, 0.75]])
    display = Orientation(transpose=True, flip_columns=True)
    plain = np.zeros((32, 40, 1), np.uint8)
    straight = Subject(Heading("", ""), plain, boxes=boxes).with_drawn_boxes().picture
    turned = Subject(
        Heading("", ""), np.ascontiguousarray(display.apply(plain)), display=display, boxes=boxes
    ).with_drawn_boxes()
    assert not len(turned.boxes)
    expected = np.argwhere(display.apply(straight).any(-1))
    found = np.argwhere(turned.picture.any(-1))
    # The end of a box lies on the pixel after it.
    assert abs(found.min(0) - expected.min(0)).max() <= 1
    assert abs(found.max(0) - expected.max(0)).max() <= 1


def test_one_image_in_memory(images: Path, tmp_path: Path) -> None:
    batch = _analyzer(tmp_path).analyze_batch(images)
    for index, image in enumerate(batch.images):
        alone = _analyzer(tmp_path).analyze(image.source)
        for name in ("box", "predicted_name", "explained", "without_box"):
            assert getattr(alone.result, name) == getattr(image, name), (index, name)
        assert alone.result.confidence == pytest.approx(image.confidence)
        assert alone.figure


def test_two_models_agree_on_boxes(images: Path, tmp_path: Path) -> None:
    model = SquareDetector()
    torch.save(model.state_dict(), tmp_path / "first.pth")
    with torch.no_grad():
        # Dark squares have the higher score now.
        model.head.weight[1, 1, 1, 1] = 8.0
    torch.save(model.state_dict(), tmp_path / "second.pth")
    found = fastcam.Analyzer(
        SquareDetector(), tmp_path / "first.pth", compare=tmp_path / "second.pth",
        target="box:best", output_dir=tmp_path / "out", readers=0,
        options=AnalyzeOptions(Style(panel_size=64), workers=1), **OPTIONS,
    ).analyze_batch(images)  # fmt: skip
    results = json.loads((tmp_path / "out" / "analysis_results.json").read_text("utf-8"))
    # Of two images with a box, im0 has a dark one, too.
    assert results["same_predictions"] == 1
    assert found.images[2].agreement == dict.fromkeys(LAYERS)


def test_what_does_not_go_together(images: Path, tmp_path: Path) -> None:
    for target, words in (
        ("best", "give the number of an output, or of a detector box:best"),
        ("box:worst", "give box:best"),
        (None, "box:best, the score of"),
        (1, "box:best, the score of"),
    ):
        with pytest.raises(InputError, match=words):
            _analyzer(tmp_path, target).analyze_batch(images)
    with pytest.raises(InputError, match="the boxes of a changed image"):
        _analyzer(tmp_path, windows=fastcam.WindowPlan((16,)))
    classifier = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    analyzer = fastcam.Analyzer(
        classifier, target="box:best", output_dir=tmp_path / "out", **OPTIONS | {"layers": ["0"]}
    )
    with pytest.raises(InputError, match="gives no boxes, scores and labels"):
        analyzer.analyze_batch(images)
    assert not (tmp_path / "out" / "run.zarr").exists()


def test_the_command(images: Path, tmp_path: Path) -> None:
    code = tmp_path / "net.py"
    code.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parents[3])!r})\n"
        "from tests.attribution.detectors import SquareDetector\n"
    )
    arguments = (
        f"analyze --model {code}:SquareDetector --images {images} --target box:label:0 "
        f"--image-size {SIDE} --mean 0.392 --std 0.196 --layer backbone.2 --device cpu "
        f"--output-dir {tmp_path / 'out'} --workers 1 --panel-size 64"
    )
    made = CliRunner().invoke(app, arguments.split())
    assert made.exit_code == 0, made.output
    assert "1 of 3 images have no such box, and are left out of all means" in made.output

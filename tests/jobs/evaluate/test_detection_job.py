"""Test sets of a detector, measured by hand from the maps and boxes that infer stores."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.evaluate.detection_cases import box_pixels
from fastcam.jobs.evaluate.detection_scoring import DetectionScoring
from fastcam.jobs.view.open_runs import open_runs
from fastcam.jobs.view.request import ViewRequest
from fastcam.store.map_rows import MapRow
from fastcam.store.maps import MapStore

from ...attribution.detectors import SIDE, SquareDetector, square_images

LAYER = "hirescam/backbone.2"
OPTIONS: dict[str, Any] = {
    "image_size": SIDE,
    "mean": (100 / 255,),
    "std": (50 / 255,),
    "layers": ["backbone.2"],
    "method": "hirescam",
    "device": "cpu",
}
EVALUATE: dict[str, Any] = {**OPTIONS, "compile": False, "readers": 0, "workers": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images twice as large as the model sees them, and masks of two."""
    for name in ("Images", "Masks"):
        (tmp_path / name).mkdir()
    for number, image in enumerate(square_images()[:, 0]):
        pixels = (image.numpy() * 50 + 100).astype(np.uint8)
        large = Image.fromarray(pixels).resize((2 * SIDE, 2 * SIDE), 0)
        large.save(tmp_path / "Images" / f"im{number}.png")
    mask = np.zeros((2 * SIDE, 2 * SIDE), np.uint8)
    mask[20:40, 30:50] = 255
    for number in (0, 2):
        Image.fromarray(mask).save(tmp_path / "Masks" / f"im{number}.png")
    return tmp_path


def _rows(output: Path, name: str = "predictions.csv") -> list[dict[str, str]]:
    with (output / name).open() as file:
        return list(csv.DictReader(file))


def _by_hand(values: Any, inside: Any) -> dict[str, float]:
    """Share, area, peak and best overlap of a map (h, w) over pixels ``inside`` (H, W)."""
    large = nn.functional.interpolate(
        torch.from_numpy(values)[None, None].double(), inside.shape, mode="bilinear"
    )[0, 0].numpy()
    total = sum(large[y, x] for y, x in np.ndindex(large.shape))
    within = sum(large[y, x] for y, x in np.ndindex(large.shape) if inside[y, x])
    row, column = divmod(int(values.argmax()), values.shape[1])
    step = inside.shape[0] // values.shape[0]
    peak = inside[row * step + step // 2, column * step + step // 2]
    overlaps = [
        (marked & inside).sum() / (marked | inside).sum()
        for marked in (large >= k / 255 * large.max() for k in range(1, 256))
    ]
    return {
        "share": within / total,
        "area": float(inside.mean()),
        "peak": float(peak),
        "iou": max(overlaps),
    }


def test_every_number_by_hand(folder: Path) -> None:
    out, run = folder / "out", folder / "run"
    report = fastcam.evaluate(
        SquareDetector(), folder / "Images", None, out,
        target="box:best,box:label:1", class_names=["bright", "dark"], explain="all", **EVALUATE,
    )  # fmt: skip
    assert report.exit_code == 0
    fastcam.infer(
        SquareDetector(), folder / "Images", run,
        target=("box:best", "box:label:1"), workers=0, **OPTIONS,
    )  # fmt: skip
    store = MapStore.open(run / "run.zarr")
    rows = _rows(out)
    assert [(row["id"], row["target"]) for row in rows] == [
        (f"im{number}", target) for number in range(3) for target in ("box:best", "box:label:1")
    ]
    expected: dict[str, list[dict[str, float]]] = {"box:best": [], "box:label:1": []}
    large_mask = np.zeros((2 * SIDE, 2 * SIDE), bool)
    large_mask[20:40, 30:50] = True
    for place, row in enumerate(rows):
        index, number = divmod(place, 2)
        header = store.headers[index]
        x1, y1, x2, y2, label, score = header.boxes[number].tolist()
        if label < 0:
            assert row["remark"] == "no such box"
            assert {row[name] for name in ("label", "score", "x1", "share_inside_box")} == {""}
            continue
        assert (row["label"], row["name"]) == (str(int(label)), ("bright", "dark")[int(label)])
        assert float(row["score"]) == pytest.approx(score, rel=1e-5)
        # In pixels of the image, which is twice as large.
        corners = [float(row[name]) for name in ("x1", "y1", "x2", "y2")]
        assert corners == [2 * x1, 2 * y1, 2 * x2, 2 * y2]
        inside = np.zeros((SIDE, SIDE), bool)
        inside[int(y1) : int(y2), int(x1) : int(x2)] = True
        values = store.map(LAYER, index)[number].clip(0)
        numbers = {"score": score}
        for name, pixels in (("box", inside), ("mask", large_mask)):
            if name == "mask" and index != 0:
                assert row["share_inside_mask"] == row["mask_area"] == ""
                continue
            own = _by_hand(values, pixels)
            assert float(row[f"share_inside_{name}"]) == pytest.approx(own["share"], abs=1e-5)
            assert float(row[f"{name}_area"]) == pytest.approx(own["area"], abs=1e-6)
            assert row[f"peak_inside_{name}"] == str(bool(own["peak"]))
            # A pixel at a threshold is on either side of it, by rounding.
            assert float(row[f"{name}_iou"]) == pytest.approx(own["iou"], abs=0.02)
            numbers |= {f"share_inside_{name}": own["share"], f"peak_inside_{name}": own["peak"]}
        expected[row["target"]].append(numbers)
    content = json.loads((out / "test_metrics.json").read_text())
    assert (content["task"], content["n"], content["images"], content["without_box"]) == (
        "detection", 2, 3, 1,
    )  # fmt: skip
    for entry, counts in zip(content["targets"], ((2, 1), (1, 2)), strict=True):
        assert (entry["boxes"], entry["missing"]) == counts
        for name in ("score", "share_inside_box", "peak_inside_box", "share_inside_mask"):
            found = [own[name] for own in expected[entry["target"]] if name in own]
            assert entry["metrics"][name]["value"] == pytest.approx(np.mean(found), abs=1e-5)
    assert content["metrics"] == content["targets"][0]["metrics"]
    assert [entry["name"] for entry in content["targets"][1]["labels"]] == ["dark"]
    assert (
        "box:best: in 2 of 3 images (1 has no such box and is left out of all means)"
        in " ".join(report.notes)
    )
    assert not [note for note in report.notes if note.startswith("--target")]
    shares = {row["id"]: row["share_inside_box"] for row in rows if row["target"] == "box:best"}
    ends = max(("im0", "im1"), key=shares.get), min(("im0", "im1"), key=shares.get)  # type: ignore[arg-type]
    assert (content["best"], content["worst"]) == ends
    assert report.figures is not None
    assert report.figures.drawn == 3
    page = (out / "explained" / "index.html").read_text(encoding="utf-8")
    scores = [header.boxes[0, 5] for header in store.headers]
    assert "box of bright, score 0." in page
    assert "box of dark, score 0." in page
    (viewed,) = open_runs(ViewRequest(runs=(out / "explained",)))
    assert viewed.cases[1].prediction == f"box of bright, score {scores[1]:.3f}; no such box"
    assert "images_without_row" not in content
    for name in ("boxes.csv", "evaluation_results.png", "hirescam_best_sample.png", "index.html"):
        assert (out / name).is_file()
    lines = _rows(out, "boxes.csv")
    assert [(line["target"], line["name"], line["boxes"]) for line in lines] == [
        ("box:best", "all", "2"), ("box:best", "bright", "2"),
        ("box:label:1", "all", "1"), ("box:label:1", "dark", "1"),
    ]  # fmt: skip


def test_headings_say_what_is_inside(folder: Path) -> None:
    report = fastcam.evaluate(SquareDetector(), folder / "Images", None, folder / "out", **EVALUATE)
    store = MapStore.open(folder / "out" / "run.zarr")
    assert report.evaluation.target == "box:best"
    first, _, third = store.headers
    scoring = DetectionScoring("detection")
    # Not measured: nothing is said of the map, and nothing is green.
    heading = scoring.heading(first)
    assert heading.verdict == f"box of 0, score {first.boxes[0, 5]:.3f}"
    assert heading.correct is None
    assert scoring.heading(third).verdict == "no such box"
    assert scoring.score(third) is None
    assert scoring.evidence(MapRow(array="gradcam", caption="gradcam"), first, 0) == "for class 0"


def test_nothing_found_anywhere(folder: Path) -> None:
    for number in (0, 1):
        (folder / "Images" / f"im{number}.png").unlink()
    report = fastcam.evaluate(SquareDetector(), folder / "Images", None, folder / "out", **EVALUATE)
    assert report.exit_code == 1
    assert report.metrics["score"] is None
    assert "in 0 of 1 images (1 has no such box" in report.notes[-1]
    assert [row["remark"] for row in _rows(folder / "out")] == ["no such box"]


def test_a_box_on_the_pixels_of_a_cropped_image(folder: Path) -> None:
    """Of 128 x 64 pixels a square of 64 in the middle is seen, at half its size."""
    pixels = np.full((64, 128), 100, np.uint8)
    pixels[16:32, 32 + 32 : 32 + 48] = 200
    for path in (*(folder / "Images").iterdir(), *(folder / "Masks").iterdir()):
        path.unlink()
    Image.fromarray(pixels).save(folder / "Images" / "wide.png")
    fastcam.evaluate(
        SquareDetector(), folder / "Images", None, folder / "out", fit="crop", **EVALUATE
    )
    (row,) = _rows(folder / "out")
    assert [float(row[name]) for name in ("x1", "y1", "x2", "y2")] == [64, 16, 80, 32]
    assert float(row["box_area"]) == pytest.approx(1 / 16)
    assert "mask_area" not in row


def test_pixels_of_a_box() -> None:
    """A pixel counts where its center is inside; what lies outside of the image doesn't."""
    assert box_pixels([0.4, 0.6, 2.5, 1.6], (3, 4)).tolist() == [
        [False] * 4,
        [True, True, False, False],
        [False] * 4,
    ]
    assert box_pixels([-5.0, -5.0, 9.0, 9.0], (3, 4)).all()
    assert not box_pixels([1.6, 0.0, 2.4, 3.0], (3, 4)).any()


def test_what_does_not_go_together(folder: Path) -> None:
    table = folder / "table.csv"
    table.write_text("label\n1\n0\n1\n")
    for options, words in (
        ({"target": "label"}, "target 'label': give box:best"),
        ({"task": "multilabel"}, "answers with boxes; leave it out, or give detection"),
        ({"task": "multilabel", "target": "box:best"}, "answers with boxes"),
        ({"id_column": "id"}, "id_column id: of a detector"),
        ({"faithfulness": 2}, "faithfulness is for one"),
        ({"compare_methods": "layercam"}, "pixels or boxes"),
        ({"method": "attention"}, "explains no box"),
        ({"tta": "flips"}, "the boxes of a changed image"),
        ({"slices": "all"}, "is for images"),
    ):
        with pytest.raises(InputError, match=words):
            fastcam.evaluate(
                SquareDetector(), folder / "Images", None, folder / "out", **EVALUATE | options
            )
    with pytest.raises(InputError, match=r"table .*table.csv: of a detector"):
        fastcam.evaluate(SquareDetector(), folder / "Images", table, folder / "out", **EVALUATE)
    classifier = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    options = EVALUATE | {"layers": ["0"]}
    for own, words in (
        ({"target": "box:best"}, "target box:best: the model gives no boxes"),
        ({"target": "box:best", "task": "multilabel"}, "target box:best: the model gives no box"),
        ({"task": "detection"}, "task detection: the model gives no boxes"),
    ):
        with pytest.raises(InputError, match=words):
            fastcam.evaluate(classifier, folder / "Images", table, folder / "out", **options | own)
    assert not (folder / "out" / "run.zarr").exists()

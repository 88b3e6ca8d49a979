"""Test sets of segmentations, 2-D and 3-D, whose overlaps and distances are worked by hand."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.render.gallery import read_gallery

SIDE = 24
GREY = {0: 0, 1: 120, 2: 255}


class Levels(nn.Module):
    """Dark is class 0, grey class 1, bright class 2, pixel by pixel."""

    def __init__(self, dims: int = 2, channels: int = 3, classes: int = 3) -> None:
        super().__init__()
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.features = convolution(channels, 1, 1, bias=False)
        nn.init.constant_(self.features.weight, 1 / channels)
        self.blur = nn.Identity()
        self.image_size = SIDE if dims == 2 else (SIDE,) * 3
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        x = self.blur(self.features(x).relu())
        grey = 4 * x - 1
        return torch.cat([0 * x, grey, grey + 8 * (x - 0.75)][: self.classes], 1)


OPTIONS: dict[str, Any] = {
    "method": "hirescam",
    "layers": ["features"],
    "device": "cpu",
    "compile": False,
    "readers": 0,
    "workers": 1,
}
PLAIN: dict[str, Any] = {"mean": (0.0,) * 3, "std": (1.0,) * 3}


def _labels(class_one: slice, class_two: slice | None = None) -> Any:
    """Squares of 8x8: class 1 in the upper rows, class 2 in the lower ones."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[2:10, class_one] = 1
    if class_two is not None:
        labels[14:22, class_two] = 2
    return labels


# By image what is there and what the model, which sees grey levels, will say.
CASES = {
    "same": (_labels(slice(4, 12), slice(4, 12)), _labels(slice(4, 12), slice(4, 12))),
    "moved": (_labels(slice(4, 12)), _labels(slice(6, 14))),
    "missed": (_labels(slice(4, 12), slice(4, 12)), _labels(slice(4, 12))),
    "invented": (_labels(slice(0, 0)), _labels(slice(0, 0), slice(4, 12))),
    "empty": (_labels(slice(0, 0)), _labels(slice(0, 0))),
}


def _write(folder: Path, name: str, true: Any, predicted: Any) -> None:
    grey = np.vectorize(GREY.get)(predicted).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, -1)).save(folder / "Images" / f"{name}.png")
    Image.fromarray(true).save(folder / "Masks" / f"{name}.png")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("Images", "Masks"):
        (tmp_path / name).mkdir()
    for name, (true, predicted) in CASES.items():
        _write(tmp_path, name, true, predicted)
    return tmp_path


def test_pictures(pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    report = fastcam.evaluate(
        Levels(), pictures / "Images", None, output, task="segmentation", explain="errors",
        **OPTIONS, **PLAIN,
    )  # fmt: skip
    assert report.exit_code == 0
    assert report.figures is not None
    assert report.figures.drawn == 2  # the missed and the invented class
    content = json.loads((output / "test_metrics.json").read_text())
    rows = {row["id"]: row for row in csv.DictReader((output / "predictions.csv").open())}
    # 8x8 squares two columns apart share 48 of 64 pixels; the 28 pixels of one's edge are 28 pixels
    # from the other's edge, in sum, and those of a whole side, more than 5 %, 2 each.
    moved = rows["moved"]
    assert float(moved["class 1_dice"]) == pytest.approx(2 * 48 / 128)
    assert float(moved["class 1_iou"]) == pytest.approx(48 / 80)
    assert float(moved["class 1_surface_distance"]) == pytest.approx(1.0)
    assert float(moved["class 1_hausdorff95"]) == pytest.approx(2.0)
    assert (moved["class 2_dice"], moved["class 2_true_pixels"]) == ("", "0")
    missed = rows["missed"]
    assert (missed["class 2_dice"], missed["class 2_hausdorff95"]) == ("0", "")
    assert (missed["class 2_true_pixels"], missed["class 2_predicted_pixels"]) == ("64", "0")
    assert (rows["invented"]["class 2_dice"], rows["invented"]["mean_dice"]) == ("0", "0")
    assert (rows["empty"]["class 1_dice"], rows["empty"]["mean_dice"]) == ("", "1")
    one, two = content["classes"]
    assert one["metrics"]["dice"]["value"] == pytest.approx((1 + 0.75 + 1) / 3)
    assert one["metrics"]["hausdorff95"]["value"] == pytest.approx(2 / 3)
    assert (one["present"], one["missed"], one["invented"]) == (3, 0, 0)
    assert two["metrics"]["dice"]["value"] == pytest.approx(1 / 3)
    assert (two["present"], two["missed"], two["invented"]) == (2, 1, 1)
    both = (one["metrics"]["dice"]["value"] + two["metrics"]["dice"]["value"]) / 2
    assert content["metrics"]["dice"]["value"] == pytest.approx(both)
    assert content["metrics"]["dice"]["low"] < both < content["metrics"]["dice"]["high"]
    assert (content["unit"], content["n"]) == ("pixels", len(CASES))
    # The map of class 1 lies where it is predicted: 48 of 64 pixels inside of the moved one.
    shares = {name: row["class 1_share_inside_mask"] for name, row in rows.items()}
    assert float(shares["same"]) == pytest.approx(1.0)
    assert float(shares["moved"]) == pytest.approx(48 / 64)
    assert content["classes"][0]["localization"]["measured"] == 3
    assert (content["best"], content["worst"]) == ("empty", "invented")
    for name in ("hirescam_best_sample.png", "evaluation_results.png", "index.html"):
        assert (output / name).is_file()
    lines = list(csv.DictReader((output / "classes.csv").open()))
    assert [line["name"] for line in lines] == ["class 1", "class 2", "mean"]
    # What is predicted of the page's images, by the areas of its squares.
    said = {case.name: case.predicted_label for case in read_gallery(output / "explained").cases}
    whole = SIDE * SIDE
    for name, areas in (("missed", (whole - 64, 64, 0)), ("invented", (whole - 64, 0, 64))):
        none, one, two = (f"{area / whole:.1%}" for area in areas)
        assert said[name] == f"class 0 on {none}, class 1 on {one}, class 2 on {two} of the pixels"


def test_the_mask_decides_on_its_own_pixels(tmp_path: Path) -> None:
    """A picture of twice the size: each predicted pixel is two by two."""
    for name in ("Images", "Masks"):
        (tmp_path / name).mkdir()
    true, predicted = (np.kron(part, np.ones((2, 2), np.uint8)) for part in CASES["moved"])
    _write(tmp_path, "large", true, predicted)
    fastcam.evaluate(
        Levels(), tmp_path / "Images", None, tmp_path / "out", class_names=["a", "b", "c"],
        target="seg:1@mask", **OPTIONS, **PLAIN,
    )  # fmt: skip
    (row,) = csv.DictReader((tmp_path / "out" / "predictions.csv").open())
    assert row["b_true_pixels"] == row["b_predicted_pixels"] == str(4 * 64)
    assert float(row["b_dice"]) == pytest.approx(0.75)
    assert float(row["b_hausdorff95"]) == pytest.approx(4.0)
    assert row["c_share_inside_mask"] == ""


def test_volumes_are_measured_in_millimetres(tmp_path: Path) -> None:
    for name in ("Images", "Masks"):
        (tmp_path / name).mkdir()
    affine = np.diag([0.5, 2.0, 3.0, 1.0])  # x, y, z
    true = np.zeros((SIDE, SIDE, SIDE), np.int16)
    predicted = true.copy()
    true[4:12, 4:12, 4:12] = 1
    predicted[4:12, 4:12, 6:14] = 1
    for folder, voxels in (("Images", predicted.astype(np.float32)), ("Masks", true)):
        image = nibabel.Nifti1Image(voxels, affine)
        nibabel.save(image, tmp_path / folder / "a.nii.gz")
    fastcam.evaluate(
        Levels(3, 1, 2), tmp_path / "Images", None, tmp_path / "out", **OPTIONS,
        mean=(0.0,), std=(1.0,),
    )  # fmt: skip
    content = json.loads((tmp_path / "out" / "test_metrics.json").read_text())
    (row,) = csv.DictReader((tmp_path / "out" / "predictions.csv").open())
    assert content["unit"] == "mm"
    assert float(row["class 1_dice"]) == pytest.approx(0.75)
    # Two voxels along z, of 3 mm each; a whole side of the cube is that far.
    assert float(row["class 1_hausdorff95"]) == pytest.approx(6.0)
    assert float(row["class 1_share_inside_mask"]) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table": "t.csv"}, "table t.csv: of a segmentation the true classes"),
        ({"target": "seg:3"}, "target seg:3: the model has 3 classes, 0 to 2"),
        ({"target": "age"}, "target 'age': give seg:CLASS"),
        ({"class_names": ["a"]}, "class_names: 1 names, and the model has 3 classes"),
        ({"task": "classification"}, "the model answers for every pixel"),
        ({"faithfulness": 2}, "faithfulness is for one answer an image"),
        ({"mask_dir": "Images"}, "no mask fits any image"),
    ],
)
def test_wrong_options(pictures: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"table": None, **OPTIONS, **PLAIN, **change}
    if "mask_dir" in change:
        arguments["mask_dir"] = pictures / "Images"
    with pytest.raises(InputError, match=words):
        fastcam.evaluate(Levels(), pictures / "Images", output_dir=tmp_path / "out", **arguments)


def test_a_mask_of_other_numbers_is_named(pictures: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((SIDE, SIDE), 7, np.uint8)).save(pictures / "Masks" / "same.png")
    report = fastcam.evaluate(
        Levels(), pictures / "Images", None, tmp_path / "out", **OPTIONS, **PLAIN
    )
    assert report.exit_code == 3
    (failure,) = [failure for failure in report.failures if failure.level == "error"]
    assert "same.png: the mask has the value 7, and the model has 3 classes" in failure.reason
    assert len(report.evaluation.cases) == len(CASES) - 1


def test_masks_that_all_have_other_numbers(pictures: Path, tmp_path: Path) -> None:
    for mask in (pictures / "Masks").iterdir():
        Image.fromarray(np.full((SIDE, SIDE), 7, np.uint8)).save(mask)
    report = fastcam.evaluate(
        Levels(), pictures / "Images", None, tmp_path / "out", tta="flips", **OPTIONS, **PLAIN
    )
    assert report.exit_code == 1
    assert not report.evaluation.cases
    reasons = [failure.reason for failure in report.failures if failure.level == "error"]
    assert len(reasons) == len(CASES)
    assert all("the mask has the value 7" in reason for reason in reasons)


def test_without_monai(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "monai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(InputError, match=r"monai is not installed: pip install 'fastcam\[monai\]'"):
        fastcam.evaluate(Levels(), pictures / "Images", None, tmp_path / "out", **OPTIONS, **PLAIN)


def test_stability_is_of_maps_that_explain_some_pixel(pictures: Path, tmp_path: Path) -> None:
    report = fastcam.evaluate(
        Levels(), pictures / "Images", None, tmp_path / "out", task="segmentation", tta="flips",
        **OPTIONS, **PLAIN,
    )  # fmt: skip
    lines = [note for note in report.notes if note.startswith("stability of hirescam/features")]
    # Class 1 is predicted of "same", "moved" and, wrongly as a whole, "missed"; class 2 of the same
    # and "invented". The model sees every pixel by itself: changed back, all maps are alike.
    assert [line.partition("features, ")[2] for line in lines] == [
        "seg:1 under flips, median: right 1.000 (n = 2), wrong 1.000 (n = 1)",
        "seg:2 under flips, median: right 1.000 (n = 1), wrong 1.000 (n = 1)",
    ]
    with (tmp_path / "out" / "stability.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["map"] == "hirescam/features"]
    assert [(row["target"], row["right_images"], row["wrong_images"]) for row in rows] == [
        ("seg:1", "2", "1"),
        ("seg:2", "1", "1"),
    ]
    assert "stability.csv" in (tmp_path / "out" / "index.html").read_text("utf-8")

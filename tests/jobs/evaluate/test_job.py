"""A model on a test set: the whole job on a model whose answers are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.store.maps import MapStore

GREYS = (50, 100, 150, 200, 250, 120)


class Brightness(nn.Module):
    """A picture's mean brightness, 0 to 255, as one number, or as classes dark and bright."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 2, 1, bias=False)
        self.head = nn.Linear(2, classes, bias=classes > 1)
        with torch.no_grad():
            self.features.weight.fill_(1 / 3)
            self.head.weight.fill_(127.5)
            if classes > 1:
                self.head.weight[:] = torch.tensor([[-5.0], [5.0]])
                self.head.bias[:] = torch.tensor([5.0, -5.0])
        self.image_size = 16
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        found: Tensor = self.head(self.features(x).mean((2, 3)))
        return found


class Three(Brightness):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).repeat(1, 3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test set; plots, which take longer than all else, are not drawn."""
    monkeypatch.setattr("fastcam.jobs.evaluate.job.write_plots", lambda evaluation, output_dir: [])
    return made(tmp_path)


@pytest.fixture
def plotted(tmp_path: Path) -> Path:
    """The test set; with plots."""
    return made(tmp_path)


def made(tmp_path: Path) -> Path:
    """Six images of one grey each with masks over their left half, and their table."""
    for name in ("Images/a", "Masks/a"):
        (tmp_path / name).mkdir(parents=True)
    for at, grey in enumerate(GREYS):
        pixels = np.full((20, 24), grey, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"Images/a/im{at}.png")
        mask = np.zeros((20, 24), np.uint8)
        mask[:, :12] = 255
        Image.fromarray(mask).save(tmp_path / f"Masks/a/im{at}.png")
    rows = [f"im{at}.jpg,{grey + 2 * at}" for at, grey in enumerate(GREYS)]
    (tmp_path / "table.csv").write_text("\n".join(["scan,grey level", *rows]))
    return tmp_path


def run(folder: Path, model: nn.Module | None = None, **options: Any) -> EvaluationReport:
    given: dict[str, Any] = {
        "mean": [0] * 3,
        "std": [1] * 3,
        "batch_size": 4,
        "readers": 0,
        "workers": 1,
        "panel_size": 64,
        "group_width": 100,
    }
    paths: dict[str, Any] = {"image_dir": folder / "Images", "table": folder / "table.csv"}
    paths = {name: options.pop(name, path) for name, path in paths.items()}
    return fastcam.evaluate(
        model or Brightness(), **paths, output_dir=folder / "out", **given | options
    )


def read(folder: Path) -> dict[str, Any]:
    text = (folder / "out/test_metrics.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return found


def test_a_regression_from_images_to_report(plotted: Path) -> None:
    report = run(plotted, explain=["errors", 1, "im2"])
    assert report.exit_code == 0
    out = plotted / "out"
    there = sorted(path.name for path in out.iterdir())
    assert there == sorted(
        [
            "age_group_comparison.png",
            "bland_altman.png",
            "evaluation_results.png",
            "explained",
            "gradcam_best_sample.png",
            "gradcam_worst_sample.png",
            "high_error_samples.csv",
            "high_error_samples.txt",
            "localisation.png",
            "low_error_samples.csv",
            "low_error_samples.txt",
            "predictions.csv",
            "predictions.json",
            "run.zarr",
            "test_metrics.json",
        ]
    )
    assert {path.name for path in report.files} == set(there) - {"explained", "run.zarr"}
    # Errors are 0, -2, -4, ... -10.
    assert report.metrics["mae"] == pytest.approx(5, abs=1e-3)
    assert report.metrics["bias"] == pytest.approx(-5, abs=1e-3)
    found = read(plotted)
    assert (found["n"], found["target"], found["id_column"]) == (6, "grey level", "scan")
    assert (found["best"], found["worst"]) == ("im0", "im5")
    assert found["good"] == {"n": 3, "rule": "|error| < 5"}
    assert [group["n"] for group in found["groups"]] == [1, 3, 2]
    drawn = sorted(path.name for path in (out / "explained").glob("*.png"))
    assert drawn == ["003_im2.png", "006_im5.png"]
    rows = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    assert [row["file"] for row in rows] == [f"a/im{at}.png" for at in range(6)]
    assert rows[3]["predicted"] == pytest.approx(200, abs=1e-3)


def test_where_the_maps_lie(folder: Path) -> None:
    class Left(Brightness):
        """Sees only the left half: so does its map."""

        def forward(self, x: Tensor) -> Tensor:
            kept = torch.ones(16)
            kept[8:] = 0
            return super().forward(x * kept)

    run(folder, Left())
    found = read(folder)["localisation"]
    assert found["measured"] == 6
    assert found["all"]["area"]["mean"] == pytest.approx(0.5)
    assert found["all"]["share"]["mean"] > 0.93
    (row, *_) = json.loads((folder / "out/predictions.json").read_text(encoding="utf-8"))
    assert row["localisation"]["share"] > 0.93


def test_a_second_run_reports_without_the_model(folder: Path) -> None:
    model = Brightness()
    run(folder, model, explain="all")
    seen = model.seen
    report = run(folder, model, explain="all", good_below=3.0)
    assert model.seen == seen + 2  # made-up images, to find the answer and count its numbers
    assert report.inferred.already == 6
    assert read(folder)["good"]["n"] == 2
    # The figures' colours depend on the limit: they were drawn again.
    assert report.figures is not None
    assert (report.figures.drawn, report.figures.already) == (6, 0)
    again = run(folder, model, explain="all", good_below=3.0)
    assert again.figures is not None
    assert (again.figures.drawn, again.figures.already) == (0, 6)


def test_a_table_that_was_corrected_is_told(folder: Path) -> None:
    run(folder)
    table = folder / "table.csv"
    table.write_text(table.read_text().replace("im2.jpg,154", "im2.jpg,155"))
    with pytest.raises(
        InputError, match=r"other images, weights or settings \(labels of 1 images\)"
    ):
        run(folder)
    assert run(folder, overwrite=True).metrics["bias"] == pytest.approx(-31 / 6, abs=1e-3)


def header_colour(path: Path) -> tuple[int, ...]:
    """The colour of the verdict at the right of the header."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    line = pixels[:40, pixels.shape[1] // 2 :].reshape(-1, 3)
    spread = line.max(axis=1) - line.min(axis=1)
    return tuple(line[spread.argmax()].tolist())


def test_good_is_green_and_bad_is_red(folder: Path) -> None:
    run(folder)
    red, green, _ = header_colour(folder / "out/gradcam_best_sample.png")
    assert green > red + 50
    red, green, _ = header_colour(folder / "out/gradcam_worst_sample.png")
    assert red > green + 50


def test_panels_are_image_with_mask_then_overlay_then_map(folder: Path) -> None:
    run(folder)
    found = Image.open(folder / "out/gradcam_worst_sample.png").convert("RGB")
    # Panels of 64x53 pixels, 262 apart: layout.arrange.
    grey = GREYS[5]
    # The mask, over the left half, in red of weight 0.3.
    assert found.getpixel((20, 105)) == (161, 84, 84)  # 0.7 of 120, and 0.3 of 255 on red
    assert found.getpixel((60, 105)) == (grey,) * 3
    # The map has one value: the lowest colour of JET, (0, 0, 128), and half of it over the image.
    assert found.getpixel((274 + 30, 105)) == (grey // 2, grey // 2, grey // 2 + 64)
    assert found.getpixel((536 + 30, 105)) == (0, 0, 128)


def test_a_classification(plotted: Path) -> None:
    names = ["dark" if grey < 128 else "light" for grey in GREYS]
    rows = [f"{at};IM{at};{name}" for at, name in enumerate(names)]
    rows[0] = "0;IM0;light"
    (plotted / "table.csv").write_text("\n".join(["n;file;kind", *rows]))
    report = run(plotted, Brightness(2), target="kind", explain="errors")
    assert report.metrics["accuracy"] == pytest.approx(5 / 6)
    found = read(plotted)
    assert found["classes"] == ["dark", "light"]
    assert found["confusion"] == [[2, 0], [1, 3]]
    assert found["worst"] == "im0"
    assert [path.name for path in (plotted / "out/explained").glob("*.png")] == ["001_im0.png"]
    assert "classes in sorted order: dark, light" in report.notes[0]
    assert not (plotted / "out/bland_altman.png").exists()


def test_one_output_between_two_classes(folder: Path) -> None:
    rows = [f"im{at},{int(grey > 128)}" for at, grey in enumerate(GREYS)]
    (folder / "table.csv").write_text("\n".join(["id,label", *rows]))
    model = Brightness()
    with torch.no_grad():
        model.head.bias = nn.Parameter(torch.tensor([-128.0]))
    report = run(folder, model, task="multilabel")
    assert report.metrics["accuracy"] == 1.0
    assert report.metrics["auc"] == 1.0


def test_one_class_only_has_no_auc(folder: Path) -> None:
    (folder / "table.csv").write_text("\n".join(["id,label", *[f"im{at},1" for at in range(6)]]))
    report = run(folder, Brightness(2))
    assert report.metrics["auc"] is None
    assert report.exit_code == 0
    assert any("the same true value" in note for note in report.notes)


def test_constant_targets_have_no_r2(folder: Path) -> None:
    (folder / "table.csv").write_text("\n".join(["id,age", *[f"im{at},7" for at in range(6)]]))
    report = run(folder)
    assert report.metrics["r2"] is None
    assert report.metrics["mae"] is not None


def test_what_does_not_fit_is_counted_and_listed(folder: Path) -> None:
    table = folder / "table.csv"
    lines = table.read_text().splitlines()
    lines[2] = "im1.jpg,n/a"
    del lines[4]
    table.write_text("\n".join([*lines, "ghost,5", "im4.png,999"]))
    report = run(folder)
    assert report.exit_code == 3
    found = read(folder)
    assert (found["n"], found["images_without_row"], found["rows_without_image"]) == (3, 1, 1)
    with (folder / "out/unmatched.csv").open(encoding="utf-8") as file:
        left = [(row["what"], row["name"]) for row in csv.DictReader(file)]
    assert left == [("row", "ghost"), ("image", "im3")]
    with (folder / "out/failures.csv").open(encoding="utf-8") as file:
        failed = {row["case"]: row["reason"] for row in csv.DictReader(file)}
    assert failed == {
        "im1": "not evaluated: row 3: grey level is 'n/a', which is no number",
        "im4": "not evaluated: rows 5, 8 give it different values of 'grey level'",
    }


def test_bad_images_and_masks_cost_only_themselves(folder: Path) -> None:
    (folder / "Images/a/im0.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    Image.new("L", (5, 5), 255).save(folder / "Masks/a/im5.png")
    report = run(folder)
    assert report.exit_code == 3
    assert read(folder)["n"] == 5
    assert read(folder)["localisation"]["measured"] == 4
    said = {failure.case: (failure.level, failure.reason) for failure in report.failures}
    assert said["im0"][0] == "error"
    assert said["im5"][0] == "warning"
    assert "the mask has shape (1, 5, 5)" in said["im5"][1]
    assert len(report.failures) == 2


def test_when_every_image_fails(folder: Path) -> None:
    for path in (folder / "Images/a").iterdir():
        path.write_bytes(b"no picture")
    report = run(folder)
    assert report.exit_code == 1
    assert read(folder)["n"] == 0
    assert len(report.failures) == 6


def test_several_layers_and_both_signs(folder: Path) -> None:
    report = run(folder, sign="both", layers=["features"], method=["gradcam", "hirescam"])
    assert report.exit_code == 0
    assert read(folder)["maps"] == ["gradcam · features", "hirescam · features"]
    assert read(folder)["sign"] == "both"
    # A row of panels for each map.
    assert Image.open(folder / "out/gradcam_worst_sample.png").size[1] > 2 * 64


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "age"}, r"no column 'age' \(--target\); it has scan, grey level"),
        ({"id_column": "image"}, r"no column 'image' \(--id-column\)"),
        ({"id_column": "grey level"}, "none of its 6 rows fits an image"),
        ({"image_dir": "none"}, "--image-dir .*none: does not exist"),
        ({"image_dir": "empty"}, "empty: is empty"),
        ({"pattern": "*.bmp"}, r"no file matches the pattern '\*\.bmp'"),
        ({"table": "no.xlsx"}, "no.xlsx: does not exist"),
        ({"explain": "im77"}, "--explain 'im77': no image that is evaluated is called so"),
        ({"group_width": 0.1}, "--group-width 0.1 makes 2080 groups"),
        ({"group_width": 0}, "--group-width 0 must be above 0"),
        ({"good_below": -1}, "--good-below -1 must be above 0"),
        ({"sign": "up"}, "--sign 'up' is not known"),
        ({"task": "classification"}, "the model has one output"),
        ({"layers": ["feature"]}, "did you mean features"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_written(
    folder: Path, options: dict[str, Any], words: str
) -> None:
    (folder / "empty").mkdir()
    for name in ("image_dir", "table"):
        if name in options:
            options = {**options, name: folder / options[name]}
    with pytest.raises(InputError, match=words):
        run(folder, **options)
    assert not (folder / "out").exists()


def test_three_outputs_are_no_regression(folder: Path) -> None:
    with pytest.raises(InputError, match="the model has 3 outputs"):
        run(folder, Three(), task="regression")


def test_the_store_is_that_of_infer(folder: Path) -> None:
    run(folder)
    store = MapStore.open(folder / "out/run.zarr")
    assert store.map_names == ("gradcam/features",)
    assert [header.label for header in store.headers] == [
        repr(float(grey + 2 * at)) for at, grey in enumerate(GREYS)
    ]
    assert store.headers[0].mask_source == folder / "Masks/a/im0.png"

"""What an evaluation leaves out and lists, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch import Tensor, nn

from fastcam.errors import InputError
from fastcam.jobs.evaluate.report import summary_text

from .brightness import Brightness, Three, read, run


class Endless(Brightness):
    """Answers with nothing finite."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 0.0


def test_what_does_not_fit_is_counted_and_listed(folder: Path) -> None:
    table = folder / "table.csv"
    lines = table.read_text().splitlines()
    lines[2] = "im1.jpg,n/a"
    del lines[4]
    table.write_text("\n".join([*lines, "ghost,5", "im4.png,999"]))
    report = run(folder)
    assert report.exit_code == 3
    metrics = read(folder)
    assert (metrics["n"], metrics["images_without_row"], metrics["rows_without_image"]) == (3, 1, 1)
    with (folder / "out/unmatched.csv").open(encoding="utf-8") as file:
        unmatched = [(row["what"], row["name"]) for row in csv.DictReader(file)]
    assert unmatched == [("row", "ghost"), ("image", "im3")]
    with (folder / "out/failures.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["level"] == "error"]
        failed = {row["case"]: row["reason"] for row in rows}
    assert failed == {
        "im1": "not evaluated: row 3: grey level is 'n/a', which is not a number",
        "im4": "not evaluated: rows 5, 8 give it different values of 'grey level'",
    }


def test_bad_images_and_masks_cost_only_themselves(folder: Path) -> None:
    (folder / "Images/a/im0.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    Image.new("L", (5, 5), 255).save(folder / "Masks/a/im5.png")
    report = run(folder)
    assert report.exit_code == 3
    assert read(folder)["n"] == 5
    assert read(folder)["localization"]["measured"] == 4
    # The images are of one grey each, which is a warning of every one.
    found = [f for f in report.failures if "of one color everywhere" not in f.reason]
    failures = {failure.case: (failure.level, failure.reason) for failure in found}
    assert failures["im0"][0] == "error"
    assert failures["im5"][0] == "warning"
    assert "the mask has shape (1, 5, 5)" in failures["im5"][1]
    assert len(found) == 2


def test_when_every_image_fails(folder: Path) -> None:
    for path in (folder / "Images/a").iterdir():
        path.write_bytes(b"no picture")
    report = run(folder)
    assert report.exit_code == 1
    assert read(folder)["n"] == 0
    assert len(report.failures) == 6


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (Brightness(2), {}),
        (Brightness(2), {"compare_methods": ["gradcam", "hirescam"], "layers": ["features"]}),
        (Brightness(1), {"task": "multilabel", "target": "x"}),
        (Three(), {"task": "multilabel", "target": "x,y,z"}),
    ],
)
def test_when_every_image_of_classes_fails(
    plotted: Path, model: nn.Module, options: dict[str, Any]
) -> None:
    rows = [f"im{at},{at % 2},{at // 3},1,{at % 3 % 2}" for at in range(6)]
    (plotted / "table.csv").write_text("\n".join(["scan,grey level,x,y,z", *rows]))
    for path in (plotted / "Images/a").iterdir():
        path.write_bytes(b"no picture")
    report = run(plotted, model, **{"target": "grey level"} | options)
    assert report.exit_code == 1
    assert read(plotted)["n"] == 0
    assert [failure.level for failure in report.failures] == ["error"] * 6
    assert summary_text(report).startswith("0 images evaluated")


def test_when_no_output_is_finite(plotted: Path) -> None:
    (plotted / "table.csv").write_text("scan,dark\nim0,0\nim1,1\nim2,1\nim3,0\nim4,1\nim5,0")
    report = run(plotted, Endless(2), mask_dir=None)
    assert report.exit_code == 1
    assert read(plotted)["confusion"] == [[0, 0], [0, 0]]
    assert {failure.case for failure in report.failures} == {f"im{at}" for at in range(6)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "age"}, r"no column 'age' \(target\); it has scan, grey level"),
        ({"id_column": "image"}, r"no column 'image' \(id_column\)"),
        ({"id_column": "grey level"}, "none of its 6 rows fits an image"),
        ({"image_dir": "none"}, "image_dir .*none: does not exist"),
        ({"image_dir": "empty"}, "empty: is empty"),
        ({"pattern": "*.bmp"}, r"no file matches the pattern '\*\.bmp'"),
        ({"table": "no.xlsx"}, "no.xlsx: does not exist"),
        ({"explain": "im77"}, "explain 'im77': no image that is evaluated is called so"),
        ({"group_width": 0.1}, "group_width 0.1 makes 2080 groups"),
        ({"group_width": 0}, "group_width 0 must be above 0"),
        ({"good_below": -1}, "good_below -1 must be above 0"),
        ({"sign": "up"}, "sign 'up' is not known"),
        ({"task": "classification"}, "the model has one output"),
        ({"layers": ["feature"]}, "did you mean features"),
    ],
)
def test_wrong_settings_are_errors_before_anything_is_written(
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

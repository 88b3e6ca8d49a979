"""A model on a test set: the whole job on a model whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fastcam.jobs.render.gallery import read_gallery
from fastcam.jobs.view.open_runs import open_runs
from fastcam.jobs.view.request import ViewRequest
from fastcam.store.maps import MapStore

from .brightness import GREYS, Brightness, read, run


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
            "failures.csv",
            "gradcam_best_sample.png",
            "gradcam_worst_sample.png",
            "high_error_samples.csv",
            "high_error_samples.txt",
            "index.html",
            "localization.png",
            "low_error_samples.csv",
            "low_error_samples.txt",
            "predictions.csv",
            "predictions.json",
            "progress.json",
            "run.inputs.csv",
            "run.zarr",
            "test_metrics.json",
        ]
    )
    assert {path.name for path in report.files} == set(there) - {
        "explained",
        "progress.json",
        "run.inputs.csv",
        "run.zarr",
    }
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
    found = read(folder)["localization"]
    assert found["measured"] == 6
    assert found["all"]["area"]["mean"] == pytest.approx(0.5)
    assert found["all"]["share"]["mean"] > 0.93
    (row, *_) = json.loads((folder / "out/predictions.json").read_text(encoding="utf-8"))
    assert row["localization"]["share"] > 0.93


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
    report = run(folder)
    assert any("1 input has another label than before: noted" in note for note in report.notes)
    assert report.metrics["bias"] == pytest.approx(-31 / 6, abs=1e-3)
    # The model wasn't run again.
    assert (report.inferred.already, report.inferred.done) == (6, 0)


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
    # Panels of 64x53 pixels, 262 apart, under captions of two lines: layout.arrange.
    grey = GREYS[5]
    # The mask, over the left half, in red of weight 0.3.
    assert found.getpixel((20, 124)) == (161, 84, 84)  # 0.7 of 120, and 0.3 of 255 on red
    assert found.getpixel((60, 124)) == (grey,) * 3
    # The map has one value: the lowest colour of JET, (0, 0, 128), and half of it over the image.
    assert found.getpixel((274 + 30, 124)) == (grey // 2, grey // 2, grey // 2 + 64)
    assert found.getpixel((536 + 30, 124)) == (0, 0, 128)


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
    (case,) = read_gallery(plotted / "out/explained").cases
    assert (case.true_label, case.predicted_label) == ("light", "dark")
    assert "classes in sorted order: dark, light" in report.notes[0]
    assert not (plotted / "out/bland_altman.png").exists()


def test_one_output_between_two_classes(folder: Path) -> None:
    rows = [f"im{at},{int(grey > 128)}" for at, grey in enumerate(GREYS)]
    (folder / "table.csv").write_text("\n".join(["id,label", *rows]))
    model = Brightness()
    with torch.no_grad():
        model.head.bias = nn.Parameter(torch.tensor([-128.0]))
    report = run(folder, model, task="multilabel", explain=["all"], class_names=("dark", "bright"))
    assert report.metrics["accuracy"] == 1.0
    assert report.metrics["auc"] == 1.0
    gallery = read_gallery(folder / "out" / "explained")
    for case, grey in zip(gallery.cases, GREYS, strict=True):
        name = "bright" if grey > 128 else "dark"
        assert (case.true_label, case.predicted_label, case.correct) == (name, name, True)
        assert case.confidence == pytest.approx(1 / (1 + np.exp(-abs(grey - 128))), abs=1e-4)
    (viewed,) = open_runs(ViewRequest(runs=(folder / "out" / "explained",)))
    assert [row.prediction for row in viewed.cases] == [c.predicted_label for c in gallery.cases]
    assert all(row.correct for row in viewed.cases)


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


def test_several_layers_and_both_signs(folder: Path) -> None:
    report = run(folder, sign="both", layers=["features"], method=["gradcam", "hirescam"])
    assert report.exit_code == 0
    assert read(folder)["maps"] == ["gradcam · features", "hirescam · features"]
    assert read(folder)["sign"] == "both"
    # A row of panels for each map.
    assert Image.open(folder / "out/gradcam_worst_sample.png").size[1] > 2 * 64


def test_the_store_is_that_of_infer(folder: Path) -> None:
    run(folder)
    store = MapStore.open(folder / "out/run.zarr")
    assert store.map_names == ("gradcam/features",)
    assert [header.label for header in store.headers] == [
        repr(float(grey + 2 * at)) for at, grey in enumerate(GREYS)
    ]
    assert store.headers[0].mask_source == folder / "Masks/a/im0.png"

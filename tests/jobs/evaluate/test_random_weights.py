"""An evaluation of a model without a checkpoint says so wherever its results are read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam import load_model
from fastcam.jobs.evaluate.metrics.evaluation import RANDOM_NUMBERS
from fastcam.jobs.evaluate.report import as_dict, summary_text
from fastcam.report.plot_files import page_png
from fastcam.report.plots import new_page, write_remark

from .brightness import Brightness, read, run

TITLE = "random weights: the maps mean nothing"


def test_random_weights_are_told(plotted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remarks: list[str] = []
    monkeypatch.setattr(
        "fastcam.jobs.evaluate.plots.regression_pages.write_remark",
        lambda page, remark: remarks.append(remark),
    )
    with pytest.warns(UserWarning, match="weights are random"):
        model = load_model("resnet18", num_classes=1, image_size=32)
    report = run(plotted, model)
    assert as_dict(report)["random_weights"] is True
    assert read(plotted)["random_weights"] is True
    assert summary_text(report).count(RANDOM_NUMBERS) == 1
    assert TITLE in (plotted / "out/index.html").read_text(encoding="utf-8")
    assert remarks == [RANDOM_NUMBERS] * 3


def test_nothing_is_said_of_weights_that_are_known(folder: Path) -> None:
    report = run(folder, Brightness())
    assert as_dict(report)["random_weights"] is False
    assert read(folder)["random_weights"] is False
    assert RANDOM_NUMBERS not in summary_text(report)
    assert TITLE not in (folder / "out/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("remark", "red"), [(RANDOM_NUMBERS, True), ("", False)])
def test_a_remark_stands_above_the_plots(remark: str, red: bool) -> None:
    page = new_page(6, 3, constrained=True)
    page.subplots(1, 2)
    write_remark(page, remark)
    pixels = np.asarray(Image.open(io.BytesIO(page_png(page))).convert("RGB")).astype(int)
    above = pixels[: len(pixels) // 8]
    assert bool(((above[..., 0] - above[..., 1]) > 100).any()) == red

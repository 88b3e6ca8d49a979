"""The report's text: the numbers that were found, in both languages, in columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastcam.jobs.analyze.class_comparison import compare_classes
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.summary import summary_report
from fastcam.options import Language
from fastcam.report.columns import table, width_of
from fastcam.run.records import Failure

from .test_class_comparison import LAYER, image, maps

FACTS: dict[str, Any] = {
    "model": "net",
    "checkpoint": "w.pth",
    "layers": [LAYER],
    "method": "gradcam",
    "halves": "no",
    "compare": "",
    "same_predictions": None,
}


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    flat = [("猫", one) for one in maps(4, 0)] + [("dog", one) for one in maps(3, 1)]
    images = tuple(image(cells, name, 0.5 + at / 50) for at, (name, cells) in enumerate(flat))
    cohort = compare_classes(images, (LAYER,), lambda index, layer: flat[index][1])
    bad = Failure("error", 8, "bad\nname", None, 0, "is no image")
    return Analysis(output_dir=Path("out"), images=images, comparison=cohort, failures=(bad,))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_number_is_there(analysis: Analysis, language: Language) -> None:
    text = summary_report(analysis, FACTS, language)
    lines = text.splitlines()
    for one in analysis.comparison.classes:
        consistency = one.layers[LAYER].consistency
        (row,) = [line for line in lines if line.startswith(one.name) and LAYER in line]
        assert f"{consistency:.3f}" in row
        assert f"{one.layers[LAYER].metrics['activation_area'].mean:.3f}" in row
    for difference in analysis.comparison.differences:
        assert any(
            f"{difference.effect:+.3f}" in line and f"{difference.p:.4f}" in line for line in lines
        )
    confidences = [i.confidence for i in analysis.images if i.confidence is not None]
    assert f"{np.mean(confidences):.4f}" in text
    assert "bad\\nname: is no image" in text


def test_columns_line_up_in_any_script() -> None:
    lines = table([("名称", "n"), ("dog", "12"), ("猫", "3")])
    assert {width_of(line) for line in lines} == {8}
    assert lines[1] == "dog   12"


def test_without_images() -> None:
    comparison = compare_classes((), (LAYER,), lambda i, layer: maps(1, 0)[0])
    empty = Analysis(output_dir=Path("out"), images=(), comparison=comparison)
    assert "Images:  0" in summary_report(empty, FACTS)

"""What an evaluation writes: JSON, CSV, lists of errors, plots."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.jobs.evaluate.files import write_plots
from fastcam.jobs.evaluate.metrics.error_samples import (
    high_errors,
    high_threshold,
    low_errors,
    samples_text,
)
from fastcam.jobs.evaluate.metrics.evaluation import (
    EvaluatedCase,
    Evaluation,
    evaluation_of,
    metrics_json,
    predictions_csv,
    predictions_json,
)
from fastcam.jobs.evaluate.plots.classification_page import classification_page
from fastcam.jobs.evaluate.plots.regression_pages import (
    bland_altman_page,
    groups_page,
    results_page,
)
from fastcam.options import Style
from fastcam.report.plot_files import page_png


def regression(errors: list[float], good_below: float = 5.0, **options: object) -> Evaluation:
    cases = [
        EvaluatedCase(
            place=place,
            id=f"c{place}",
            file=f"s/c{place}.png",
            true=30.0 + place,
            predicted=30.0 + place + error,
            error=error,
            good=abs(error) < good_below,
        )
        for place, error in enumerate(errors, 1)
    ]
    return evaluation_of("regression", "age", good_below, cases, **options)  # type: ignore[arg-type]


def classification(names: tuple[str, ...] = ("cat", "狗")) -> Evaluation:
    shares = [(0.9, 0.1), (0.2, 0.8), (0.4, 0.6), (0.3, 0.7)]
    true = [0, 1, 0, 1]
    cases = [
        EvaluatedCase(
            place=index + 1,
            id=f"c{index}",
            file=f"c{index}.png",
            true=t,
            predicted=float(np.argmax(s)),
            error=1 - s[t],
            good=bool(np.argmax(s) == t),
            probability=s,
        )
        for index, (t, s) in enumerate(zip(true, shares, strict=True))
    ]
    return evaluation_of("classification", "kind", 5.0, cases, names=names, classes=2)


def test_json_has_null_and_never_nan() -> None:
    found = json.loads(metrics_json(regression([2.0])), parse_constant=pytest.fail)
    assert found["metrics"]["mae"] == {"value": 2.0, "low": None, "high": None}
    assert found["metrics"]["r2"]["value"] is None
    assert (found["n"], found["best"], found["worst"]) == (1, "c1", "c1")
    assert found["groups"][0]["group"] == "[30, 40]"
    empty = json.loads(metrics_json(regression([])), parse_constant=pytest.fail)
    assert empty["n"] == 0
    assert empty["metrics"]["mae"]["value"] is None
    assert "best" not in empty


def test_facts_stand_in_the_json() -> None:
    found = json.loads(
        metrics_json(regression([1.0, 2.0], facts={"model": "m", "x": float("nan")}))
    )
    assert (found["model"], found["x"]) == ("m", None)


def test_a_classification_in_json() -> None:
    found = json.loads(metrics_json(classification()))
    assert found["classes"] == ["cat", "狗"]
    assert found["confusion"] == [[1, 1], [0, 2]]
    assert found["metrics"]["accuracy"]["value"] == 0.75
    rows = json.loads(predictions_json(classification()))
    assert rows[2] == {
        "id": "c2",
        "file": "c2.png",
        "true": 0,
        "predicted": 1,
        "correct": False,
        "true_name": "cat",
        "predicted_name": "狗",
        "probability": [0.4, 0.6],
    }


def test_predictions_as_a_table() -> None:
    rows = list(csv.DictReader(io.StringIO(predictions_csv(regression([2.0, -7.0])))))
    assert [row["id"] for row in rows] == ["c1", "c2"]
    assert (rows[1]["true"], rows[1]["predicted"], rows[1]["error"]) == ("32.0", "25.0", "-7.0")
    assert (rows[1]["absolute_error"], rows[1]["good"], rows[1]["group"]) == (
        "7.0",
        "False",
        "[30, 40]",
    )
    (first, *_) = csv.DictReader(io.StringIO(predictions_csv(classification())))
    assert (first["probability_0"], first["probability_1"]) == ("0.9", "0.1")


def test_high_errors_are_above_mean_and_two_sd() -> None:
    errors = [1.0] * 18 + [-9.0, 12.0]
    found = regression(errors)
    sizes = np.abs(errors)
    assert high_threshold(found.cases) == pytest.approx(sizes.mean() + 2 * sizes.std(ddof=1))
    high = high_errors(found)
    assert [case.id for case in high.cases] == ["c20", "c19"]
    text = samples_text(high, found)
    assert text.splitlines()[0].startswith("High errors: 2 of 20 images; |error| above 7.8")
    assert text.splitlines()[3].split() == ["1", "s/c20.png", "50", "62", "+12"]
    low = low_errors(found)
    assert low.count == 18
    assert low.cases[0].id == "c1"
    assert samples_text(low_errors(regression([9.0])), regression([9.0])) == (
        "Low errors: 0 of 1 image; |error| below 5\n"
    )


def test_long_lists_are_cut_and_say_so() -> None:
    found = regression([0.5] * 70)
    text = samples_text(low_errors(found), found)
    assert "70 of 70 images" in text
    assert "the first 50 are listed, all are in predictions.csv" in text
    assert len(text.splitlines()) == 3 + 50


def test_samples_of_classes() -> None:
    found = classification()
    assert [case.id for case in high_errors(found).cases] == ["c2"]
    assert [case.id for case in low_errors(found).cases] == ["c0", "c1", "c3"]
    assert "cat" in samples_text(high_errors(found), found).splitlines()[3]
    assert [case.id for case in found.ordered] == ["c0", "c1", "c3", "c2"]


def test_names_of_files_stay_on_their_line() -> None:
    bad = EvaluatedCase(
        place=1, id="a", file="a\nb.png", true=1.0, predicted=9.0, error=8.0, good=False
    )
    good = EvaluatedCase(place=2, id="c", file="c", true=1.0, predicted=1.0, error=0.0, good=True)
    found = evaluation_of("regression", "y", 5.0, [bad, bad, *[good] * 30])
    assert "a\\nb.png" in samples_text(high_errors(found), found)


PAGES = (results_page, bland_altman_page, groups_page)


@pytest.mark.parametrize("errors", [[], [3.0], [0.0, 0.0], [1.0, -2.0, 40.0, 5.0]])
def test_plots_of_any_number_of_images(errors: list[float]) -> None:
    for page in PAGES:
        picture = np.asarray(
            Image.open(io.BytesIO(page_png(page(regression(errors))))).convert("RGB")
        )
        assert picture.shape[0] > 800
        assert len(np.unique(picture[::4, ::4] @ [65536, 256, 1])) > 5


def test_plots_are_lines_and_texts_too_where_figures_are(tmp_path: Path) -> None:
    files = write_plots(regression([1.0, -2.0, 4.0]), tmp_path, Style(format="pdf"))
    names = ["evaluation_results", "bland_altman", "age_group_comparison"]
    assert [path.name for path in files] == [
        f"{n}.{kind}" for n in names for kind in ("png", "pdf")
    ]
    assert all(b"/FontFile2" in path.read_bytes() for path in files[1::2])


def test_plots_of_classes() -> None:
    one = [case for case in classification().cases if case.true == 1]
    for found in (
        classification(),
        classification(()),
        evaluation_of("classification", "kind", 5.0, one, classes=2),
        evaluation_of("classification", "kind", 5.0, [], classes=2),
    ):
        assert Image.open(io.BytesIO(page_png(classification_page(found)))).size[0] > 2000

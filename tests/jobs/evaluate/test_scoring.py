"""How an evaluation judges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastcam.jobs.evaluate.scoring import Scoring
from fastcam.store.map_rows import MapRow
from fastcam.store.map_schema import MapHeader

CAM = MapRow(array="gradcam/layer4", caption="gradcam")


def header(output: list[float], label: str, probabilities: tuple[float, ...] = ()) -> MapHeader:
    return MapHeader(
        place=1,
        id="s/a",
        group="s",
        source=Path("/x/s/a.png"),
        mask_source=None,
        label=label,
        shape=(1, 8, 8),
        affine=None,
        output=np.array(output, np.float32),
        prediction=None,
        confidence=np.nan,
        probabilities=np.array(probabilities, np.float32),
        targets=np.empty(0, np.int32),
        measures=np.empty(0, np.float32),
        status="done",
        reason="",
    )


@pytest.mark.parametrize(
    ("predicted", "good"), [(34.9, True), (35.0, False), (25.5, True), (25, False)]
)
def test_errors_below_the_limit_are_good(predicted: float, good: bool) -> None:
    score = Scoring("regression", 5.0).score(header([predicted], "30.0"))
    assert score is not None
    assert score.good is good
    assert score.error == pytest.approx(predicted - 30, abs=1e-5)


def test_the_heading_of_a_regression() -> None:
    heading = Scoring("regression", 5.0).heading(header([27.25], "30.0"))
    assert heading.title == "s/a.png"
    volume = replace(header([1.0], "1.0"), shape=(154, 8, 8))
    assert Scoring("regression").heading(volume, 7).title == "s/a.png  ·  slice 7 of 154"
    classic = Scoring("regression", classic=True)
    assert classic.heading(volume, 7).title == "s/a.png  ·  slice 007"
    assert heading.verdict == "true 30  ·  predicted 27.25  ·  error -2.75"
    assert heading.correct is True


def test_a_unit_stands_beside_every_value() -> None:
    verdict = Scoring("regression", unit="years").heading(header([27.25], "30.0")).verdict
    assert verdict == "true 30 years  ·  predicted 27.25 years  ·  error -2.75 years"


def test_classes() -> None:
    scoring = Scoring("classification", names=("cat", "dog", "owl"))
    asked = header([0.1, 2.0, 1.0], "2", (0.1, 0.6, 0.3))
    score = scoring.score(asked)
    assert score is not None
    assert (score.true, score.predicted, score.good) == (2.0, 1.0, False)
    assert score.error == pytest.approx(0.7)
    assert scoring.heading(asked).verdict == (
        "wrong  ·  true owl  ·  predicted dog  ·  probability 0.6000"
    )
    assert scoring.evidence(CAM, asked, 1) == "for class dog"
    assert scoring.evidence(CAM, asked, None) == ""
    assert Scoring("classification", sign="negative").evidence(CAM, asked, 1) == "against class 1"


@pytest.mark.parametrize(
    ("sign", "name", "text"),
    [
        ("positive", "class 1", "for class 1"),
        ("negative", "Class B", "against Class B"),
        ("both", "class 1", "red for, blue against class 1"),
        ("positive", "classical", "for class classical"),
    ],
)
def test_a_name_that_says_class_is_not_said_twice(sign: str, name: str, text: str) -> None:
    asked = header([0.1, 2.0], "1", (0.1, 0.9))
    scoring = Scoring("classification", names=("class 0", name), sign=sign)
    assert scoring.evidence(CAM, asked, 1) == text
    assert scoring.caption(CAM, asked, 1) == f"gradcam, {text}"


@pytest.mark.parametrize(("share", "answer"), [(0.5, 1), (0.49, 0), (0.9, 1)])
def test_one_output_between_two_classes(share: float, answer: int) -> None:
    score = Scoring("classification").score(header([1.0], "1", (share,)))
    assert score is not None
    assert score.predicted == answer
    assert score.error == pytest.approx(1 - share)
    assert score.probability.tolist() == pytest.approx([1 - share, share])
    one = header([1.0], "1", (share,))
    assert Scoring("classification").evidence(CAM, one, 0) == "for class 1"


def test_who_has_no_label_is_not_judged() -> None:
    assert Scoring("regression").score(header([1.0], "")) is None
    assert Scoring("regression").heading(header([1.0], "")).correct is None


@pytest.mark.parametrize(
    ("sign", "words"), [("positive", "raises"), ("negative", "lowers"), ("both", "blue lowers")]
)
def test_the_figure_says_which_evidence(sign: str, words: str) -> None:
    assert words in Scoring("regression", sign=sign).evidence(CAM, header([1.0], ""), None)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        ("gradcam/layer4", "what raises the output"),
        ("integrated-gradients", "what raises the output"),
        ("legrad", "what raises the output"),
        ("saliency", "what changes the output"),
        ("smoothgrad", "what changes the output"),
        ("eigencam/layer4", ""),
        ("attention", ""),
        ("rollout", ""),
        ("gradcam-deviation/layer4", ""),
    ],
)
def test_maps_without_a_direction_do_not_say_that_the_output_rises(array: str, text: str) -> None:
    row = MapRow(array=array, caption="a map")
    assert Scoring("regression").evidence(row, header([1.0], ""), None) == text
    assert Scoring("regression").caption(row, header([1.0], ""), None).removeprefix("a map") == (
        f", {text}" if text else ""
    )

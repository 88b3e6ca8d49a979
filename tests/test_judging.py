"""How an evaluation judges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastcam.judging import Judging
from fastcam.mapschema import MapHeader


def header(output: list[float], label: str, probabilities: tuple[float, ...] = ()) -> MapHeader:
    return MapHeader(
        place=1, id="s/a", group="s", source=Path("/x/s/a.png"), mask_source=None, label=label,
        shape=(1, 8, 8), affine=None, output=np.array(output, np.float32), prediction=None,
        confidence=np.nan, probabilities=np.array(probabilities, np.float32),
        targets=np.empty(0, np.int32), measures=np.empty(0, np.float32), status="done", reason="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("predicted", "good"), [(34.9, True), (35.0, False), (25.5, True), (25, False)]
)
def test_errors_below_the_limit_are_good(predicted: float, good: bool) -> None:
    judged = Judging("regression", 5.0).judge(header([predicted], "30.0"))
    assert judged is not None
    assert judged.good is good
    assert judged.error == pytest.approx(predicted - 30, abs=1e-5)
    assert judged.size == abs(judged.error)


def test_the_heading_of_a_regression() -> None:
    heading = Judging("regression", 5.0).heading(header([27.25], "30.0"))
    assert heading.title == "s/a.png"
    assert Judging("regression").heading(header([1.0], "1.0"), 7).title == "s/a.png  ·  slice 007"
    assert heading.verdict == "true 30  ·  predicted 27.25  ·  error -2.75"
    assert heading.correct is True


def test_classes() -> None:
    judging = Judging("classification", names=("cat", "dog", "owl"))
    asked = header([0.1, 2.0, 1.0], "2", (0.1, 0.6, 0.3))
    judged = judging.judge(asked)
    assert judged is not None
    assert (judged.true, judged.predicted, judged.good) == (2.0, 1.0, False)
    assert judged.error == pytest.approx(0.7)
    assert judging.heading(asked).verdict == (
        "wrong  ·  true owl  ·  predicted dog  ·  probability 0.6000"
    )
    assert judging.evidence(asked, 1) == "for class dog"
    assert judging.evidence(asked, None) == ""
    assert Judging("classification", sign="negative").evidence(asked, 1) == "against class 1"


@pytest.mark.parametrize(("share", "answer"), [(0.5, 1), (0.49, 0), (0.9, 1)])
def test_one_output_between_two_classes(share: float, answer: int) -> None:
    judged = Judging("classification").judge(header([1.0], "1", (share,)))
    assert judged is not None
    assert judged.predicted == answer
    assert judged.error == pytest.approx(1 - share)
    assert judged.probability.tolist() == pytest.approx([1 - share, share])
    one = header([1.0], "1", (share,))
    assert Judging("classification").evidence(one, 0) == "for class 1"


def test_who_has_no_label_is_not_judged() -> None:
    assert Judging("regression").judge(header([1.0], "")) is None
    assert Judging("regression").heading(header([1.0], "")).correct is None


@pytest.mark.parametrize(
    ("sign", "words"), [("positive", "raises"), ("negative", "lowers"), ("both", "blue lowers")]
)
def test_the_figure_says_which_evidence(sign: str, words: str) -> None:
    assert words in Judging("regression", sign=sign).evidence(header([1.0], ""), None)

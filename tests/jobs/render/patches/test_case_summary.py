from __future__ import annotations

import re

import numpy as np
import pytest

from fastcam.jobs.render.patches.case_summary import summary_text
from fastcam.options import Style
from fastcam.read.results.case import Case
from tests.sample_runs import make_case


def a_case(
    weights: list[float], slices: list[int], name: str = "P-07", correct: bool = False
) -> Case:
    return make_case(
        7,
        name,
        slices,
        weights,
        predicted_label=1 if correct else 0,
        correct=correct,
        confidence=0.93196,
        probabilities=(0.93196, 0.06804),
        mask_ratio=np.full(len(slices), np.nan, np.float32),
    )


# Slice 9 has the highest average; slice 12 the single highest weight, so it is BEST.
CASE = a_case([0.05, 0.4, 0.3, 0.05, 0.2], [12, 12, 9, 100, 100])


def test_english_text_worked_by_hand() -> None:
    assert summary_text(CASE, Style(language="en")) == (
        "Case:                     P-07\n"
        "Prediction:               0\n"
        "True label:               1\n"
        "Confidence:               0.9320\n"
        "Correct:                  no\n"
        "Slices with patches:      3\n"
        "Patches:                  5\n"
        "Best slice:               slice012\n"
        "Highest attention weight: 0.4000\n"
        "\n"
        "Slices by average attention weight:\n"
        "rank     slice  average  highest  patches\n"
        "   1  slice009   0.3000   0.3000        1\n"
        "   2  slice012   0.2250   0.4000        2  BEST\n"
        "   3  slice100   0.1250   0.2000        2\n"
    )


def test_chinese_field_names_are_the_originals() -> None:
    text = summary_text(CASE, Style(language="zh"))
    fields = dict(re.findall(r"^(\S+): +(\S+)$", text, flags=re.M))
    assert fields == {
        "患者": "P-07",
        "预测": "0",
        "真实标签": "1",
        "置信度": "0.9320",
        "是否正确": "否",
        "总切片数": "3",
        "总patch数": "5",
        "最重要切片": "slice012",
        "最高attention权重": "0.4000",
    }
    assert "\n各切片平均attention:\n" in text
    assert text.endswith("\n")


def test_columns_line_up_when_chinese_letters_are_twice_as_wide() -> None:
    lines = [
        line.replace("  BEST", "") for line in summary_text(CASE, Style(language="zh")).splitlines()
    ]
    widths = [len(line.encode("gbk")) for line in lines]  # GBK: 2 bytes a CJK letter, 1 a Latin one
    assert len(set(widths[-4:])) == 1
    values = [len(line[: len(line) - len(line.split()[-1])].encode("gbk")) for line in lines[:9]]
    assert len(set(values)) == 1


@pytest.mark.parametrize(("language", "words"), [("en", "Correct: +yes"), ("zh", "是否正确: +是")])
def test_right_predictions(language: str, words: str) -> None:
    text = summary_text(a_case([1.0], [0], correct=True), Style(language=language))  # type: ignore[arg-type]
    assert re.search(words, text)


def test_classes_have_their_names() -> None:
    text = summary_text(CASE, Style(class_names=("Stable", "Unstable")))
    labels = {line.split(":")[0]: line.split()[-1] for line in text.splitlines()[:4]}
    names = ["Stable", "Unstable"]
    assert labels["Prediction"] == names[CASE.predicted_label]
    assert CASE.true_label is None or labels["True label"] == names[CASE.true_label]


def test_small_weights_keep_three_digits() -> None:
    text = summary_text(a_case([0.000512, 0.000498], [3, 4]))
    assert "1  slice003  0.000512  0.000512        1  BEST" in text
    assert "2  slice004  0.000498  0.000498        1" in text


def test_ties_go_to_the_lowest_slice_and_one_slice_is_best() -> None:
    text = summary_text(a_case([0.5, 0.5], [8, 2]))
    ranking = text.splitlines()[-2:]
    assert ranking[0].split() == ["1", "slice002", "0.5000", "0.5000", "1", "BEST"]
    assert ranking[1].split() == ["2", "slice008", "0.5000", "0.5000", "1"]


def test_weights_that_are_all_zero() -> None:
    assert "0.0000" in summary_text(a_case([0.0, 0.0], [0, 1]))


def test_a_name_cannot_add_lines() -> None:
    text = summary_text(a_case([1.0], [0], name="a\nPrediction: 1\t\udc80 患者"))
    assert text.splitlines()[0] == f"{'Case:':26}a\\nPrediction: 1\\t\\udc80 患者"

"""The text beside one case's figures: what was predicted, and its slices ranked by attention."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastcam.errors import one_line
from fastcam.options import Language, Style
from fastcam.read.results.case import Case
from fastcam.report.columns import padded, table, width_of
from fastcam.run.file_names import slice_name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wording:
    case: str
    prediction: str
    label: str
    confidence: str
    correct: str
    yes: str
    no: str
    unknown: str
    slices: str
    patches: str
    best_slice: str
    highest_weight: str
    ranking: str
    columns: tuple[str, str, str, str, str]


_WORDINGS: dict[Language, _Wording] = {
    "en": _Wording(
        case="Case",
        prediction="Prediction",
        label="True label",
        confidence="Confidence",
        correct="Correct",
        yes="yes",
        no="no",
        unknown="not known",
        slices="Slices with patches",
        patches="Patches",
        best_slice="Best slice",
        highest_weight="Highest attention weight",
        ranking="Slices by average attention weight",
        columns=("rank", "slice", "average", "highest", "patches"),
    ),
    # The field names are those of the script this replaces; people search their files for them.
    "zh": _Wording(
        case="患者",
        prediction="预测",
        label="真实标签",
        confidence="置信度",
        correct="是否正确",
        yes="是",
        no="否",
        unknown="未知",
        slices="总切片数",
        patches="总patch数",
        best_slice="最重要切片",
        highest_weight="最高attention权重",
        ranking="各切片平均attention",
        columns=("排名", "切片", "平均", "最高", "patch数"),
    ),
}


def summary_text(case: Case, style: Style | None = None) -> str:
    """The text of ``_summary.txt``, ending with a newline.

    Slices are called as their figures are, ``slice042``, so that a name found here finds the
    figure. They are ranked by the mean weight of their patches, ties by index. BEST marks the one
    that holds the single highest weight, which need not be the first. Weights have four decimals,
    more where the highest average would show fewer than three significant digits, so that the
    ranking can be followed: a softmax over 2,400 patches averages 0.0004.
    """
    style = style or Style()
    words = _WORDINGS[style.language]
    averages = case.slice_averages
    decimals = _decimals(max(averages.values()))
    fields = (
        (words.case, one_line(case.name)),
        (words.prediction, one_line(style.class_text(case.predicted_label))),
        (words.label, _label_text(case, words, style)),
        (words.confidence, f"{case.confidence:.4f}"),
        (words.correct, _correct_text(case, words)),
        (words.slices, str(len(averages))),
        (words.patches, str(case.weights.size)),
        (words.best_slice, slice_name(case.best_slice)),
        (words.highest_weight, f"{case.weights.max():.{decimals}f}"),
    )
    name_width = max(width_of(name) for name, _ in fields) + 2
    lines = [padded(f"{name}:", name_width) + value for name, value in fields]
    return "\n".join([*lines, "", f"{words.ranking}:", *_ranking(case, words, decimals)]) + "\n"


def _label_text(case: Case, words: _Wording, style: Style) -> str:
    if case.true_label is None:
        return words.unknown
    return one_line(style.class_text(case.true_label))


def _correct_text(case: Case, words: _Wording) -> str:
    if case.correct is None:
        return words.unknown
    return words.yes if case.correct else words.no


def _ranking(case: Case, words: _Wording, decimals: int) -> list[str]:
    indices, inverse, counts = np.unique(case.slices, return_inverse=True, return_counts=True)
    highest = np.zeros(indices.size, dtype=np.float32)
    np.maximum.at(highest, inverse, case.weights)
    averages = np.array(list(case.slice_averages.values()))
    rows: list[tuple[str, ...]] = [words.columns]
    for rank, at in enumerate(np.lexsort((indices, -averages)), start=1):
        weights = (f"{averages[at]:.{decimals}f}", f"{highest[at]:.{decimals}f}")
        rows.append((str(rank), slice_name(int(indices[at])), *weights, str(counts[at])))
    best_texts = ["  BEST" if row[1] == slice_name(case.best_slice) else "" for row in rows]
    return [line + best for line, best in zip(table(rows, left=0), best_texts, strict=True)]


def _decimals(highest_average: float) -> int:
    if highest_average <= 0.0:
        return 4
    return min(max(4, 2 - math.floor(math.log10(highest_average))), 12)

"""``summary_report.txt``: an analysis for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastcam.errors import one_line
from fastcam.jobs.analyze.class_comparison import ClassComparison, ClassSummary
from fastcam.jobs.analyze.map_statistics import mean_of
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.results import ImageResult
from fastcam.jobs.analyze.wording import WORDS, Words
from fastcam.options import Language
from fastcam.report.columns import padded, table, width_of
from fastcam.report.statistics import Spread

_NONE = "-"


def summary_report(report: Analysis, facts: Mapping[str, Any], language: Language = "en") -> str:
    """The report's text.

    ``facts``: model, checkpoint, compare, same_predictions, layers, method and halves; windows
    where the model saw such, target of a detector.
    """
    words = WORDS[language]
    lines = [words.title, "=" * width_of(words.title), "", *_head(report, facts, words)]
    halves = facts["halves"] != "no"
    sections = [
        (
            f"{words.classes} ({words.grouping[report.comparison.grouped_by]})",
            _classes(report.comparison, halves, words),
        ),
        (words.layer_title, _layers(report.comparison, facts["layers"], words)),
        (words.differences, list(_differences(report.comparison, words))),
    ]
    if facts["compare"]:
        sections.append((words.models, _models(report.images, facts, words)))
    if report.failures:
        sections.append(
            (words.failures, [one_line(f"{t.case}: {t.reason}") for t in report.failures])
        )
    notes = [*words.explained, *([words.halves_note] if halves else [])]
    sections.append((words.notes, [line for note in notes for line in _wrapped(note, language)]))
    sections.append((words.every_image, _images(report.images, halves, words)))
    for title, rows in sections:
        lines += ["", title, "-" * width_of(title), *rows]
    return "\n".join(lines) + "\n"


def _wrapped(note: str, language: Language) -> list[str]:
    # A Chinese letter is as wide as two of ours, and no spaces part words.
    lines = textwrap.wrap(note, 96 if language == "en" else 48)
    return ["- " + lines[0], *("  " + line for line in lines[1:])]


def _head(report: Analysis, facts: Mapping[str, Any], words: Words) -> list[str]:
    verdicts = [image.right for image in report.images if image.right is not None]
    failed = sum(failure.level == "error" for failure in report.failures)
    rows = [
        (words.model, str(facts["model"])),
        (words.checkpoint, str(facts["checkpoint"] or words.random)),
        (words.layers, ", ".join(facts["layers"])),
        (words.method, str(facts["method"])),
        (words.images, str(len(report.images))),
    ]
    without = sum(image.without_box for image in report.images)
    if without:
        rows.append((words.without_box, words.left_out.format(without)))
    if "target" in facts:
        rows.insert(4, (words.target, str(facts["target"])))
    if facts["halves"] != "no":
        rows.insert(4, ("", words.halves[facts["halves"]]))
    if "windows" in facts:
        plan = facts["windows"]
        size = " x ".join(map(str, plan["size"]))
        text = words.window_text.format(size, plan["overlap"], plan["blend"])
        rows.insert(4, (words.windows, text))
    if facts["compare"]:
        rows.insert(2, (words.compared, str(facts["compare"])))
    if failed:
        rows.append((words.failed, str(failed)))
    if verdicts:
        rows.append(
            (
                words.accuracy,
                f"{sum(verdicts)} / {len(verdicts)} ({sum(verdicts) / len(verdicts):.1%})",
            )
        )
    confidence = mean_of([image.confidence for image in report.images])
    if confidence is not None:
        rows.append((words.confidence, f"{confidence:.4f}"))
    width = max(width_of(name) for name, _ in rows) + 2
    return [padded(f"{name}:" if name else "", width) + one_line(value) for name, value in rows]


def _classes(comparison: ClassComparison, halves: bool, words: Words) -> list[str]:
    heading = [*words.class_columns, *([words.left_share] if halves else [])]
    rows = [heading]
    for entry in comparison.classes:
        spread = entry.metrics["confidence"]
        right = _NONE if entry.right is None else str(entry.right)
        row = [_name(entry, words), str(entry.n), right, _short(spread.mean), _short(spread.sd)]
        if halves:
            share = entry.metrics["left_share"]
            row.append(f"{_short(share.mean)} ({_short(share.sd)})")
        rows.append(row)
    return table(rows)


def _layers(comparison: ClassComparison, layers: Sequence[str], words: Words) -> list[str]:
    rows: list[Sequence[str]] = [words.layer_columns]
    for entry in comparison.classes:
        for layer in layers:
            of_layer = entry.layers[layer]
            means = [
                _mean(of_layer.metrics[metric])
                for metric in (
                    "activation_area",
                    "mean_activation",
                    "max_activation",
                    "center_x",
                    "center_y",
                )
            ]
            rows.append([_name(entry, words), layer, _short(of_layer.consistency), *means])
    return table(rows, left=2)


def _differences(comparison: ClassComparison, words: Words) -> Iterator[str]:
    if not comparison.differences:
        yield words.no_differences
        return
    rows: list[Sequence[str]] = [words.difference_columns]
    rows += [
        [
            words.metrics[entry.metric],
            entry.layer or words.whole_image,
            entry.test,
            f"{entry.statistic:.4g}",
            f"{entry.effect:+.3f}",
            _p(entry.p),
            _p(entry.q),
        ]
        for entry in sorted(comparison.differences, key=lambda d: d.p)
    ]
    yield from table(rows, left=3)
    first = comparison.differences[0]
    yield ""
    yield words.effects[first.effect_name].format(*first.classes[:2])


def _models(images: Sequence[ImageResult], facts: Mapping[str, Any], words: Words) -> list[str]:
    rows: list[Sequence[str]] = [words.model_columns]
    rows += [
        [layer, _short(mean_of([i.agreement.get(layer) for i in images]))]
        for layer in facts["layers"]
    ]
    same = facts["same_predictions"]
    agreement = [] if same is None else [words.same_prediction.format(same, len(images)), ""]
    return [*agreement, *table(rows)]


def _images(images: Sequence[ImageResult], halves: bool, words: Words) -> list[str]:
    heading = [*words.image_columns, *([words.metrics["left_share"]] if halves else [])]
    rows = [heading]
    for entry in images:
        prediction = entry.predicted_name
        if entry.predicted is None and not entry.without_box:
            prediction = ", ".join(f"{value:.4g}" for value in entry.output[:4])
        row = [
            one_line(entry.id),
            one_line(entry.class_folder) or _NONE,
            one_line(prediction),
            _short(entry.confidence),
            words.right[entry.right],
        ]
        rows.append([*row, _short(entry.left_share)] if halves else row)
    return table(rows, left=3)


def _name(entry: ClassSummary, words: Words) -> str:
    return one_line(entry.name) or words.whole_image


def _mean(spread: Spread) -> str:
    return _short(spread.mean)


def _short(value: float | None) -> str:
    """Three decimals, or four digits where that is more or less than such."""
    if value is None or not math.isfinite(value):
        return _NONE
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 1000 else f"{value:.3g}"


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"

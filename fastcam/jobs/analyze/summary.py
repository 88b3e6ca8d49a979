"""``summary_report.txt``: the analysis for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastcam.errors import one_line
from fastcam.jobs.analyze.class_comparison import ClassSummary, Cohort
from fastcam.jobs.analyze.map_statistics import mean_of
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.results import ImageResult
from fastcam.jobs.analyze.wording import WORDS, Words
from fastcam.options import Language
from fastcam.report.columns import padded, table, width_of
from fastcam.report.statistics import Spread

_NONE = "-"


def summary_report(found: Analysis, facts: Mapping[str, Any], language: Language = "en") -> str:
    """The report's text. ``facts``: model, checkpoint, layers, method, halves, compare."""
    words = WORDS[language]
    lines = [words.title, "=" * width_of(words.title), "", *_head(found, facts, words)]
    halves = facts["halves"] != "no"
    sections = [
        (f"{words.classes} ({words.grouping[found.cohort.grouped_by]})",
         _classes(found.cohort, halves, words)),
        (words.layer_title, _layers(found.cohort, facts["layers"], words)),
        (words.differences, list(_differences(found.cohort, words))),
    ]  # fmt: skip
    if facts["compare"]:
        sections.append((words.models, _models(found.images, facts, words)))
    if found.failures:
        sections.append(
            (words.failures, [one_line(f"{t.case}: {t.reason}") for t in found.failures])
        )  # fmt: skip
    notes = [*words.explained, *([words.halves_note] if halves else [])]
    sections.append((words.notes, [line for note in notes for line in _wrapped(note, language)]))
    sections.append((words.every_image, _images(found.images, halves, words)))
    for title, rows in sections:
        lines += ["", title, "-" * width_of(title), *rows]
    return "\n".join(lines) + "\n"


def _wrapped(note: str, language: Language) -> list[str]:
    # A Chinese letter is as wide as two of ours, and no spaces part words.
    lines = textwrap.wrap(note, 96 if language == "en" else 48)
    return ["- " + lines[0], *("  " + line for line in lines[1:])]


def _head(found: Analysis, facts: Mapping[str, Any], words: Words) -> list[str]:
    known = [image.right for image in found.images if image.right is not None]
    failed = sum(failure.level == "error" for failure in found.failures)
    rows = [
        (words.model, str(facts["model"])),
        (words.checkpoint, str(facts["checkpoint"] or words.random)),
        (words.layers, ", ".join(facts["layers"])),
        (words.method, str(facts["method"])),
        (words.images, str(len(found.images))),
    ]
    if facts["halves"] != "no":
        rows.insert(4, ("", words.halves[facts["halves"]]))
    if facts["compare"]:
        rows.insert(2, (words.compared, str(facts["compare"])))
    if failed:
        rows.append((words.failed, str(failed)))
    if known:
        rows.append(
            (words.accuracy, f"{sum(known)} / {len(known)} ({sum(known) / len(known):.1%})")
        )
    confidence = mean_of([image.confidence for image in found.images])
    if confidence is not None:
        rows.append((words.confidence, f"{confidence:.4f}"))
    width = max(width_of(name) for name, _ in rows) + 2
    return [padded(f"{name}:" if name else "", width) + one_line(value) for name, value in rows]


def _classes(cohort: Cohort, halves: bool, words: Words) -> list[str]:
    heading = [*words.class_columns, *([words.left] if halves else [])]
    rows = [heading]
    for one in cohort.classes:
        spread = one.metrics["confidence"]
        right = _NONE if one.right is None else str(one.right)
        row = [_name(one, words), str(one.n), right, _short(spread.mean), _short(spread.sd)]
        if halves:
            share = one.metrics["left_share"]
            row.append(f"{_short(share.mean)} ({_short(share.sd)})")
        rows.append(row)
    return table(rows)


def _layers(cohort: Cohort, layers: Sequence[str], words: Words) -> list[str]:
    rows: list[Sequence[str]] = [words.layer_columns]
    for one in cohort.classes:
        for layer in layers:
            here = one.layers[layer]
            means = [
                _mean(here.metrics[metric])
                for metric in ("activation_area", "mean_activation", "max_activation", "center_x",
                               "center_y")
            ]  # fmt: skip
            rows.append([_name(one, words), layer, _short(here.consistency), *means])
    return table(rows, left=2)


def _differences(cohort: Cohort, words: Words) -> Iterator[str]:
    if not cohort.differences:
        yield words.no_differences
        return
    rows: list[Sequence[str]] = [words.difference_columns]
    rows += [
        [words.metrics[one.metric], one.layer or words.whole_image, one.test,
         f"{one.statistic:.4g}", f"{one.effect:+.3f}", _p(one.p), _p(one.q)]
        for one in sorted(cohort.differences, key=lambda d: d.p)
    ]  # fmt: skip
    yield from table(rows, left=3)
    first = cohort.differences[0]
    yield ""
    yield words.effects[first.effect_name].format(*first.classes[:2])


def _models(images: Sequence[ImageResult], facts: Mapping[str, Any], words: Words) -> list[str]:
    rows: list[Sequence[str]] = [words.model_columns]
    rows += [
        [layer, _short(mean_of([i.agreement.get(layer) for i in images]))]
        for layer in facts["layers"]
    ]
    same = facts["same_predictions"]
    told = [] if same is None else [words.same_prediction.format(same, len(images)), ""]
    return [*told, *table(rows)]


def _images(images: Sequence[ImageResult], halves: bool, words: Words) -> list[str]:
    heading = [*words.image_columns, *([words.metrics["left_share"]] if halves else [])]
    rows = [heading]
    for one in images:
        answer = one.predicted_name
        if one.predicted is None:
            answer = ", ".join(f"{value:.4g}" for value in one.output[:4])
        row = [one_line(one.id), one_line(one.class_folder) or _NONE, one_line(answer),
               _short(one.confidence), words.right[one.right]]  # fmt: skip
        rows.append([*row, _short(one.left_share)] if halves else row)
    return table(rows, left=3)


def _name(one: ClassSummary, words: Words) -> str:
    return one_line(one.name) or words.whole_image


def _mean(spread: Spread) -> str:
    return _short(spread.mean)


def _short(value: float | None) -> str:
    """Three decimals, or four digits where that is more or less than such."""
    if value is None or not math.isfinite(value):
        return _NONE
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 1000 else f"{value:.3g}"


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"

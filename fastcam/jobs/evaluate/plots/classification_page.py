"""Plots of a classification's test set: confusion matrix, ROC curves, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.metrics.classification import BINS, confusion_counts, reliability
from fastcam.jobs.evaluate.metrics.evaluation import Evaluation, rankings_of
from fastcam.report.plots import (
    BLUE,
    DARK,
    FAINT,
    drawable_text,
    frame,
    new_page,
    shorten_name,
    write_placeholder,
    write_remark,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page

# More curves, or numbers in cells, can't be distinguished.
_MOST_CURVES = 10
_MOST_NUMBERS = 15


def classification_page(evaluation: Evaluation) -> Page:
    """``evaluation_results.png`` of a classification."""
    page = new_page(17.5, 6.2, constrained=True)
    write_remark(page, evaluation.remark)
    matrix, curves, calibration = page.subplots(1, 3)
    true = np.array([case.true for case in evaluation.cases], np.int64)
    predicted = np.array([case.predicted for case in evaluation.cases], np.int64)
    shares = np.array([case.probability for case in evaluation.cases]).reshape(
        -1, evaluation.classes
    )
    _matrix(matrix, evaluation, true, predicted)
    frame(curves, _auc_title(evaluation), x="false positive rate", y="true positive rate")
    frame(calibration, _calibration_title(evaluation), x="confidence", y="share predicted right")
    if true.size:
        _roc(curves, evaluation, true, rankings_of(evaluation.cases, evaluation.classes))
        _calibration(calibration, true, predicted, shares)
    for axes in (curves, calibration):
        axes.set_aspect("equal")
    return page


def _metric_text(evaluation: Evaluation, name: str) -> str:
    value = evaluation.metrics[name].value
    return "-" if value is None else f"{value:.3f}"


def _auc_title(evaluation: Evaluation) -> str:
    several = evaluation.classes > 2
    return f"ROC   {'mean ' if several else ''}AUC {_metric_text(evaluation, 'auc')}"


def _calibration_title(evaluation: Evaluation) -> str:
    error = _metric_text(evaluation, "calibration_error")
    return f"Calibration   expected error {error} ({BINS} bins)"


def _matrix(
    axes: Axes, evaluation: Evaluation, true: NDArray[np.int64], predicted: NDArray[np.int64]
) -> None:
    accuracy, balanced, f1 = (
        _metric_text(evaluation, name) for name in ("accuracy", "balanced_accuracy", "f1")
    )
    title = f"n = {true.size}   accuracy {accuracy}   balanced {balanced}   F1 {f1}"
    target = evaluation.target
    frame(axes, title, x=f"predicted {target}", y=f"true {target}", grid=False)
    if not true.size:
        write_placeholder(axes, "no image was evaluated")
        return
    counts = confusion_counts(true, predicted, evaluation.classes)
    # Color by the share of the true class: a rare class is as visible as a common one.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
    axes.spines[["left", "bottom"]].set_visible(False)
    if evaluation.classes > _MOST_NUMBERS:
        return
    names = [
        drawable_text(shorten_name(evaluation.class_name(c), 16)) for c in range(evaluation.classes)
    ]
    long = max(len(name) for name, _ in names) > 4
    axes.set_xticks(range(evaluation.classes), [name for name, _ in names])
    axes.set_yticks(range(evaluation.classes), [name for name, _ in names])
    for side in (axes.get_xticklabels(), axes.get_yticklabels()):
        for label, (_, font) in zip(side, names, strict=True):
            label.set_fontproperties(font)
            label.set_fontsize(9)
    if long and evaluation.classes > 3:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    for row in range(evaluation.classes):
        for column in range(evaluation.classes):
            axes.text(
                column,
                row,
                f"{counts[row, column]}\n{shares[row, column]:.0%}",
                ha="center",
                va="center",
                size=float(np.clip(40 / evaluation.classes, 6, 12)),
                color="white" if shares[row, column] > 0.55 else DARK,
            )


def _roc(
    axes: Axes, evaluation: Evaluation, true: NDArray[np.int64], ranking: NDArray[np.float64]
) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0, linestyle="--")
    present = np.unique(true).tolist()
    if len(present) < 2:
        write_placeholder(axes, "only one class: no ROC")
        return
    classes = [1] if evaluation.classes == 2 else present[:_MOST_CURVES]
    for c in classes:
        wrong, right, _ = roc_curve(true == c, ranking[:, c])
        auc = roc_auc_score(true == c, ranking[:, c])
        name = shorten_name(evaluation.class_name(c))
        color = BLUE if len(classes) == 1 else None
        axes.plot(wrong, right, linewidth=1.7, label=f"{name}   {auc:.3f}", color=color)
    texts = "".join(shorten_name(evaluation.class_name(c)) for c in classes)
    legend = axes.legend(
        frameon=True,
        edgecolor="none",
        framealpha=0.8,
        loc="lower right",
        prop=drawable_text(texts)[1],
    )
    for text in legend.get_texts():
        text.set_fontsize(9)
    if len(present) > len(classes) > 1:
        note = f"the first {len(classes)} of {len(present)} classes"
        axes.text(0.98, 1.01, note, transform=axes.transAxes, ha="right", size=9, color=FAINT)


def _calibration(
    axes: Axes,
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    shares: NDArray[np.float64],
) -> None:
    bins = reliability(true, predicted, shares)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0, linestyle="--", label="perfect")
    axes.plot(bins.confidence, bins.accuracy, color=BLUE, linewidth=1.3)
    sizes = 16 + 260 * bins.n / bins.n.sum()
    axes.scatter(
        bins.confidence,
        bins.accuracy,
        s=sizes,
        color=BLUE,
        zorder=3,
        label="bin; area: number of images",
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=True, edgecolor="none", framealpha=0.8, fontsize=9, markerscale=0.6)

"""Plots of a classification's test set: confusion matrix, ROC curves, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.metrics.classification import BINS, confusion, reliability
from fastcam.jobs.evaluate.metrics.evaluation import Evaluation
from fastcam.report.plot_page import (
    BLUE,
    FAINT,
    INK,
    frame,
    lettered,
    new_page,
    png_of,
    say,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More curves, or numbers in cells, can't be told apart.
_MOST_CURVES = 10
_MOST_NUMBERS = 15


def classification_page(found: Evaluation) -> bytes:
    """``evaluation_results.png`` of a classification."""
    page = new_page(17.5, 6.2)
    matrix, curves, calibration = page.subplots(1, 3)
    true = np.array([case.true for case in found.cases], np.int64)
    predicted = np.array([case.predicted for case in found.cases], np.int64)
    shares = np.array([case.probability for case in found.cases]).reshape(-1, found.classes)
    _matrix(matrix, found, true, predicted)
    frame(curves, _auc_said(found), "false positive rate", "true positive rate")
    frame(calibration, _calibration_said(found), "confidence", "share predicted right")
    if true.size:
        _roc(curves, found, true, shares)
        _calibration(calibration, true, predicted, shares)
    for axes in (curves, calibration):
        axes.set_aspect("equal")
    return png_of(page)


def _said(found: Evaluation, name: str) -> str:
    value = found.metrics[name].value
    return "-" if value is None else f"{value:.3f}"


def _auc_said(found: Evaluation) -> str:
    several = found.classes > 2
    return f"ROC   {'mean ' if several else ''}AUC {_said(found, 'auc')}"


def _calibration_said(found: Evaluation) -> str:
    return f"Calibration   expected error {_said(found, 'calibration_error')} ({BINS} bins)"


def _matrix(
    axes: Axes, found: Evaluation, true: NDArray[np.int64], predicted: NDArray[np.int64]
) -> None:
    title = f"n = {true.size}   accuracy {_said(found, 'accuracy')}   "
    title += f"balanced {_said(found, 'balanced_accuracy')}   F1 {_said(found, 'f1')}"
    frame(axes, title, f"predicted {found.target}", f"true {found.target}", grid=False)
    if not true.size:
        say(axes, "no image was evaluated")
        return
    counts = confusion(true, predicted, found.classes)
    # Colour by the share of the true class: a rare class is as visible as a common one.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
    axes.spines[["left", "bottom"]].set_visible(False)
    if found.classes > _MOST_NUMBERS:
        return
    names = [lettered(shortened(found.class_name(at), 16)) for at in range(found.classes)]
    long = max(len(name) for name, _ in names) > 4
    axes.set_xticks(range(found.classes), [name for name, _ in names])
    axes.set_yticks(range(found.classes), [name for name, _ in names])
    for side in (axes.get_xticklabels(), axes.get_yticklabels()):
        for label, (_, font) in zip(side, names, strict=True):
            label.set_fontproperties(font)
            label.set_fontsize(9)
    if long and found.classes > 3:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    for row in range(found.classes):
        for column in range(found.classes):
            axes.text(
                column, row, f"{counts[row, column]}\n{shares[row, column]:.0%}", ha="center",
                va="center", size=float(np.clip(40 / found.classes, 6, 12)),
                color="white" if shares[row, column] > 0.55 else INK,
            )  # fmt: skip


def _roc(
    axes: Axes, found: Evaluation, true: NDArray[np.int64], shares: NDArray[np.float64]
) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0, linestyle="--")
    present = np.unique(true).tolist()
    if len(present) < 2:
        say(axes, "only one class: no ROC")
        return
    chosen = [1] if found.classes == 2 else present[:_MOST_CURVES]
    for c in chosen:
        wrong, right, _ = roc_curve(true == c, shares[:, c])
        auc = roc_auc_score(true == c, shares[:, c])
        name = shortened(found.class_name(c))
        colour = BLUE if len(chosen) == 1 else None
        axes.plot(wrong, right, linewidth=1.7, label=f"{name}   {auc:.3f}", color=colour)
    texts = "".join(shortened(found.class_name(c)) for c in chosen)
    legend = axes.legend(
        frameon=True, edgecolor="none", framealpha=0.8, loc="lower right",
        prop=lettered(texts)[1],
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_fontsize(9)
    if len(present) > len(chosen) > 1:
        note = f"the first {len(chosen)} of {len(present)} classes"
        axes.text(0.98, 1.01, note, transform=axes.transAxes, ha="right", size=9, color=FAINT)


def _calibration(
    axes: Axes,
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    shares: NDArray[np.float64],
) -> None:
    found = reliability(true, predicted, shares)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0, linestyle="--", label="perfect")
    axes.plot(found.confidence, found.accuracy, color=BLUE, linewidth=1.3)
    sizes = 16 + 260 * found.n / found.n.sum()
    axes.scatter(
        found.confidence, found.accuracy, s=sizes, color=BLUE, zorder=3,
        label="bin; area: number of images",
    )  # fmt: skip
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=True, edgecolor="none", framealpha=0.8, fontsize=9, markerscale=0.6)

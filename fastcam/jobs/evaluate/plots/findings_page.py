"""Plots of a test set with many findings: AUC by finding, ROC curves, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastcam.jobs.evaluate.metrics.bootstrap import Floats
from fastcam.jobs.evaluate.metrics.findings import BINS, FindingsMetrics
from fastcam.report.plots import (
    BLUE,
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

# More curves can't be distinguished.
_MOST_CURVES = 10


def findings_page(
    true: Floats,
    probability: Floats,
    ranking: Floats,
    metrics: FindingsMetrics,
    remark: str = "",
) -> Page:
    """``evaluation_results.png`` of ``true``, ``probability`` and by what is ranked (n, k);
    ``remark`` above."""
    height = max(6.2, 0.36 * len(metrics.findings) + 1.6)
    page = new_page(17.5, height, constrained=True)
    write_remark(page, remark)
    bars, curves, calibration = page.subplots(1, 3)
    macro, micro = metrics.macro["auc"].value, metrics.micro["auc"].value
    texts = ["-" if value is None else f"{value:.3f}" for value in (macro, micro)]
    frame(bars, f"AUC by finding   macro {texts[0]}   micro {texts[1]}", x="AUC", y="")
    frame(curves, "ROC", x="1 - specificity", y="sensitivity")
    frame(calibration, f"Calibration, all findings ({BINS} bins)", x="probability", y="share true")
    if len(true):
        _bars(bars, metrics)
        _roc(curves, true, ranking, metrics)
        _calibration(calibration, true, probability)
    else:
        write_placeholder(bars, "no image was evaluated")
    for axes in (curves, calibration):
        axes.set_aspect("equal")
    return page


def _bars(axes: Axes, metrics: FindingsMetrics) -> None:
    """A point and an interval a finding, in the order of the outputs from the top."""
    labels = []
    for row, finding in enumerate(metrics.findings):
        estimate = finding.metrics["auc"]
        labels.append(f"{shorten_name(finding.name, 24)}   {finding.present}")
        if estimate.value is None:
            axes.text(0.5, row, "undefined", va="center", ha="center", size=9, color=FAINT)
            continue
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [row, row], color=BLUE, linewidth=2.0)
        axes.plot([estimate.value], [row], "o", color=BLUE, markersize=7)
    axes.axvline(0.5, color=FAINT, linewidth=1.0, linestyle="--")
    axes.set_yticks(range(len(labels)), [drawable_text(label)[0] for label in labels])
    for label, text in zip(axes.get_yticklabels(), labels, strict=True):
        label.set_fontproperties(drawable_text(text)[1])
        label.set_fontsize(9)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)


def _roc(axes: Axes, true: Floats, ranking: Floats, metrics: FindingsMetrics) -> None:
    from sklearn.metrics import roc_curve

    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0, linestyle="--")
    count = 0
    for number, finding in enumerate(metrics.findings):
        labeled = np.isfinite(true[:, number])
        if finding.metrics["auc"].value is None or count == _MOST_CURVES:
            continue
        count += 1
        wrong, right, _ = roc_curve(true[labeled, number] == 1, ranking[labeled, number])
        text, _ = drawable_text(shorten_name(finding.name))
        axes.plot(wrong, right, linewidth=1.5, label=text)
    if not count:
        write_placeholder(axes, "no finding is both present and absent")
        return
    axes.legend(frameon=True, edgecolor="none", framealpha=0.8, loc="lower right", fontsize=9)
    if count == _MOST_CURVES < len(metrics.findings):
        note = f"the first {count} of {len(metrics.findings)} findings"
        axes.text(0.98, 1.01, note, transform=axes.transAxes, ha="right", size=9, color=FAINT)


def _calibration(axes: Axes, true: Floats, probability: Floats) -> None:
    labeled = np.isfinite(true)
    y, p = true[labeled], probability[labeled]
    bins = np.clip(np.ceil(p * BINS).astype(int) - 1, 0, BINS - 1)
    n = np.bincount(bins, minlength=BINS)
    filled = n > 0
    mean = np.bincount(bins, p, BINS)[filled] / n[filled]
    share = np.bincount(bins, y, BINS)[filled] / n[filled]
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0, linestyle="--", label="perfect")
    axes.plot(mean, share, color=BLUE, linewidth=1.3)
    sizes = 16 + 260 * n[filled] / n.sum()
    axes.scatter(mean, share, s=sizes, color=BLUE, zorder=3, label="bin; area: pairs")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=True, edgecolor="none", framealpha=0.8, fontsize=9, markerscale=0.6)

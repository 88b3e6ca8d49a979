"""Plots of a regression's test set: predicted against true, agreement, groups of the true value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastcam.jobs.evaluate.metrics.bootstrap import Estimate, Floats
from fastcam.jobs.evaluate.metrics.evaluation import Evaluation
from fastcam.jobs.evaluate.metrics.regression import LIMITS, fit_line, group_name
from fastcam.report.plots import (
    BAD,
    BLUE,
    DARK,
    FAINT,
    GOOD,
    frame,
    new_page,
    write_placeholder,
    write_remark,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page
    from numpy.typing import NDArray

# Width of a bar; groups are 1 apart.
_BARS = 0.4
# Metrics in the unit of the true values.
_IN_UNIT = ("mae", "rmse")
# Bars that have room for their numbers.
_MOST_LABELS = 16


def results_page(evaluation: Evaluation) -> Page:
    """``evaluation_results.png``: predicted against true with the identity and the fit, and how
    the errors are distributed."""
    page = new_page(13, 6.2, constrained=True)
    write_remark(page, evaluation.remark)
    left, right = page.subplots(1, 2)
    true, predicted, good = _columns(evaluation)
    target = evaluation.target_text
    frame(left, _summary(evaluation), x=f"true {target}", y=f"predicted {target}")
    if true.size:
        _scatter(left, true, predicted, good, evaluation)
    else:
        write_placeholder(left, "no image was evaluated")
    error = predicted - true
    frame(right, "Distribution of the errors", x=f"predicted − true {target}", y="images")
    if true.size:
        _histogram(right, error, evaluation)
    else:
        write_placeholder(right, "no image was evaluated")
    return page


def bland_altman_page(evaluation: Evaluation) -> Page:
    """``bland_altman.png``: difference against mean, bias and limits of agreement with their
    intervals (Bland & Altman 1986)."""
    page = new_page(10.5, 6.4, constrained=True)
    write_remark(page, evaluation.remark)
    axes = page.subplots()
    true, predicted, good = _columns(evaluation)
    target = evaluation.target_text
    # In the title, which is broken into lines where the page is narrow.
    note = f"bands: 95 % interval (bootstrap)   green: |error| < {evaluation.good_below:g}"
    frame(
        axes,
        f"Predicted and true {evaluation.target}: bias ± {LIMITS} SD (n - 1)\n"
        f"{evaluation.with_unit(note)}",
        x=f"mean of predicted and true {target}",
        y=" ".join(filter(None, ["predicted − true", evaluation.unit and f"({evaluation.unit})"])),
    )
    if not true.size:
        write_placeholder(axes, "no image was evaluated")
        return page
    size, alpha = _dots(true.size)
    for part, color, marker in ((good, GOOD, "o"), (~good, BAD, "^")):
        axes.scatter(
            (true[part] + predicted[part]) / 2,
            (predicted - true)[part],
            s=size,
            alpha=alpha,
            color=color,
            marker=marker,
            linewidths=0,
        )
    axes.axhline(0, color=FAINT, linewidth=0.8)
    for name, label, style in (
        ("loa_high", f"+{LIMITS} SD", "--"),
        ("bias", "bias", "-"),
        ("loa_low", f"−{LIMITS} SD", "--"),
    ):
        _level(axes, evaluation.metrics[name], label, style)
    axes.margins(x=0.04, y=0.12)
    return page


def groups_page(evaluation: Evaluation) -> Page:
    """``age_group_comparison.png``: MAE, RMSE and number of images by group of the true value."""
    groups = evaluation.groups
    page = new_page(float(np.clip(4.5 + 0.85 * len(groups), 8, 24)), 6.6, constrained=True)
    write_remark(page, evaluation.remark)
    above, below = page.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    frame(
        above,
        f"Errors by group of true {evaluation.target}",
        y=f"error ({evaluation.unit})" if evaluation.unit else "error",
    )
    frame(below, "", x=f"true {evaluation.target_text}", y="images")
    if not groups:
        write_placeholder(above, "no image was evaluated")
        return page
    positions = np.arange(len(groups))
    labelled = len(groups) <= _MOST_LABELS
    for shift, name, color in ((-0.5, "mae", BLUE), (0.5, "rmse", "#dd8a28")):
        heights = [getattr(group, name) for group in groups]
        bars = above.bar(
            positions + shift * _BARS,
            [h or 0.0 for h in heights],
            _BARS * 0.94,
            color=color,
            label=name.upper(),
        )
        if labelled:
            texts = ["" if h is None else f"{h:#.3g}".rstrip(".") for h in heights]
            above.bar_label(bars, texts, size=8.5, color=DARK, padding=2)
    for axes in (above, below):
        axes.grid(axis="x", visible=False)
    above.legend(frameon=False, fontsize=9.5, ncols=2)
    above.margins(y=0.14)
    counts = below.bar(positions, [group.n for group in groups], 0.8, color="#b9c3cf")
    if labelled:
        below.bar_label(counts, size=8.5, color=DARK, padding=2)
    below.margins(y=0.3)
    rotation = {} if len(groups) <= 12 else {"rotation": 45, "ha": "right"}
    below.set_xticks(positions, [group_name(group) for group in groups], **rotation)
    return page


def _columns(evaluation: Evaluation) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    true = np.array([case.true for case in evaluation.cases], float)
    predicted = np.array([case.predicted for case in evaluation.cases], float)
    return true, predicted, np.array([case.good for case in evaluation.cases], bool)


def _summary(evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    parts = [f"n = {len(evaluation.cases)}"]
    for name, label in (("mae", "MAE"), ("rmse", "RMSE"), ("r2", "R²"), ("pearson", "r")):
        value = metrics[name].value
        if value is not None:
            text = f"{label} {value:.3g}".replace("-", "−")
            parts.append(evaluation.with_unit(text) if name in _IN_UNIT else text)
    return "   ".join(parts)


def _scatter(
    axes: Axes, true: Floats, predicted: Floats, good: NDArray[np.bool_], evaluation: Evaluation
) -> None:
    size, alpha = _dots(true.size)
    limit = evaluation.with_unit(f"{evaluation.good_below:g}")
    for part, color, marker, label in (
        (good, GOOD, "o", f"|error| < {limit}: {good.sum()}"),
        (~good, BAD, "^", f"|error| ≥ {limit}: {(~good).sum()}"),
    ):
        axes.scatter(
            true[part],
            predicted[part],
            s=size,
            alpha=alpha,
            color=color,
            marker=marker,
            linewidths=0,
            label=label,
        )
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    room = 0.04 * (high - low) or 1.0
    ends = np.array([low - room, high + room])
    axes.plot(ends, ends, color=FAINT, linewidth=1.2, linestyle="--", label="identity")
    line = fit_line(true, predicted)
    if line is not None:
        slope, intercept = line
        reach = np.array([true.min(), true.max()])
        sign = "+" if intercept >= 0 else "-"
        label = f"fit: {slope:.3g} x {sign} {abs(intercept):.3g}".replace("-", "−")
        axes.plot(reach, slope * reach + intercept, color=BLUE, linewidth=1.6, label=label)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    legend = axes.legend(fontsize=9, frameon=True, edgecolor="none", framealpha=0.8)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _histogram(axes: Axes, error: Floats, evaluation: Evaluation) -> None:
    # "auto" may ask for a bin for every outlier's width.
    edges = np.histogram_bin_edges(error, "auto")
    bins = int(np.clip(len(edges) - 1, 5, 60))
    axes.hist(error, bins=bins, color="#9db8d6", edgecolor="white", linewidth=0.6)
    axes.axvline(0, color=FAINT, linewidth=1.0)
    bias, sd = evaluation.metrics["bias"].value, evaluation.metrics["sd"].value
    if bias is not None:
        label = f"bias {bias:+.3g}" + ("" if sd is None else f", SD {sd:.3g}")
        label = evaluation.with_unit(label).replace("-", "−")
        axes.axvline(bias, color=BLUE, linewidth=1.6, label=label)
    limit = evaluation.good_below
    for x, name in ((-limit, None), (limit, evaluation.with_unit(f"± {limit:g}"))):
        axes.axvline(x, color=GOOD, linewidth=1.2, linestyle=":", label=name)
    axes.legend(frameon=True, edgecolor="none", framealpha=0.8, fontsize=9)
    axes.locator_params(axis="y", integer=True)
    axes.margins(y=0.12)


def _level(axes: Axes, estimate: Estimate, label: str, style: str) -> None:
    if estimate.value is None:
        return
    axes.axhline(estimate.value, color=BLUE, linewidth=1.5, linestyle=style)
    if estimate.low is not None and estimate.high is not None:
        axes.axhspan(estimate.low, estimate.high, color=BLUE, alpha=0.13, linewidth=0)
    value = f"{estimate.value:+.3g}".replace("-", "−")
    axes.annotate(
        f"{label}\n{value}",
        (1.0, estimate.value),
        xycoords=axes.get_yaxis_transform(),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        size=9,
        color=BLUE,
        annotation_clip=False,
    )


def _dots(count: int) -> tuple[float, float]:
    """Size and opacity of dots, so that many are no blot."""
    return float(np.clip(9000 / max(count, 1), 7, 42)), float(
        np.clip(500 / max(count, 1), 0.2, 0.75)
    )

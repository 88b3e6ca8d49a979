"""One page of every kind of plots, with names and numbers as long as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from fastcam.figures.notebook_figure import Figure
from fastcam.figures.paper_plots import PlotPage
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, evaluation_of
from fastcam.jobs.evaluate.metrics.localization import Localization
from fastcam.jobs.evaluate.plots.classification_page import classification_page
from fastcam.jobs.evaluate.plots.localization_page import localization_page
from fastcam.jobs.evaluate.plots.regression_pages import (
    bland_altman_page,
    groups_page,
    results_page,
)
from fastcam.jobs.explain import channel_bars
from fastcam.jobs.render.patches.statistics_plots import statistics_page
from fastcam.jobs.vit import attention_distance, cls_evolution, position_embedding
from fastcam.options import Style
from fastcam.report import plots
from fastcam.report.statistics import CaseStatistics, summarize

from .plot_pixels import noise, vit

_NAMES = ("atelectasis of the left lung", "cardiomegaly", "没有发现", "pleural effusion, both")


def _case(
    index: int, true: float, predicted: float, error: float, shares: tuple[float, ...] = ()
) -> EvaluatedCase:
    """A case of a classification with its ``shares``, or of a regression."""
    return EvaluatedCase(
        place=index + 1,
        id=f"c{index}",
        file=f"c{index}.png",
        true=true,
        predicted=predicted,
        error=error,
        good=predicted == true if shares else abs(error) < 5,
        probability=shares,
    )


def classes(count: int) -> Any:
    """Results of a classification whose classes have long names."""
    rng = np.random.default_rng(7)
    cases = []
    for index in range(120):
        shares = rng.dirichlet(np.full(count, 0.4))
        true = int(np.argmax(shares)) if rng.random() < 0.7 else int(rng.integers(count))
        cases.append(_case(index, true, float(np.argmax(shares)), 1 - shares[true], tuple(shares)))
    names = tuple(f"{_NAMES[at % 4]} {at}" for at in range(count))
    return evaluation_of("classification", "finding", 5.0, cases, names=names, classes=count)


def ages() -> Any:
    """Results of a regression of ages from 20 to 90."""
    rng = np.random.default_rng(7)
    cases = []
    for index in range(80):
        true, error = float(rng.uniform(20, 90)), float(rng.normal(0, 6))
        cases.append(_case(index, true, true + error, error))
    return evaluation_of("regression", "age", 5.0, cases, unit="years")


def localizations() -> PlotPage:
    rng = np.random.default_rng(7)
    found = [
        Localization(
            share=float(share),
            area=0.07,
            iou=float(share) / 2,
            hit=bool(share > 0.4),
            chance_hit=0.07,
            threshold=0.5,
        )
        for share in rng.beta(2, 2, 60)
    ]
    good = [bool(rng.random() < 0.6) for _ in found]
    return PlotPage(
        localization_page(found, good, ("error < 5 years", "error ≥ 5 years"), "a note")
    )


def statistics() -> PlotPage:
    rng = np.random.default_rng(7)
    rows = []
    for place in range(60):
        share = float(rng.beta(2, 3))
        label = int(rng.integers(2))
        rows.append(
            CaseStatistics(
                place=place + 1,
                case=f"case {place}",
                true_label=label,
                predicted_label=label if rng.random() < 0.7 else 1 - label,
                correct=bool(rng.random() < 0.7),
                confidence=0.5 + share / 2,
                patches=400,
                slices=20,
                entropy=3 + share,
                normalised_entropy=0.5 + share / 2,
                top1=share / 10,
                top5=share / 4,
                top10=share / 2,
                gini=share,
                inside_mask=share,
                half_slices=int(share * 10) + 1,
            )
        )
    return PlotPage(statistics_page(summarize(rows), rows))


def of_view(module: Any, draw: Callable[[], Any]) -> PlotPage:
    """The page that a view hands over before it becomes pixels."""
    kept: list[PlotPage] = []

    def page_figure(page: Any, style: Style) -> Figure:
        kept.append(page if isinstance(page, PlotPage) else PlotPage(page))
        return plots.page_figure(page, style)

    with mock.patch.object(module, "page_figure", page_figure):
        draw()
    (page,) = kept
    return page


def _bars() -> PlotPage:
    rng = np.random.default_rng(7)
    gates = {f"layer{at}.se.gate": rng.random(512).astype(np.float32) for at in range(3)}
    style = Style()
    return of_view(channel_bars, lambda: channel_bars.channel_bars(gates, "image", style))


def _view(module: Any, name: str, models: int) -> PlotPage:
    draw: Any = getattr(module, name)
    other = {"compare": vit(5), "labels": ("before training", "after training")}
    images = () if name == "position_embedding" else (noise(2),)
    return of_view(module, lambda: draw(vit(), *images, **(other if models == 2 else {})))


PAGES: dict[str, Callable[[], PlotPage]] = {
    "two classes": lambda: PlotPage(classification_page(classes(2))),
    "four classes": lambda: PlotPage(classification_page(classes(4))),
    "twelve classes": lambda: PlotPage(classification_page(classes(12))),
    "errors": lambda: PlotPage(results_page(ages())),
    "agreement": lambda: PlotPage(bland_altman_page(ages())),
    "groups": lambda: PlotPage(groups_page(ages())),
    "localization": localizations,
    "statistics": statistics,
    "channels": _bars,
    "distances": lambda: _view(attention_distance, "attention_distance", 1),
    "distances of two": lambda: _view(attention_distance, "attention_distance", 2),
    "CLS": lambda: _view(cls_evolution, "cls_evolution", 1),
    "CLS of two": lambda: _view(cls_evolution, "cls_evolution", 2),
    "positions": lambda: _view(position_embedding, "position_embedding", 1),
    "positions of two": lambda: _view(position_embedding, "position_embedding", 2),
}

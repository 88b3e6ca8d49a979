"""View 5: the mean distance over which each head attends, layer by layer.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 11 (right).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.attention.distance import mean_distances
from fastcam.attribution.attention.vit_pass import VitPass, run_vit
from fastcam.attribution.modules import device_of
from fastcam.errors import InputError
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.view_panels import titled
from fastcam.jobs.vit.subject import images_for, pass_on
from fastcam.options import Style
from fastcam.report.plots import (
    NUMBER_SIZE,
    frame,
    new_page,
    page_figure,
    plot_style,
    series_colors,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page

# A model, its pass, or distances (images, layers, heads) in pixels.
Source = nn.Module | VitPass | NDArray[np.floating]

# Images whose queries and keys are kept at once when a model is run here.
_BATCH = 16
# Colors that people with any color vision tell apart (Okabe & Ito 2008).
_LINES = {"light": ("#0072b2", "#d55e00"), "dark": ("#56b4e9", "#e69f00")}


def attention_distance(
    model_or_pass: Source,
    images: Any = None,
    *,
    compare: Source | None = None,
    labels: tuple[str, str] = ("first", "second"),
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """Mean attention distance in pixels: a dot for each head of each layer, and the layers' means.

    Beside it, as bars, the first third of the layers against the last third; a bar is the mean of
    their heads, its dots are the heads. All images are averaged. Queries are the patches;
    attention is renormalized over the patches.

    ``model_or_pass``: a model, run on ``images`` (as :func:`fastcam.explain` takes them), a pass,
    or distances measured before, (images, layers, heads) in pixels, such as those of
    :func:`distances_of` of several passes put together. ``compare``: a second one, beside the
    first on the same axes, called as ``labels`` say.

    Raises InputError for a model that is no plain Vision Transformer, for missing images, and for
    a second one with other layers.
    """
    style = style or Style()
    distances = [_checked_distances(model_or_pass, images)]
    if compare is not None:
        distances.append(_second_distances(compare, images, model_or_pass, distances[0]))
    page = new_page(12.5 if len(distances) == 1 else 15.5, 5.6, style)
    count, layers, _ = distances[0].shape
    averaged = f"mean of {count} images" if count > 1 else "one image"
    note = (
        "Queries are the patches; attention is renormalized over the patches. "
        f"{_thirds_text(layers)}"
    )
    write_title(page, titled(title, f"mean attention distance, {averaged}"), note, style)
    spread = page.add_gridspec(
        1,
        len(distances) + 1,
        left=0.065,
        right=0.985,
        top=0.77,
        bottom=0.115,
        wspace=0.2,
        width_ratios=[2.2, 1] if len(distances) == 1 else [1.7, 1.7, 1],
    )
    heads = [of_images.astype(np.float64).mean(0) for of_images in distances]
    highest = max(float(values.max()) for values in heads) * 1.06 or 1.0
    names = ("every head of every layer",) if len(distances) == 1 else labels
    for model, (values, name) in enumerate(zip(heads, names, strict=True)):
        axes = page.add_subplot(spread[0, model])
        color = _LINES[style.theme][model]
        _dots(axes, values, name, highest, color, style)
        if len(distances) > 1:
            # The color of its bars.
            axes.set_title(axes.get_title(loc="left"), loc="left", color=color)
    _legend(page, style)
    _bars(page.add_subplot(spread[0, -1]), heads, highest, style)
    return page_figure(page, style)


def distances_of(vit: VitPass) -> NDArray[np.float32]:
    """Mean attention distance (images, layers, heads) float32 in pixels of a pass's images."""
    distances: NDArray[np.float32] = mean_distances(vit).cpu().numpy()
    return distances


def _checked_distances(source: Source, images: Any) -> NDArray[np.floating]:
    """Distances (images, layers, heads) in pixels, all finite; InputError for others."""
    distances: NDArray[np.floating]
    if isinstance(source, VitPass):
        distances = distances_of(source)
    elif isinstance(source, np.ndarray):
        distances = source
    else:
        distances = _model_distances(source, images)
    if distances.ndim != 3 or not distances.size:
        raise InputError(
            f"distances of shape {distances.shape} were given: they must be (images, layers, heads)"
        )
    if not np.isfinite(distances).all():
        layer, head = np.argwhere(~np.isfinite(distances))[0, 1:].tolist()
        raise InputError(
            f"the distance of layer {layer}, head {head} isn't known: none of its patches attends "
            "to a patch, or its attention is not finite"
        )
    return distances


def _second_distances(
    compare: Source, images: Any, model_or_pass: Source, first: NDArray[np.floating]
) -> NDArray[np.floating]:
    if isinstance(model_or_pass, VitPass) and not isinstance(compare, np.ndarray):
        compare = pass_on(compare, model_or_pass)
    second = _checked_distances(compare, images)
    if second.shape[1] != first.shape[1]:
        raise InputError(
            f"compare: the first model has {first.shape[1]} layers of attention, the second "
            f"{second.shape[1]}; compare two checkpoints of one architecture"
        )
    return second


def _model_distances(model: nn.Module, images: Any) -> NDArray[np.float32]:
    """Batch by batch: queries and keys of all images at once could be too much."""
    batch = images_for(model, images).batch
    device = device_of(model)
    parts = [
        distances_of(run_vit(model, batch[start : start + _BATCH].to(device)))
        for start in range(0, len(batch), _BATCH)
    ]
    return np.concatenate(parts)


def thirds(layers: int) -> tuple[slice, slice]:
    """The first and the last third of the layers, at least one layer each."""
    third = max(1, layers // 3)
    return slice(0, third), slice(layers - third, layers)


def _thirds_text(layers: int) -> str:
    shallow, deep = (_range(part) for part in thirds(layers))
    return f"Shallow: {shallow}; deep: {deep}."


def _range(part: slice) -> str:
    first, last = part.start, part.stop - 1
    return f"layer {first}" if first == last else f"layers {first} to {last}"


def _dots(
    axes: Axes, values: NDArray[np.float64], name: str, highest: float, color: str, style: Style
) -> None:
    layers, heads = values.shape
    frame(axes, name, style, "layer", "distance in pixels")
    layer = np.repeat(np.arange(layers), heads)
    head = np.tile(np.arange(heads), layers)
    axes.scatter(
        layer,
        values.ravel(),
        c=head,
        cmap=series_colors(style),
        s=30,
        alpha=0.8,
        linewidths=0,
        zorder=2,
        label="a head, colored by its number",
    )
    axes.plot(
        values.mean(1),
        color=color,
        linewidth=2.2,
        marker="_",
        markersize=13,
        markeredgewidth=2.2,
        zorder=3,
        label="mean of the layer",
    )
    axes.set_ylim(0, highest)
    axes.set_xlim(-0.6, layers - 0.4)
    axes.set_xticks(range(0, layers, -(-layers // 16)))


def _legend(page: Page, style: Style) -> None:
    page.legend(
        *page.axes[0].get_legend_handles_labels(),
        loc="upper right",
        bbox_to_anchor=(0.99, 0.98),
        ncols=2,
        fontsize=NUMBER_SIZE + 0.5,
        labelcolor=plot_style(style).text,
        frameon=False,
    )


def _bars(
    axes: Axes,
    models: Sequence[NDArray[np.float64]],
    highest: float,
    style: Style,
) -> None:
    frame(axes, "shallow and deep layers", style)
    palette = plot_style(style)
    width = 0.7 / len(models)
    for model, values in enumerate(models):
        for group, layers in enumerate(thirds(len(values))):
            heads = values[layers].ravel()
            middle = group + (model - (len(models) - 1) / 2) * width
            color = _LINES[style.theme][model]
            axes.bar(middle, heads.mean(), width * 0.92, color=color, alpha=0.55)
            offsets = np.linspace(-0.3, 0.3, heads.size) * width if heads.size > 1 else np.zeros(1)
            axes.scatter(
                middle + offsets, heads, s=12, color=palette.title, alpha=0.6, linewidths=0
            )
            axes.text(
                middle,
                highest * 0.012,
                f"{heads.mean():.1f}",
                ha="center",
                va="bottom",
                size=NUMBER_SIZE,
                color=palette.title,
                weight="bold",
                zorder=4,
            )
    axes.set_ylim(0, highest)
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1], ["shallow", "deep"])
    axes.grid(axis="x", visible=False)

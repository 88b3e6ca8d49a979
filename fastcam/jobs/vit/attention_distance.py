"""View 5, the mean attention distance: how far each head looks, layer by layer.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 11 (right).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures.panels import titled
from fastcam.options import Style
from fastcam.report.plots import NUMBERS, drawn, frame, ink_of, new_page, shades, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page
    from torch import nn

    from fastcam.attribution.attention.vit_pass import VitPass
    from fastcam.figures.figure import Figure

    Measured = nn.Module | VitPass | NDArray[np.floating]

# Images whose queries and keys are kept at once when a model is run here.
_BATCH = 16
# Colours that people with any colour vision tell apart (Okabe & Ito 2008).
_LINES = {"light": ("#0072b2", "#d55e00"), "dark": ("#56b4e9", "#e69f00")}


def attention_distance(
    model_or_pass: Measured,
    images: Any = None,
    *,
    compare: Measured | None = None,
    labels: tuple[str, str] = ("first", "second"),
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """Mean attention distance in pixels: a dot for each head of each layer, and the layers' means.

    Beside it, as bars, the first third of the layers against the last third; a bar is the mean of
    their heads, its dots are the heads. All images are averaged. Queries are the patches;
    attention is renormalised over the patches.

    ``model_or_pass``: a model, run on ``images`` (as :func:`fastcam.explain` takes them), a pass,
    or distances measured before, (images, layers, heads) in pixels, such as those of
    :func:`distances_of` of several passes put together. ``compare``: a second one, beside the
    first on the same axes, called as ``labels`` say.

    Raises InputError for a model that is no plain Vision Transformer, for missing images, and for
    a second one with other layers.
    """
    style = style or Style()
    found = [_measured(model_or_pass, images)]
    if compare is not None:
        found.append(_second(compare, images, model_or_pass, found[0]))
    page = new_page(12.5 if len(found) == 1 else 15.5, 5.6, style)
    count, layers, _ = found[0].shape
    many = f"mean of {count} images" if count > 1 else "one image"
    note = f"Queries are the patches; attention is renormalised over the patches. {_said(layers)}"
    write_title(page, titled(title, f"mean attention distance, {many}"), note, style)
    spread = page.add_gridspec(
        1, len(found) + 1, left=0.065, right=0.985, top=0.77, bottom=0.115, wspace=0.2,
        width_ratios=[2.2, 1] if len(found) == 1 else [1.7, 1.7, 1],
    )  # fmt: skip
    heads = [one.astype(np.float64).mean(0) for one in found]
    highest = max(float(values.max()) for values in heads) * 1.06 or 1.0
    names = ("every head of every layer",) if len(found) == 1 else labels
    for at, (values, name) in enumerate(zip(heads, names, strict=True)):
        axes = page.add_subplot(spread[0, at])
        _dots(axes, values, name, highest, _LINES[style.theme][at], style)
        if len(found) > 1:
            # The colour of its bars.
            axes.set_title(axes.get_title(loc="left"), loc="left", color=_LINES[style.theme][at])
    _legend(page, style)
    _bars(page.add_subplot(spread[0, -1]), heads, highest, style)
    return drawn(page)


def distances_of(seen: VitPass) -> NDArray[np.float32]:
    """Mean attention distance (images, layers, heads) float32 in pixels of a pass's images."""
    from fastcam.attribution.attention.distance import mean_distances

    found: NDArray[np.float32] = mean_distances(seen).cpu().numpy()
    return found


def _measured(given: Measured, images: Any) -> NDArray[np.floating]:
    from fastcam.attribution.attention.vit_pass import VitPass

    if isinstance(given, VitPass):
        found: NDArray[np.floating] = distances_of(given)
    elif isinstance(given, np.ndarray):
        found = given
    else:
        found = _run(given, images)
    if found.ndim != 3 or not found.size:
        raise InputError(
            f"distances of shape {found.shape} were given: they must be (images, layers, heads)"
        )
    if not np.isfinite(found).all():
        layer, head = np.argwhere(~np.isfinite(found))[0, 1:].tolist()
        raise InputError(
            f"the distance of layer {layer}, head {head} isn't known: none of its patches attends "
            "to a patch, or its attention is not finite"
        )
    return found


def _second(
    compare: Measured, images: Any, model_or_pass: Measured, first: NDArray[np.floating]
) -> NDArray[np.floating]:
    from fastcam.attribution.attention.vit_pass import VitPass
    from fastcam.jobs.vit.subject import pass_on

    if isinstance(model_or_pass, VitPass) and not isinstance(compare, np.ndarray):
        compare = pass_on(compare, model_or_pass)
    second = _measured(compare, images)
    if second.shape[1] != first.shape[1]:
        raise InputError(
            f"compare: the first model has {first.shape[1]} layers of attention, the second "
            f"{second.shape[1]}; compare two checkpoints of one architecture"
        )
    return second


def _run(model: nn.Module, images: Any) -> NDArray[np.float32]:
    """Batch by batch: queries and keys of all images at once could be too much."""
    from fastcam.attribution.attention.vit_pass import run_vit
    from fastcam.inference.device import device_of
    from fastcam.inference.images import load_images, resolve_preprocessing

    if images is None:
        raise InputError("give images with a model, or a pass of run_vit in place of the model")
    batch = load_images(images, resolve_preprocessing(model)).batch
    where = device_of(model)
    parts = [
        distances_of(run_vit(model, batch[start : start + _BATCH].to(where)))
        for start in range(0, len(batch), _BATCH)
    ]
    return np.concatenate(parts)


def thirds(layers: int) -> tuple[slice, slice]:
    """The first and the last third of the layers, at least one layer each."""
    third = max(1, layers // 3)
    return slice(0, third), slice(layers - third, layers)


def _said(layers: int) -> str:
    shallow, deep = (_range(part) for part in thirds(layers))
    return f"Shallow: {shallow}; deep: {deep}."


def _range(part: slice) -> str:
    first, last = part.start, part.stop - 1
    return f"layer {first}" if first == last else f"layers {first} to {last}"


def _dots(
    axes: Axes, values: NDArray[np.float64], name: str, highest: float, line: str, style: Style
) -> None:
    layers, heads = values.shape
    frame(axes, name, style, "layer", "distance in pixels")
    place = np.repeat(np.arange(layers), heads)
    shade = np.tile(np.arange(heads), layers)
    axes.scatter(
        place, values.ravel(), c=shade, cmap=shades(style), s=30, alpha=0.8,
        linewidths=0, zorder=2, label="a head, coloured by its number",
    )  # fmt: skip
    axes.plot(
        values.mean(1), color=line, linewidth=2.2, marker="_", markersize=13, markeredgewidth=2.2,
        zorder=3, label="mean of the layer",
    )  # fmt: skip
    axes.set_ylim(0, highest)
    axes.set_xlim(-0.6, layers - 0.4)
    axes.set_xticks(range(0, layers, -(-layers // 16)))


def _legend(page: Page, style: Style) -> None:
    page.legend(
        *page.axes[0].get_legend_handles_labels(), loc="upper right", bbox_to_anchor=(0.99, 0.98),
        ncols=2, fontsize=NUMBERS + 0.5, labelcolor=ink_of(style).text, frameon=False,
    )  # fmt: skip


def _bars(
    axes: Axes,
    models: Sequence[NDArray[np.float64]],
    highest: float,
    style: Style,
) -> None:
    frame(axes, "shallow and deep layers", style)
    ink = ink_of(style)
    width = 0.7 / len(models)
    for at, values in enumerate(models):
        for group, part in enumerate(thirds(len(values))):
            here = values[part].ravel()
            left = group + (at - (len(models) - 1) / 2) * width
            colour = _LINES[style.theme][at]
            axes.bar(left, here.mean(), width * 0.92, color=colour, alpha=0.55)
            aside = np.linspace(-0.3, 0.3, here.size) * width if here.size > 1 else np.zeros(1)
            axes.scatter(left + aside, here, s=12, color=ink.title, alpha=0.6, linewidths=0)
            axes.text(
                left, highest * 0.012, f"{here.mean():.1f}", ha="center", va="bottom",
                size=NUMBERS, color=ink.title, weight="bold", zorder=4,
            )  # fmt: skip
    axes.set_ylim(0, highest)
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1], ["shallow", "deep"])
    axes.grid(axis="x", visible=False)

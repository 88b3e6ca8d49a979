"""The seven views of many images as files: batches share a forward pass, figures go to disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.attention.vit_pass import VitPass, run_vit
from fastcam.attribution.model_call import ModelCall, called_as, check_arguments
from fastcam.attribution.modules import device_of
from fastcam.errors import InputError
from fastcam.figures.figure import Figure
from fastcam.inference.images import ImageBatch, collate, read_each
from fastcam.jobs.explain.report import FigureReport, image_failure
from fastcam.jobs.vit.all_heads import all_heads
from fastcam.jobs.vit.attention_distance import attention_distance, distances_of
from fastcam.jobs.vit.attention_layers import attention_layers
from fastcam.jobs.vit.attention_rollout import attention_rollout
from fastcam.jobs.vit.cls_evolution import cls_evolution
from fastcam.jobs.vit.patch_grid import patch_grid
from fastcam.jobs.vit.position_embedding import REMEDY, position_embedding
from fastcam.jobs.vit.request import VIEWS, ViewChoice, file_name
from fastcam.jobs.vit.selection import (
    check_fusion,
    check_head,
    layer_of,
    layers_of,
    query_in_picture,
    query_of,
)
from fastcam.jobs.vit.subject import Subject, covered, passes_of
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.run import file_names
from fastcam.run.failures import write_failures
from fastcam.run.files import make_folder
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.records import Failure


def write_views(
    model: nn.Module,
    items: Sequence[Item],
    preprocessing: Preprocessing,
    output_dir: Path,
    choice: ViewChoice,
    compare: nn.Module | None = None,
    *,
    batch_size: int = 16,
    log: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> FigureReport:
    """Run ``model``, and ``compare``, once on each batch of images and write the views.

    One image has all its files right in ``output_dir``. Several have a folder each, and beside
    these are the two views that aren't of an image: the position embedding, and the attention
    distance averaged over all. One batch of images is in memory.

    ``log`` gets a line for a view that this model can't have, unless ``choice`` names it: then, as
    for all wrong choices, InputError is raised before anything is written. An image that can't be
    read, or hasn't the pixel of ``choice.query``, is left out and listed in ``failures.csv``;
    InputError where none is left.
    """
    for each in (model, compare):
        if each is not None:
            check_arguments(each, several=False)
    progress = progress or NoProgress()
    folders = _folders(items, output_dir)
    of_all: list[tuple[Path, Figure]] = []
    distances: list[list[NDArray[np.float32]]] = []
    written: list[Path] = []
    failures: list[Failure] = []
    views: tuple[str, ...] | None = None
    progress.begin("images", len(items))
    try:
        for start in range(0, len(items), batch_size):
            numbers = range(start, min(start + batch_size, len(items)))
            readable, images = _read_batch(items, numbers, preprocessing, failures)
            progress.advance(len(numbers) - len(readable))
            if images is None:
                continue
            passes = _passes(model, compare, images.batch, choice)
            if views is None:
                _check(passes, choice)
                of_all += _position_figures(model, compare, choice, output_dir, log)
                views = _possible_views(passes, choice, log)
            if "attention_distance" in views:
                distances.append([distances_of(vit) for vit in passes])
            for index, number in enumerate(readable):
                image = _Image(items[number], passes, images.pictures, index)
                try:
                    query = _checked_query(choice.query, image, preprocessing)
                except InputError as error:
                    failures.append(image_failure(number, image.item, str(error)))
                else:
                    figures = _image_figures(image, query, views, choice)
                    written += _save(
                        [(folders[number] / file_name(view), figure) for view, figure in figures]
                    )
                progress.advance(1)
    finally:
        progress.end()
    if len(failures) == len(items):
        reason = failures[0].reason
        raise InputError(reason if len(items) == 1 else f"no image can be shown: {reason}")
    if distances:
        title = items[0].id if len(items) == 1 else ""
        figure = _distance_figure(distances, choice, title)
        of_all.append((output_dir / file_name("attention_distance"), figure))
    written += _save(of_all)
    write_failures(output_dir, failures)
    return FigureReport(sorted(written), failures)


@dataclass(frozen=True, eq=False)
class _Image:
    """One image of a batch.

    - ``item``: its file
    - ``passes``: those of the batch, one for each model
    - ``pictures`` (h, w, 1 or 3) uint8: those of the batch
    - ``index``: the image's number in the batch, from 0
    """

    item: Item
    passes: Sequence[VitPass]
    pictures: list[NDArray[np.uint8]]
    index: int


def _read_batch(
    items: Sequence[Item],
    numbers: Sequence[int],
    preprocessing: Preprocessing,
    failures: list[Failure],
) -> tuple[list[int], ImageBatch | None]:
    """Of the numbers of items those that can be read, and their images, None where there are none.

    The others are added to ``failures``.
    """
    read, reasons = read_each([items[number].source for number in numbers], preprocessing)
    failures += [
        image_failure(numbers[index], items[numbers[index]], reason)
        for index, reason in sorted(reasons.items())
    ]
    if not read:
        return [], None
    readable = [numbers[index] for index in read]
    return readable, collate(list(read.values()), tuple(items[number].id for number in readable))


def _checked_query(
    query: int | tuple[int, int] | None, image: _Image, preprocessing: Preprocessing
) -> int | tuple[int, int] | None:
    """The query in the picture that the model sees; InputError where that hasn't got it."""
    query = query_in_picture(query, image.item, preprocessing)
    vit = image.passes[0]
    query_of(query, Subject(vit, 0, covered(image.pictures[image.index], vit)))
    return query


def _passes(
    model: nn.Module, compare: nn.Module | None, batch: Tensor, choice: ViewChoice
) -> tuple[VitPass, ...]:
    vit = _pass(model, batch.to(device_of(model)), choice)
    return passes_of(vit, None if compare is None else _pass(compare, vit.batch, choice))


def _pass(model: nn.Module, batch: Tensor, choice: ViewChoice) -> VitPass:
    with called_as(model, ModelCall(choice.output)):
        return run_vit(model, batch, choice.prefix_tokens)


def _check(passes: Sequence[VitPass], choice: ViewChoice) -> None:
    """What can be wrong with a choice whatever the image, before the first figure is drawn."""
    check_fusion(choice.fusion, choice.discard_ratio)
    layers = layers_of(choice.layers, passes[0])
    for vit in passes:
        check_head(choice.head, vit, layers)


def _position_figures(
    model: nn.Module,
    compare: nn.Module | None,
    choice: ViewChoice,
    folder: Path,
    log: Callable[[str], None],
) -> list[tuple[Path, Figure]]:
    """View 2, if the model has it. ``log`` gets the reason against it; InputError where
    ``choice`` names the view."""
    if choice.views and "position_embedding" not in choice.views:
        return []
    try:
        figure = position_embedding(
            model, compare=compare, labels=choice.labels, style=choice.style
        )
    except InputError as error:
        if choice.views:
            raise
        log(f"no view position_embedding: {str(error).removesuffix(REMEDY)}")
        return []
    return [(folder / file_name("position_embedding"), figure)]


def _possible_views(
    passes: Sequence[VitPass], choice: ViewChoice, log: Callable[[str], None]
) -> tuple[str, ...]:
    """The views to draw; that of the CLS token only where there is one to follow."""
    reason = next((vit.no_cls for vit in passes if vit.cls is None), "")
    if choice.views or not reason:
        return choice.views or VIEWS
    log(f"no view cls_evolution: {reason}")
    return tuple(view for view in VIEWS if view != "cls_evolution")


def _distance_figure(
    batches: Sequence[Sequence[NDArray[np.float32]]], choice: ViewChoice, title: str
) -> Figure:
    """View 5 of all images, from the distances of every batch by every model."""
    first, *second = (np.concatenate(of_model) for of_model in zip(*batches, strict=True))
    return attention_distance(
        first,
        compare=second[0] if second else None,
        labels=choice.labels,
        title=title,
        style=choice.style,
    )


def _image_figures(
    image: _Image,
    query: int | tuple[int, int] | None,
    views: Sequence[str],
    choice: ViewChoice,
) -> list[tuple[str, Figure]]:
    """The ``views`` that are of one image, in the order of :data:`VIEWS`."""
    vit, pictures = image.passes[0], image.pictures
    single: dict[str, Any] = {"index": image.index, "title": image.item.id, "style": choice.style}
    compared = {
        **single,
        "compare": image.passes[1] if len(image.passes) > 1 else None,
        "labels": choice.labels,
    }
    mapped = {
        **compared,
        "pictures": pictures,
        "query": query,
        "interpolation": choice.interpolation,
    }
    layer = layer_of(-1 if choice.layers is None else choice.layers[-1], vit)
    draw: dict[str, Callable[[], Figure]] = {
        "patch_grid": lambda: patch_grid(vit, pictures=pictures, **single),
        "attention_layers": lambda: attention_layers(
            vit, layers=choice.layers, head=choice.head, **mapped
        ),
        "all_heads": lambda: all_heads(vit, layer=layer, **mapped),
        "cls_evolution": lambda: cls_evolution(vit, **compared),
        "attention_rollout": lambda: attention_rollout(
            vit,
            fusion=choice.fusion,
            discard_ratio=choice.discard_ratio,
            start_layer=choice.start_layer,
            **mapped,
        ),
    }
    return [(view, draw[view]()) for view in VIEWS if view in views and view in draw]


def _folders(items: Sequence[Item], output_dir: Path) -> list[Path]:
    if len(items) == 1:
        return [output_dir]
    return [output_dir / name for name in file_names.image_folders([item.id for item in items])]


def _save(figures: Sequence[tuple[Path, Figure]]) -> list[Path]:
    for path, figure in figures:
        make_folder(path.parent)
        figure.save(path)
    return [path for path, _ in figures]

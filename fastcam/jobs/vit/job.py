"""The seven views of many images as files: batches share a forward pass, figures go to disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.attention.vit_pass import VitPass, run_vit
from fastcam.attribution.model_call import ModelCall, called_as, check_arguments
from fastcam.attribution.modules import device_of
from fastcam.errors import InputError
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.view_panels import titled
from fastcam.inference.images import ImageBatch, collate, read_each
from fastcam.jobs.explain.report import FigureReport, image_failure
from fastcam.jobs.render.gallery import PAGE, check_page
from fastcam.jobs.render.picture_page import PictureGroup, write_picture_page
from fastcam.jobs.vit.attention_distance import attention_distance, distances_of
from fastcam.jobs.vit.item import BatchImage, checked_query, image_figures
from fastcam.jobs.vit.plan import ViewPlan, image_folders, plan_views
from fastcam.jobs.vit.request import ViewChoice, file_name
from fastcam.jobs.vit.subject import passes_of
from fastcam.models.random_weights import has_random_weights
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocessing import Preprocessing
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
    check_page(output_dir / PAGE)
    progress = progress or NoProgress()
    folders = image_folders(items, output_dir)
    remark = _random_remark((model, compare), choice.labels)
    plan: ViewPlan | None = None
    distances: list[list[NDArray[np.float32]]] = []
    paths: list[Path] = []
    groups: list[PictureGroup] = []
    failures: list[Failure] = []
    progress.begin("images", len(items))
    try:
        for start in range(0, len(items), batch_size):
            numbers = range(start, min(start + batch_size, len(items)))
            readable, images = _read_batch(items, numbers, preprocessing, failures)
            progress.advance(len(numbers) - len(readable))
            if images is None:
                continue
            passes = _passes(model, compare, images.batch, choice)
            if plan is None:
                plan = plan_views(model, compare, passes, choice, log, remark)
            if "attention_distance" in plan.views:
                distances.append([distances_of(vit) for vit in passes])
            for index, number in enumerate(readable):
                image = BatchImage(items[number], passes, images.pictures, index, remark)
                try:
                    query = checked_query(choice.query, image, preprocessing)
                except InputError as error:
                    failures.append(image_failure(number, image.item, str(error)))
                else:
                    figures = image_figures(image, query, plan.views, choice)
                    saved = _save(folders[number], figures, choice.style.format)
                    groups.append(_group(items[number].id, saved, output_dir))
                    paths += saved
                progress.advance(1)
    finally:
        progress.end()
    if plan is None or len(failures) == len(items):
        reason = failures[0].reason
        raise InputError(reason if len(items) == 1 else f"no image can be shown: {reason}")
    title = titled(items[0].id if len(items) == 1 else "", remark)
    common = _common_figures(plan, distances, choice, title)
    saved = _save(output_dir, common, choice.style.format)
    shared = "all images" if len(items) > 1 else "of the model"
    groups.append(_group(shared, saved, output_dir, of_case=False))
    paths += saved
    write_failures(output_dir, failures)
    write_picture_page(
        output_dir, "Vision Transformer", groups, failures=failures, random_weights=remark
    )
    return FigureReport(sorted(paths), failures)


def _group(
    name: str, paths: Sequence[Path], output_dir: Path, of_case: bool = True
) -> PictureGroup:
    relative = [path.relative_to(output_dir).as_posix() for path in paths]
    return PictureGroup(name, "", None, relative, of_case)


def _random_remark(models: Sequence[nn.Module | None], labels: Sequence[str]) -> str:
    """Which models have random weights, for the titles of figures; empty for none."""
    random = [model is not None and has_random_weights(model) for model in models]
    if not any(random):
        return ""
    names = [label for label, own in zip(labels, random, strict=True) if own]
    one = models[1] is None or all(random)
    return "random weights" if one else f"random weights of {', '.join(names)}"


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


def _passes(
    model: nn.Module, compare: nn.Module | None, batch: Tensor, choice: ViewChoice
) -> tuple[VitPass, ...]:
    vit = _pass(model, batch.to(device_of(model)), choice)
    return passes_of(vit, None if compare is None else _pass(compare, vit.batch, choice))


def _pass(model: nn.Module, batch: Tensor, choice: ViewChoice) -> VitPass:
    with called_as(model, ModelCall(choice.output)):
        return run_vit(model, batch, choice.prefix_tokens)


def _common_figures(
    plan: ViewPlan,
    distances: Sequence[Sequence[NDArray[np.float32]]],
    choice: ViewChoice,
    title: str,
) -> list[tuple[str, Figure]]:
    """The views that aren't of one image: 2, and 5 from the ``distances`` of every batch by every
    model."""
    figures = [] if plan.position is None else [("position_embedding", plan.position)]
    if distances:
        first, *second = (np.concatenate(of_model) for of_model in zip(*distances, strict=True))
        figure = attention_distance(
            first,
            compare=second[0] if second else None,
            labels=choice.labels,
            title=title,
            style=choice.style,
        )
        figures.append(("attention_distance", figure))
    return figures


def _save(folder: Path, figures: Sequence[tuple[str, Figure]], suffix: str) -> list[Path]:
    """The paths of the figures, each with the name of its view, once they are in ``folder``."""
    paths = [folder / file_name(view, suffix) for view, _ in figures]
    for path, (_, figure) in zip(paths, figures, strict=True):
        make_folder(folder)
        figure.save(path)
    return paths

"""The seven views of many images as files: batches share a forward pass, figures go to disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.inference.images import ImageBatch, read_each, collate
from fastcam.jobs.vit.all_heads import all_heads
from fastcam.jobs.vit.attention_distance import attention_distance, distances_of
from fastcam.jobs.vit.attention_layers import attention_layers
from fastcam.jobs.vit.attention_rollout import attention_rollout
from fastcam.jobs.vit.cls_evolution import cls_evolution
from fastcam.jobs.vit.file_pixels import in_picture
from fastcam.jobs.vit.patch_grid import patch_grid
from fastcam.jobs.vit.position_embedding import REMEDY, position_embedding
from fastcam.jobs.vit.request import VIEWS, ViewChoice, file_name
from fastcam.jobs.vit.selection import check_fusion, check_head, layer_of, layers_of, query_of
from fastcam.jobs.vit.subject import Subject, covered, pass_on
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocess import Preprocessing
from fastcam.run import file_names
from fastcam.run.files import make_folder
from fastcam.run.folder import FAILURES, write_failures
from fastcam.run.progress import Progress, Silent
from fastcam.run.records import Failure

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.attention.vit_pass import VitPass
    from fastcam.figures.figure import Figure


@dataclass(frozen=True)
class Written:
    """``figures`` that were written, and images that failed."""

    figures: list[Path]
    failures: list[Failure]


def write_views(
    model: nn.Module,
    items: Sequence[Item],
    spec: Preprocessing,
    output_dir: Path,
    choice: ViewChoice,
    compare: nn.Module | None = None,
    *,
    batch_size: int = 16,
    told: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> Written:
    """Run ``model``, and ``compare``, once on each batch of images and write the views.

    One image has all its files right in ``output_dir``; several have a folder each, and beside
    these the two views that aren't of an image: the position embedding, and the attention distance
    averaged over all. One batch of images is in memory. ``told`` is given what can't be shown of
    this model, unless it was asked for: then, as for all wrong choices, InputError is raised before
    anything is written. An image that can't be read, or hasn't the pixel of ``choice.query``, is
    left out and listed in ``failures.csv``; InputError where none is left.
    """
    progress = progress or Silent()
    folders = _folders(items, output_dir)
    of_all: list[tuple[Path, Figure]] = []
    distances: list[list[NDArray[np.float32]]] = []
    written: list[Path] = []
    failures: list[Failure] = []
    views: tuple[str, ...] | None = None
    progress.begin("images", len(items))
    try:
        for start in range(0, len(items), batch_size):
            places, shown = _read(items, range(start, start + batch_size), spec, failures)
            progress.advance(min(batch_size, len(items) - start) - len(places))
            if shown is None:
                continue
            passes = _passes(model, compare, shown.batch, choice.prefix_tokens)
            if views is None:
                _check(passes, choice)
                of_all += _positions(model, compare, choice, output_dir, told)
                views = _possible(passes, choice, told)
            if "attention_distance" in views:
                distances.append([distances_of(vit) for vit in passes])
            for index, at in enumerate(places):
                picture = shown.pictures[index]
                try:
                    query = _query(choice.query, items[at], spec, passes[0], picture)
                except InputError as error:
                    failures.append(_trouble(at, items[at], str(error)))
                else:
                    name, pictures = items[at].id, shown.pictures
                    figures = _of_image(passes, views, choice, name, pictures, index, query)
                    files = [(folders[at] / file_name(view), made) for view, made in figures]
                    written += _save(files)
                progress.advance(1)
    finally:
        progress.end()
    if len(failures) == len(items):
        first = failures[0].reason
        raise InputError(first if len(items) == 1 else f"no image can be shown: {first}")
    if distances:
        title = items[0].id if len(items) == 1 else ""
        of_all.append(
            (output_dir / file_name("attention_distance"), _distance(distances, choice, title))
        )
    written += _save(of_all)
    write_failures(output_dir / FAILURES, failures)
    return Written(sorted(written), failures)


def _read(
    items: Sequence[Item], batch: range, spec: Preprocessing, failures: list[Failure]
) -> tuple[list[int], ImageBatch | None]:
    """Of a batch of places those that can be read, and what was read, None for nothing; the others
    are troubles."""
    part = [at for at in batch if at < len(items)]
    read, failed = read_each([items[at].source for at in part], spec)
    failures += [
        _trouble(part[index], items[part[index]], why) for index, why in sorted(failed.items())
    ]
    if not read:
        return [], None
    places = [part[index] for index in read]
    return places, collate(list(read.values()), tuple(items[at].id for at in places))


def _trouble(at: int, item: Item, reason: str) -> Failure:
    return Failure("error", at + 1, item.id, None, 1, reason)


def _query(
    asked: int | tuple[int, int] | None,
    item: Item,
    spec: Preprocessing,
    vit: VitPass,
    picture: NDArray[np.uint8],
) -> int | tuple[int, int] | None:
    """The query in the picture that the model sees; InputError where that hasn't got it."""
    query = in_picture(asked, item, spec)
    query_of(query, Subject(vit, 0, covered(picture, vit)))
    return query


def _passes(
    model: nn.Module, compare: nn.Module | None, batch: Any, prefix_tokens: int | None
) -> list[VitPass]:
    from fastcam.attribution.attention.vit_pass import run_vit
    from fastcam.inference.device import device_of

    first = run_vit(model, batch.to(device_of(model)), prefix_tokens)
    if compare is None:
        return [first]
    return [first, pass_on(run_vit(compare, first.batch, prefix_tokens), first)]


def _check(passes: Sequence[VitPass], choice: ViewChoice) -> None:
    """What can be wrong with a choice whatever the image, before the first figure is drawn."""
    check_fusion(choice.fusion, choice.discard_ratio)
    layers = layers_of(choice.layers, passes[0])
    for vit in passes:
        check_head(choice.head, vit, layers)


def _positions(
    model: nn.Module,
    compare: nn.Module | None,
    choice: ViewChoice,
    folder: Path,
    told: Callable[[str], None],
) -> list[tuple[Path, Figure]]:
    """View 2; where the model can't have it, and it wasn't asked for, that is told."""
    if choice.views and "position_embedding" not in choice.views:
        return []
    try:
        figure = position_embedding(
            model, compare=compare, labels=choice.labels, style=choice.style
        )
    except InputError as error:
        if choice.views:
            raise
        told(f"no view position_embedding: {str(error).removesuffix(REMEDY)}")
        return []
    return [(folder / file_name("position_embedding"), figure)]


def _possible(
    passes: Sequence[VitPass], choice: ViewChoice, told: Callable[[str], None]
) -> tuple[str, ...]:
    """The views to draw; that of the CLS token only where there is one to follow."""
    why = next((vit.no_cls for vit in passes if vit.cls is None), "")
    if choice.views or not why:
        return choice.views or VIEWS
    told(f"no view cls_evolution: {why}")
    return tuple(view for view in VIEWS if view != "cls_evolution")


def _distance(
    parts: Sequence[Sequence[NDArray[np.float32]]], choice: ViewChoice, title: str
) -> Figure:
    """View 5 of all images; ``parts``: of every batch those of each model."""
    first, *second = (np.concatenate(each) for each in zip(*parts, strict=True))
    return attention_distance(
        first, compare=second[0] if second else None, labels=choice.labels, title=title,
        style=choice.style,
    )  # fmt: skip


def _of_image(
    passes: Sequence[VitPass],
    views: Sequence[str],
    choice: ViewChoice,
    name: str,
    pictures: list[NDArray[np.uint8]],
    index: int,
    query: int | tuple[int, int] | None,
) -> list[tuple[str, Figure]]:
    vit = passes[0]
    plain: dict[str, Any] = {"index": index, "title": name, "style": choice.style}
    both = {**plain, "compare": passes[1] if len(passes) > 1 else None, "labels": choice.labels}
    maps = {
        **both, "pictures": pictures, "query": query, "interpolation": choice.interpolation
    }  # fmt: skip
    layer = layer_of(-1 if choice.layers is None else choice.layers[-1], vit)
    drawing: dict[str, Callable[[], Figure]] = {
        "patch_grid": lambda: patch_grid(vit, pictures=pictures, **plain),
        "attention_layers": lambda: attention_layers(
            vit, layers=choice.layers, head=choice.head, **maps
        ),
        "all_heads": lambda: all_heads(vit, layer=layer, **maps),
        "cls_evolution": lambda: cls_evolution(vit, **both),
        "attention_rollout": lambda: attention_rollout(
            vit, fusion=choice.fusion, discard_ratio=choice.discard_ratio,
            start_layer=choice.start_layer, **maps,
        ),
    }  # fmt: skip
    return [(view, drawing[view]()) for view in VIEWS if view in views and view in drawing]


def _folders(items: Sequence[Item], output_dir: Path) -> list[Path]:
    if len(items) == 1:
        return [output_dir]
    return [output_dir / name for name in file_names.image_folders([item.id for item in items])]


def _save(figures: Sequence[tuple[Path, Figure]]) -> list[Path]:
    for path, figure in figures:
        make_folder(path.parent)
        figure.save(path)
    return [path for path, _ in figures]

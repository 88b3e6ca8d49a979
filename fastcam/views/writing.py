"""The seven views of many images as files: batches share a forward pass, figures go to disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam import names
from fastcam.errors import InputError
from fastcam.gathering import Shown, gather
from fastcam.progress import Progress, Silent
from fastcam.read.inputs import Item
from fastcam.read.preprocess import Preprocessing
from fastcam.views.choice import check_fusion, check_head, layer_of, layers_of, query_of
from fastcam.views.chosen import VIEWS, ViewChoice, file_name
from fastcam.views.clstrack import cls_evolution
from fastcam.views.distances import attention_distance, distances_of
from fastcam.views.filesizes import in_picture
from fastcam.views.heads import all_heads
from fastcam.views.layers import attention_layers
from fastcam.views.patchgrid import patch_grid
from fastcam.views.positions import REMEDY, position_embedding
from fastcam.views.rolled import attention_rollout
from fastcam.views.subject import Subject, covered, pass_on
from fastcam.write import make_folder

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.vitpass import VitPass
    from fastcam.inline import Figure


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
) -> list[Path]:
    """Run ``model``, and ``compare``, once on each batch of images and write the views; the files.

    One image has all its files right in ``output_dir``; several have a folder each, and beside
    these the two views that aren't of an image: the position embedding, and the attention distance
    averaged over all. ``told`` is given what can't be shown of this model, unless it was asked for:
    then, as for all wrong choices, InputError is raised before anything is written.
    """
    progress = progress or Silent()
    shown = gather([item.source for item in items], spec)
    queries = [in_picture(choice.query, item, spec) for item in items]
    folders = _folders(items, output_dir)
    together: list[tuple[Path, Figure]] = []
    distances: list[list[NDArray[np.float32]]] = []
    written: list[Path] = []
    progress.begin("images", len(items))
    try:
        for start in range(0, len(items), batch_size):
            part = slice(start, start + batch_size)
            passes = _passes(model, compare, shown.batch[part], choice.prefix_tokens)
            if not start:
                _check(passes, choice, shown, queries)
                together += _positions(model, compare, choice, output_dir, told)
                views = _possible(passes, choice, told)
            if "attention_distance" in views:
                distances.append([distances_of(vit) for vit in passes])
            for index, item in enumerate(items[part]):
                at = start + index
                figures = _of_image(
                    passes, views, choice, item.id, shown.pictures[part], index, queries[at]
                )
                written += _save([(folders[at] / file_name(view), made) for view, made in figures])
                progress.advance(1)
    finally:
        progress.end()
    if distances:
        title = items[0].id if len(items) == 1 else ""
        together.append(
            (output_dir / file_name("attention_distance"), _distance(distances, choice, title))
        )
    return sorted(written + _save(together))


def _passes(
    model: nn.Module, compare: nn.Module | None, batch: Any, prefix_tokens: int | None
) -> list[VitPass]:
    from fastcam.attribution.vitpass import run_vit
    from fastcam.inference.device import device_of

    first = run_vit(model, batch.to(device_of(model)), prefix_tokens)
    if compare is None:
        return [first]
    return [first, pass_on(run_vit(compare, first.batch, prefix_tokens), first)]


def _check(
    passes: Sequence[VitPass],
    choice: ViewChoice,
    shown: Shown,
    queries: Sequence[int | tuple[int, int] | None],
) -> None:
    """Everything that can be wrong with a choice, before the first figure is drawn."""
    check_fusion(choice.fusion, choice.discard_ratio)
    layers = layers_of(choice.layers, passes[0])
    for vit in passes:
        check_head(choice.head, vit, layers)
    for picture, query in zip(shown.pictures, queries, strict=True):
        query_of(query, Subject(passes[0], 0, covered(picture, passes[0])))


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
    return [output_dir / name for name in names.image_folders([item.id for item in items])]


def _save(figures: Sequence[tuple[Path, Figure]]) -> list[Path]:
    for path, figure in figures:
        make_folder(path.parent)
        figure.save(path)
    return [path for path, _ in figures]

"""The seven views of many images as files: batches share a forward pass, figures go to disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam import names
from fastcam.errors import InputError
from fastcam.explaining import Shown, gather
from fastcam.read.inputs import Item
from fastcam.read.preprocess import Preprocessing, region
from fastcam.spec import Style
from fastcam.views.choice import Head, check_head, layer_of, layers_of, query_of
from fastcam.views.clstrack import cls_evolution
from fastcam.views.distances import attention_distance, distances_of
from fastcam.views.heads import all_heads
from fastcam.views.layers import attention_layers
from fastcam.views.panels import Interpolation
from fastcam.views.patchgrid import patch_grid
from fastcam.views.positions import position_embedding
from fastcam.views.rolled import attention_rollout
from fastcam.views.subject import Subject, covered, pass_on
from fastcam.write import make_folder

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.vitpass import VitPass
    from fastcam.inline import Figure

VIEWS = (
    "patch_grid",
    "position_embedding",
    "attention_layers",
    "all_heads",
    "attention_distance",
    "cls_evolution",
    "attention_rollout",
)


@dataclass(frozen=True)
class ViewChoice:
    """What is drawn. ``views``: names of :data:`VIEWS`, empty for all that the model has; the other
    fields as in :func:`fastcam.views.attention_layers`. ``query`` (x, y): a pixel of the file.
    ``all_heads`` shows the last of ``layers``."""

    views: tuple[str, ...] = ()
    layers: tuple[int, ...] | None = None
    head: Head = "mean"
    query: int | tuple[int, int] | None = None
    interpolation: Interpolation = "bilinear"
    labels: tuple[str, str] = ("first", "second")
    style: Style = field(default_factory=Style)


def view_name(text: str) -> str:
    """A view by its name or its number, 1 to 7. InputError for another one."""
    if text.isdecimal() and 1 <= int(text) <= len(VIEWS):
        return VIEWS[int(text) - 1]
    if text in VIEWS:
        return text
    offer = ", ".join(f"{at} {view}" for at, view in enumerate(VIEWS, 1))
    raise InputError(f"--view {text!r} is not known: use a number or name of {offer}")


def file_name(view: str) -> str:
    """``vis_1_patch_grid.png`` and so on."""
    return f"vis_{VIEWS.index(view) + 1}_{view}.png"


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
) -> list[Path]:
    """Run ``model``, and ``compare``, once on each batch of images and write the views; the files.

    One image has all its files right in ``output_dir``; several have a folder each, and beside
    these the two views that aren't of an image: the position embedding, and the attention distance
    averaged over all. ``told`` is given what can't be shown of this model, unless it was asked for:
    then, as for all wrong choices, InputError is raised before anything is written.
    """
    shown = gather([item.source for item in items], spec)
    queries = [_in_picture(choice.query, item, spec) for item in items]
    folders = _folders(items, output_dir)
    left_out: dict[str, str] = {}
    together: list[tuple[Path, Figure]] = []
    distances: list[list[NDArray[np.float32]]] = []
    written: list[Path] = []
    for start in range(0, len(items), batch_size):
        part = slice(start, start + batch_size)
        passes = _passes(model, compare, shown.batch[part])
        if not start:
            _check(passes, choice, shown, queries)
            if "position_embedding" in (choice.views or VIEWS):
                together += _positions(model, compare, choice, output_dir, left_out)
            views = _possible(passes, choice, left_out)
            for why in left_out.values():
                told(why)
        if "attention_distance" in views:
            distances.append([distances_of(vit) for vit in passes])
        for index, item in enumerate(items[part]):
            at = start + index
            made = [
                (folders[at] / file_name(view), figure)
                for view, figure in _of_image(
                    passes, views, choice, item.id, shown.pictures[part], index, queries[at]
                )
            ]
            written += _save(made)
    if distances:
        joined = [np.concatenate(each) for each in zip(*distances, strict=True)]
        title = items[0].id if len(items) == 1 else ""
        figure = attention_distance(
            joined[0], compare=joined[1] if compare else None, labels=choice.labels, title=title,
            style=choice.style,
        )  # fmt: skip
        together.append((output_dir / file_name("attention_distance"), figure))
    return sorted(written + _save(together))


def _passes(model: nn.Module, compare: nn.Module | None, batch: Any) -> list[VitPass]:
    from fastcam.attribution.vitpass import run_vit

    where = next(model.parameters()).device
    first = run_vit(model, batch.to(where))
    return [first] if compare is None else [first, pass_on(compare, first)]


def _check(
    passes: Sequence[VitPass],
    choice: ViewChoice,
    shown: Shown,
    queries: Sequence[int | tuple[int, int] | None],
) -> None:
    """Everything that can be wrong with a choice, before the first figure is drawn."""
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
    left_out: dict[str, str],
) -> list[tuple[Path, Figure]]:
    try:
        figure = position_embedding(
            model, compare=compare, labels=choice.labels, style=choice.style
        )
    except InputError as error:
        if choice.views:
            raise
        left_out["position_embedding"] = str(error)
        return []
    return [(folder / file_name("position_embedding"), figure)]


def _possible(
    passes: Sequence[VitPass], choice: ViewChoice, left_out: dict[str, str]
) -> tuple[str, ...]:
    """The views to draw; those of the CLS token only where there is one to follow."""
    if choice.views:
        return choice.views
    for vit in passes:
        if vit.cls is None:
            left_out["cls_evolution"] = f"no view cls_evolution: {vit.no_cls}"
    return tuple(view for view in VIEWS if view not in left_out)


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
        "attention_rollout": lambda: attention_rollout(vit, **maps),
    }
    return [(view, drawing[view]()) for view in VIEWS if view in views and view in drawing]


def _in_picture(
    query: int | tuple[int, int] | None, item: Item, spec: Preprocessing
) -> int | tuple[int, int] | None:
    """A pixel of the file as one of the picture, which is the part that the model sees."""
    if not isinstance(query, tuple) or spec.fit != "crop":
        return query
    from fastcam.read.pictures import opened

    with opened(item.source) as image:
        width, height = image.size
    x1, y1, x2, y2 = region(height, width, spec)
    x, y = query
    if not (x1 <= x < x2 and y1 <= y < y2):
        raise InputError(
            f"--query {x},{y}: of {item.source} the model sees x from {x1} to {x2 - 1} and y from "
            f"{y1} to {y2 - 1}; choose a pixel there, or --fit stretch"
        )
    return x - x1, y - y1


def _folders(items: Sequence[Item], output_dir: Path) -> list[Path]:
    if len(items) == 1:
        return [output_dir]
    found = [names.safe(item.id) for item in items]
    if len(set(map(str.casefold, found))) < len(found):
        found = [f"{place:03d}_{name}" for place, name in enumerate(found, 1)]
    return [output_dir / name for name in found]


def _save(figures: Sequence[tuple[Path, Figure]]) -> list[Path]:
    for path, figure in figures:
        make_folder(path.parent)
        figure.save(path)
    return [path for path, _ in figures]

"""One image of a batch: the views that are of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.view_panels import titled
from fastcam.jobs.vit.attention_views import (
    all_heads,
    attention_layers,
    attention_rollout,
    patch_grid,
)
from fastcam.jobs.vit.cls_evolution import cls_evolution
from fastcam.jobs.vit.request import VIEWS, ViewChoice
from fastcam.jobs.vit.selection import layer_of, query_in_picture, query_of
from fastcam.jobs.vit.subject import Subject, covered
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class BatchImage:
    """One image of a batch.

    - ``item``: its file
    - ``passes``: those of the batch, one for each model
    - ``pictures`` (h, w, 1 or 3) uint8: those of the batch
    - ``index``: the image's number in the batch, from 0
    - ``remark``: what titles say beside the image's name
    """

    item: Item
    passes: Sequence[VitPass]
    pictures: list[NDArray[np.uint8]]
    index: int
    remark: str = ""


def checked_query(
    query: int | tuple[int, int] | None, image: BatchImage, preprocessing: Preprocessing
) -> int | tuple[int, int] | None:
    """The query in the picture that the model sees; InputError where that hasn't got it."""
    query = query_in_picture(query, image.item, preprocessing)
    vit = image.passes[0]
    query_of(query, Subject(vit, 0, covered(image.pictures[image.index], vit)))
    return query


def image_figures(
    image: BatchImage,
    query: int | tuple[int, int] | None,
    views: Sequence[str],
    choice: ViewChoice,
) -> list[tuple[str, Figure]]:
    """The ``views`` that are of one image, in the order of :data:`VIEWS`."""
    vit, pictures = image.passes[0], image.pictures
    single: dict[str, Any] = {"index": image.index, "title": titled(image.item.id, image.remark)}
    single["style"] = choice.style
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

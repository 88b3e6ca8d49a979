"""Which layers, heads and queries a view has, checked against the model and the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.errors import InputError
from fastcam.jobs.explain.request import cell_of
from fastcam.jobs.explain.results import Head
from fastcam.jobs.vit.subject import Subject
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocessing import Preprocessing, input_region
from fastcam.read.volumes.pictures import open_picture


@dataclass(frozen=True)
class Query:
    """The token whose attention is drawn.

    - ``token``: its number among all tokens, from 0; None is the mean over all patches
    - ``patch``: (row, column) of a chosen patch on the grid; None where none was chosen
    - ``label``: what a title calls it
    """

    token: int | None
    patch: tuple[int, int] | None
    label: str


def layers_of(layers: Sequence[int] | None, vit: VitPass) -> tuple[int, ...]:
    """Numbers of layers, from 0; negative ones count from the end.

    None is four of them from the first to the last: 0, 3, 6 and 11 of twelve. InputError for a
    layer out of range, and for none at all.
    """
    count = len(vit.layers)
    if layers is None:
        return tuple(dict.fromkeys((0, count // 4, count // 2, count - 1)))
    if not len(layers):
        raise InputError(f"--layers names no layer: use 0 to {count - 1}")
    return tuple(layer_of(layer, vit) for layer in layers)


def layer_of(layer: int, vit: VitPass) -> int:
    """The number of one layer, from 0. InputError where it is out of range."""
    count = len(vit.layers)
    if not -count <= layer < count:
        raise InputError(
            f"--layers {layer}: the model has {count} layers of attention; use 0 to {count - 1}"
        )
    return layer % count


def check_head(head: Head, vit: VitPass, layers: Sequence[int]) -> None:
    """InputError for a head that one of the layers hasn't."""
    if head == "mean":
        return
    for layer in layers:
        count = vit.layers[layer].attention.shape[1]
        if not isinstance(head, int) or not 0 <= head < count:
            raise InputError(
                f"--head {head}: layer {layer} has {count} heads; use 0 to {count - 1}, or mean"
            )


def query_of(query: int | tuple[int, int] | None, subject: Subject) -> Query:
    """The token by its patch's number, by a pixel (x, y) of the picture, or CLS for None.

    Patches are numbered as :func:`fastcam.views.patch_grid` numbers them. None is the mean over
    all patches where the answer isn't read from CLS. InputError where the query lies outside.
    """
    vit = subject.vit
    rows, columns = vit.grid
    if query is None:
        if vit.query == "cls":
            return Query(0, None, "CLS")
        reason = "no CLS token" if not vit.prefix else "the head doesn't read CLS"
        return Query(None, None, f"all patches, mean over queries ({reason})")
    if isinstance(query, int):
        if not 0 <= query < rows * columns:
            raise InputError(
                f"--query {query}: there are {rows * columns} patches; use 0 to "
                f"{rows * columns - 1}, or pixels X,Y"
            )
        row, column = divmod(query, columns)
    else:
        row, column = cell_of(query, subject.picture.shape[:2], vit.grid)
    number = row * columns + column
    label = f"patch {number} (row {row}, column {column})"
    return Query(vit.prefix + number, (row, column), label)


def check_fusion(fusion: str, discard_ratio: float) -> None:
    """InputError for a way to fuse heads, or a share to leave out, that rollout doesn't have."""
    if fusion not in ("mean", "max", "min"):
        raise InputError(f"--fusion {fusion!r} is not known: use mean, max, min")
    if not 0.0 <= discard_ratio < 1.0:
        raise InputError(f"--discard-ratio {discard_ratio}: must be 0 or more, below 1")


def check_sizes(items: Sequence[Item], preprocessing: Preprocessing) -> None:
    """InputError for the first file that hasn't the size at which the model sees images."""
    for item in items:
        height, width = _size_of(item)
        if (height, width) != preprocessing.size:
            raise InputError(
                f"{item.source} is {width}x{height} pixels, and the model sees "
                f"{preprocessing.size[1]}x{preprocessing.size[0]}: --fit exact refuses it; use "
                "--fit stretch or crop, or another --image-size"
            )


def query_in_picture(
    query: int | tuple[int, int] | None, item: Item, preprocessing: Preprocessing
) -> int | tuple[int, int] | None:
    """A pixel of the file as one of the picture, which is the part that the model sees."""
    if not isinstance(query, tuple) or preprocessing.fit != "crop":
        return query
    x1, y1, x2, y2 = input_region(*_size_of(item), preprocessing)
    x, y = query
    if not (x1 <= x < x2 and y1 <= y < y2):
        raise InputError(
            f"--query {x},{y}: of {item.source} the model sees x from {x1} to {x2 - 1} and y from "
            f"{y1} to {y2 - 1}; choose a pixel there, or --fit stretch"
        )
    return x - x1, y - y1


def _size_of(item: Item) -> tuple[int, int]:
    """(height, width) of a file in pixels."""
    with open_picture(item.source) as image:
        width, height = image.size
    return height, width

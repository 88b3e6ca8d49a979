"""Image files beside what the model sees of them: their sizes, and where a pixel of theirs lies."""

from __future__ import annotations

from collections.abc import Sequence

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocess import Preprocessing, region


def check_sizes(items: Sequence[Item], spec: Preprocessing) -> None:
    """InputError for the first file that hasn't the size at which the model sees images."""
    for item in items:
        height, width = _size_of(item)
        if (height, width) != spec.size:
            raise InputError(
                f"{item.source} is {width}x{height} pixels, and the model sees "
                f"{spec.size[1]}x{spec.size[0]}: --fit exact refuses it; use --fit stretch or "
                "crop, or another --image-size"
            )


def in_picture(
    query: int | tuple[int, int] | None, item: Item, spec: Preprocessing
) -> int | tuple[int, int] | None:
    """A pixel of the file as one of the picture, which is the part that the model sees."""
    if not isinstance(query, tuple) or spec.fit != "crop":
        return query
    x1, y1, x2, y2 = region(*_size_of(item), spec)
    x, y = query
    if not (x1 <= x < x2 and y1 <= y < y2):
        raise InputError(
            f"--query {x},{y}: of {item.source} the model sees x from {x1} to {x2 - 1} and y from "
            f"{y1} to {y2 - 1}; choose a pixel there, or --fit stretch"
        )
    return x - x1, y - y1


def _size_of(item: Item) -> tuple[int, int]:
    """(height, width) in pixels."""
    from fastcam.read.volumes.pictures import opened

    with opened(item.source) as image:
        width, height = image.size
    return height, width

"""What a model says beside its maps, drawn on the picture: a segmentation, a detector's boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.box_outlines import with_boxes
from fastcam.figures.contours import outlined
from fastcam.figures.map_figure import MapPicture
from fastcam.jobs.render.maps.image import OpenImage
from fastcam.store.map_rows import segment_labels
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore


def with_outlines(
    image: OpenImage,
    header: MapHeader,
    store: MapStore,
    index: int,
    labels: NDArray[np.int32] | None,
) -> MapPicture:
    """The picture of slice ``index`` of ``image``, of a segmentation with the outlines of the
    classes that are explained, of a detector with the boxes.

    ``labels`` (h, w) or (d, h, w): the class predicted of every pixel; None of all else.
    """
    picture, display = image.cut(index), image.display
    if len(header.boxes):
        size = store.attrs.preprocessing["size"]
        return replace(
            picture, image=with_boxes(picture.image, header.boxes, size, turn=display.apply)
        )
    classes = segment_labels(store)
    if labels is None or not classes:
        return picture
    plane = labels if labels.ndim == 2 else label_plane(labels, header, index)
    plane = np.ascontiguousarray(display.apply(plane))
    note = ", ".join(filter(None, [picture.note, "prediction outlined"]))
    return replace(picture, image=outlined(picture.image, plane, classes), note=note)


def label_plane(labels: NDArray[np.int32], header: MapHeader, index: int) -> NDArray[np.int32]:
    """What (h, w) of a volume's labels (d, h, w) lies on slice ``index``: the nearest."""
    if header.slices is not None:
        row = header.slices.row(index)
        return labels[row] if row is not None else np.full(labels.shape[1:], -1, np.int32)
    plane: NDArray[np.int32] = labels[min(index * len(labels) // header.shape[0], len(labels) - 1)]
    return plane

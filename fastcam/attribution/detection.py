"""Targets of detectors: what a model says of boxes, and which of their scores are explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastcam.attribution.box_target import NO_BOX, BoxTarget

_NAMES = ("boxes", "scores", "labels")
# What is said where no box is named.
NEEDS_BOX = (
    "the model is a detector, which answers with boxes, scores and labels: give --target box:best, "
    "the score of the best box, box:N of the N-th, or box:label:CLASS"
)


@dataclass(frozen=True)
class DetectionTargets:
    """The boxes of every image whose scores are explained, one or several."""

    targets: tuple[BoxTarget, ...]

    def __getitem__(self, rows: slice) -> DetectionTargets:
        """The same for some rows of a batch."""
        return self


@dataclass(frozen=True, eq=False)
class Detections:
    """The boxes of one image.

    - ``boxes`` (m, 4): x1, y1, x2, y2 in pixels of the model's input
    - ``scores`` (m,), in the model's graph
    - ``labels`` (m,) int64, their classes
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def places(self, target: BoxTarget) -> Tensor:
        """The rows (r,) int64 that ``target`` can mean, by falling score."""
        order = self.scores.detach().argsort(descending=True, stable=True)
        if target.label is not None:
            order = order[self.labels[order] == target.label]
        return order[target.rank - 1 :]


def detections_in(returned: Any, count: int | None = None) -> list[Detections] | None:
    """The boxes of each of ``count`` images in what a model returned; None where it is no detector.

    A detector returns one mapping, dataclass or named tuple with ``boxes``, ``scores`` and
    ``labels`` for each image (torchvision), or one with a row, or a tensor, for each image; this
    may stand within a tuple, beside losses and the like.
    """
    if isinstance(returned, Tensor | str) or returned is None:
        return None
    parts = _named(returned)
    if parts is not None:
        return _of_batch(parts, count)
    if not isinstance(returned, list | tuple) or not returned:
        return None
    images = [_named(entry) for entry in returned]
    if count in (None, len(images)) and all(image is not None for image in images):
        detections = [_of_image(image) for image in images if image is not None]
        if all(of_image is not None for of_image in detections):
            return [of_image for of_image in detections if of_image is not None]
    inner = (
        detections_in(entry, count) for entry in returned if isinstance(entry, list | tuple | dict)
    )
    return next((entry for entry in inner if entry is not None), None)


def explained_boxes(
    detections: Sequence[Detections], targets: DetectionTargets
) -> tuple[Tensor, Tensor]:
    """The scores (b, t) that ``targets`` name, in the model's graph, and the boxes (b, t, 6).

    A box is x1, y1, x2, y2 in pixels of the model's input, its label and its score. Where an image
    has no such box all are 0, and the label is ``NO_BOX``; the score still hangs in the graph.
    """
    values, boxes = [], []
    for of_image in detections:
        for target in targets.targets:
            place = of_image.places(target)[:1]
            # The sum over no boxes is a zero that has a gradient.
            score = of_image.scores[place].sum()
            box = torch.zeros(6, device=score.device)
            box[4] = NO_BOX
            if len(place):
                box[:4] = of_image.boxes[place[0]].detach().float()
                box[4] = of_image.labels[place[0]].float()
                box[5] = score.detach().float()
            values.append(score)
            boxes.append(box)
    shape = (len(detections), len(targets.targets))
    return torch.stack(values).reshape(shape), torch.stack(boxes).reshape(*shape, 6)


def matching_scores(detections: Sequence[Detections], boxes: Tensor) -> Tensor:
    """The scores (m, t) of the same boxes in changed images, in the graph; ``boxes`` (m, t, 6).

    That of the best match, max_j IoU(box, box_j) · score_j over the boxes of the same label
    (D-RISE, Petsiuk et al. 2021, eq. 3, whose class vectors are one-hot here); 0 without any.
    """
    rows = []
    for of_image, wanted in zip(detections, boxes, strict=True):
        columns = []
        for box in wanted:
            same = of_image.labels == box[4].long()
            products = iou(box[None, :4], of_image.boxes[same].detach().float())[0]
            matches = products.to(of_image.scores.dtype) * of_image.scores[same]
            columns.append(matches.max() if len(matches) else of_image.scores[same].sum())
        rows.append(torch.stack(columns))
    return torch.stack(rows)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4), x1, y1, x2, y2."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    common = (high - low).clamp_min(0.0).prod(2)
    areas = [(b[:, 2:] - b[:, :2]).clamp_min(0.0).prod(1) for b in (first, second)]
    union = areas[0][:, None] + areas[1][None] - common
    return torch.where(union > 0, common / union.clamp_min(1e-12), 0.0)


def best_scores(detections: Sequence[Detections]) -> Tensor:
    """(b, 1) float32: the highest score of each image, 0 without a box."""
    best = [
        of_image.scores.detach().float().amax()
        if len(of_image.scores)
        else torch.zeros((), device=of_image.scores.device)
        for of_image in detections
    ]
    return torch.stack(best)[:, None]


def _named(value: Any) -> dict[str, Any] | None:
    """The three parts of a detection by name; None where ``value`` has not all of them."""
    if isinstance(value, Mapping):
        parts = {name: value.get(name) for name in _NAMES}
    else:
        parts = {name: getattr(value, name, None) for name in _NAMES}
    return None if any(part is None for part in parts.values()) else parts


def _of_image(parts: Mapping[str, Any]) -> Detections | None:
    """One image's boxes; None where the parts don't go together."""
    boxes, scores, labels = (parts[name] for name in _NAMES)
    if not all(isinstance(part, Tensor) for part in (boxes, scores, labels)):
        return None
    scores, labels = scores.reshape(-1), labels.reshape(-1)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes) == len(scores) == len(labels):
        return None
    return Detections(boxes, scores, labels.long())


def _of_batch(parts: Mapping[str, Any], count: int | None) -> list[Detections] | None:
    """The boxes of each image, where each part has a row or a tensor for each."""
    boxes = parts["boxes"]
    if isinstance(boxes, Tensor) and boxes.ndim == 2:
        alone = _of_image(parts) if count in (None, 1) else None
        return None if alone is None else [alone]
    if not all(isinstance(part, Tensor | list | tuple) for part in parts.values()):
        return None
    if len({len(part) for part in parts.values()} | ({count} if count is not None else set())) > 1:
        return None
    images = [
        _of_image(dict(zip(_NAMES, rows, strict=True)))
        for rows in zip(*(parts[name] for name in _NAMES), strict=True)
    ]
    whole = [image for image in images if image is not None]
    return whole if len(whole) == len(images) and whole else None

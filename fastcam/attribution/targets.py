"""Which number of a model's answer a map explains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastcam.attribution.batch_maps import Targets, logits_of, pixel_logits
from fastcam.attribution.detection import (
    NEEDS_BOX,
    Detections,
    DetectionTargets,
    detections_in,
    explained_boxes,
    matching_scores,
)
from fastcam.attribution.segmentation import (
    Segmentation,
    SegmentationTargets,
    segment,
    segment_scores,
)
from fastcam.errors import InputError


@dataclass(frozen=True, eq=False)
class TargetScores:
    """The numbers that maps explain.

    - ``values`` (b, t), t for each image, in the model's graph
    - ``classes`` (b, t) int64, which outputs they are; None for a callable
    - ``several``: whether maps have an axis for targets; it can be of length 1
    - ``output`` (b, k) float32, the model's answer, detached; of a segmentation the share of the
      pixels that are predicted as each class, of a detector the scores that are explained
    - ``segmentation``: what was predicted of the pixels, and which are explained; None of models
      that answer once for each image
    - ``boxes`` (b, t, 6) float32: of a detector, as in :class:`BatchMaps`; None of other models
    """

    values: Tensor
    classes: Tensor | None
    several: bool
    output: Tensor
    segmentation: Segmentation | None = None
    boxes: Tensor | None = None

    @property
    def answer_facts(self) -> dict[str, Any]:
        """``labels``, ``pixels`` and ``boxes`` of :class:`BatchMaps`, those that there are."""
        if self.boxes is not None:
            return {"boxes": self.boxes}
        if self.segmentation is None:
            return {}
        return {"labels": self.segmentation.labels, "pixels": self.segmentation.pixels}


def target_scores(
    targets: Targets,
    output: Any,
    count: int | None = None,
    image: Sequence[int] | None = None,
) -> TargetScores:
    """The scores that ``targets`` names in a model's ``output`` (any that has logits in it) for
    ``count`` images.

    ``targets``: None: the predicted class, or the number itself where the model gives one (a
    regression); an int: that output for every image; b ints, or a tensor (b,): one for each
    image; b rows of t ints, or a tensor (b, t): several for each image; one row of t, [[2, 5]]:
    those for every image; a callable: gets the model's output and gives (b,) numbers in its graph;
    ``SegmentationTargets``: logits summed over pixels; ``DetectionTargets``: scores of boxes.
    ``image``: size of the model's input.

    Raises InputError for a list of another length and for an output the model doesn't have.
    """
    if isinstance(targets, SegmentationTargets):
        return _segment_scores(targets, output, count, image)
    if isinstance(targets, DetectionTargets):
        return _box_scores(targets, output, count)
    if callable(targets) and not isinstance(targets, Tensor):
        return _callable_scores(targets, output, count)
    if detections_in(output, count) is not None:
        raise InputError(NEEDS_BOX)
    logits = logits_of(output, count)
    classes = _classes(targets, logits)
    several = classes.ndim == 2
    table = classes.reshape(len(logits), -1)
    return TargetScores(logits.gather(1, table), table, several, logits.detach().float())


# A model's output for m images, and the rows (m,) int64 of the batch that they are made of, to
# numbers (m, t).
Score = Callable[[Any, Tensor], Tensor]


def score_of(targets: Targets, scores: TargetScores) -> Score:
    """What gives the numbers that ``scores`` named, for other images made of the same batch.

    ``targets``: those that ``scores`` came from. A class that was the predicted one is held,
    whatever the model predicts of the other images; a box is the one that overlaps it best.
    """
    classes = scores.classes
    if isinstance(targets, SegmentationTargets) and scores.segmentation is not None:
        regions = scores.segmentation.regions

        def segment_score(output: Any, rows: Tensor) -> Tensor:
            return segment_scores(_pixels(output, targets, len(rows)), targets, regions[rows])

        return segment_score

    boxes = scores.boxes
    if isinstance(targets, DetectionTargets) and boxes is not None:

        def box_score(output: Any, rows: Tensor) -> Tensor:
            return matching_scores(_detections(output, targets, len(rows)), boxes[rows])

        return box_score

    def score(output: Any, rows: Tensor) -> Tensor:
        if classes is None:
            return target_scores(targets, output, len(rows)).values
        return logits_of(output, len(rows)).gather(1, classes[rows])

    return score


def _segment_scores(
    targets: SegmentationTargets, output: Any, count: int | None, image: Sequence[int] | None
) -> TargetScores:
    logits = _pixels(output, targets, count)
    segmentation = segment(logits, targets, image)
    values = segment_scores(logits, targets, segmentation.regions)
    labels = [target.label for target in targets.targets]
    classes = torch.tensor(labels, device=logits.device).expand(len(logits), -1)
    several = len(labels) > 1
    return TargetScores(values, classes, several, segmentation.shares, segmentation)


def _pixels(output: Any, targets: SegmentationTargets, count: int | None) -> Tensor:
    logits = pixel_logits(output, count)
    if logits is None:
        raise InputError(
            f"--target {targets.targets[0]}: the model gives no answer for every pixel (images, "
            "classes, height, width); leave seg: out, or choose a tensor with --output"
        )
    return logits


def _box_scores(targets: DetectionTargets, output: Any, count: int | None) -> TargetScores:
    values, boxes = explained_boxes(_detections(output, targets, count), targets)
    several = len(targets.targets) > 1
    return TargetScores(values, boxes[..., 4].long(), several, boxes[..., 5], boxes=boxes)


def _detections(output: Any, targets: DetectionTargets, count: int | None) -> list[Detections]:
    detections = detections_in(output, count)
    if detections is None:
        raise InputError(
            f"--target {targets.targets[0]}: the model gives no boxes, scores and labels for each "
            "image; leave box: out"
        )
    return detections


def _callable_scores(
    target: Callable[[Any], Tensor], output: Any, count: int | None
) -> TargetScores:
    values = target(output)
    if not isinstance(values, Tensor) or values.ndim != 1:
        description = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values)
        raise InputError(
            f"the target callable gives {description}; it must give one number an image (b,)"
        )
    try:
        output_rows = logits_of(output, count)
    except InputError:
        output_rows = values[:, None]
    if len(output_rows) != len(values):
        raise InputError(
            f"the target callable gives {len(values)} numbers for {len(output_rows)} images"
        )
    return TargetScores(values[:, None], None, False, output_rows.detach().float())


def _classes(targets: Any, logits: Tensor) -> Tensor:
    count, outputs = logits.shape
    if targets is None:
        return logits.detach().argmax(1)
    # Looked at on the CPU, where it is a list already: no waiting for a GPU.
    classes = as_classes(targets)
    if classes.ndim == 0:
        classes = classes.expand(count)
    elif classes.ndim == 2 and len(classes) == 1:
        classes = classes.expand(count, -1)
    if len(classes) != count:
        raise InputError(
            f"{len(classes)} targets for a batch of {count} images: give one int for all, one for "
            "each image, a row for each image, or one row [[a, b]] for all"
        )
    wrong = classes[(classes < 0) | (classes >= outputs)]
    if len(wrong):
        raise InputError(
            f"--target {int(wrong[0])}: the model has {outputs} outputs, 0 to {outputs - 1}"
        )
    return classes.to(logits.device, non_blocking=True)


def as_classes(targets: Any) -> Tensor:
    """``targets`` as int64 on the CPU, () or (b,) or (b, t); InputError where they are no ints."""
    try:
        classes = torch.as_tensor(targets).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"targets {targets!r}: not whole numbers in rows of one length; give an int, one for "
            "each image, or as many for each image"
        ) from error
    if classes.ndim > 2 or 0 in classes.shape:
        raise InputError(f"targets of shape {tuple(classes.shape)}: must be (), (b,) or (b, t)")
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise InputError(f"targets {targets!r}: must be whole numbers, the places of the outputs")
    return classes.long()


def rows_of(targets: Targets, count: int) -> Tensor | None:
    """Targets that name something for each of ``count`` images, as rows (count,) or (count, t).

    None where one thing holds for all: None, an int, a callable. InputError for another length.
    """
    if targets is None or isinstance(targets, SegmentationTargets | DetectionTargets):
        return None
    if callable(targets) and not isinstance(targets, Tensor):
        return None
    classes = as_classes(targets)
    if classes.ndim == 0 or (classes.ndim == 2 and len(classes) == 1):
        return None
    if len(classes) != count:
        raise InputError(
            f"{len(classes)} targets for {count} images: give one int for all, one for each image, "
            "a row for each image, or one row [[a, b]] for all"
        )
    return classes

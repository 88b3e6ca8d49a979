"""Targets of models that give a class for every pixel: a class, and the pixels that are summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fastcam.attribution.segment_target import SegmentTarget
from fastcam.errors import InputError


@dataclass(frozen=True, eq=False)
class SegmentationTargets:
    """The targets of a batch.

    - ``targets``: one or several, the same for every image
    - ``masks`` (b, *S) bool, the images' masks at the size of the model's input; None without
    - ``regions`` (b, t, *S) bool, the pixels that are summed, where they are known already
    """

    targets: tuple[SegmentTarget, ...]
    masks: Tensor | None = None
    regions: Tensor | None = None

    def __getitem__(self, rows: slice) -> SegmentationTargets:
        """The same for some rows of the batch."""
        return SegmentationTargets(
            self.targets,
            None if self.masks is None else self.masks[rows],
            None if self.regions is None else self.regions[rows],
        )


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a model said of a batch's pixels, and which of them are explained.

    - ``labels`` (b, *s) int64, the predicted class of every pixel of the output
    - ``regions`` (b, t, *s) bool, the pixels that each target is summed over
    - ``shares`` (b, c) float32, the share of the pixels that are predicted as each class
    """

    labels: Tensor
    regions: Tensor
    shares: Tensor

    @property
    def pixels(self) -> Tensor:
        """How many pixels of the output each target is summed over: (b, t) int64."""
        return self.regions.flatten(2).sum(2)


def segment(
    logits: Tensor, targets: SegmentationTargets | None, image: Sequence[int] | None = None
) -> Segmentation:
    """What ``logits`` (b, c, *s) say, and the regions of ``targets`` in them.

    One channel is the logit of class 1 against class 0. ``image``: size of the model's input, which
    pixels count in; None: that of the output. InputError for a class or a pixel that isn't there,
    and where a mask is needed and missing.
    """
    channels, size = logits.shape[1], tuple(logits.shape[2:])
    classes = max(channels, 2)
    # Of channels that lie apart PyTorch's argmax takes ten times as long as its max: 43 ms instead
    # of 4 for (4, 3, 48, 48, 48) on one core.
    values = logits.detach()
    labels = values.max(1).indices if channels > 1 else (values[:, 0] > 0).long()
    shares = torch.stack([(labels == c).flatten(1).float().mean(1) for c in range(classes)], 1)
    if targets is not None and targets.regions is not None:
        return Segmentation(labels, resized_regions(targets.regions, size), shares)
    summed = SegmentationTargets(()) if targets is None else targets
    regions = [
        _region(target, summed.masks, labels, image or size, classes) for target in summed.targets
    ]
    stacked = torch.stack(regions, 1) if regions else labels.new_zeros((len(labels), 0, *size)) > 0
    return Segmentation(labels, stacked, shares)


def with_regions(
    targets: SegmentationTargets, labels: Tensor, classes: int, image: Sequence[int]
) -> SegmentationTargets:
    """``targets`` with their regions, (b, t, *image), where ``labels`` (b, *s) are predicted of
    ``classes`` classes."""
    if targets.regions is not None:
        return targets
    regions = [_region(t, targets.masks, labels, image, classes) for t in targets.targets]
    return SegmentationTargets(
        targets.targets, regions=resized_regions(torch.stack(regions, 1), tuple(image))
    )


def segment_scores(logits: Tensor, targets: SegmentationTargets, regions: Tensor) -> Tensor:
    """Σ of each target's logits over its region: (b, t), in the graph of ``logits`` (b, c, *s)."""
    columns = []
    for column, target in enumerate(targets.targets):
        if logits.shape[1] == 1:
            values = logits[:, 0] if target.label else -logits[:, 0]
        else:
            values = logits[:, target.label]
        columns.append((values * regions[:, column]).flatten(1).sum(1))
    return torch.stack(columns, 1)


def _region(
    target: SegmentTarget,
    masks: Tensor | None,
    labels: Tensor,
    image: Sequence[int],
    classes: int,
) -> Tensor:
    """The pixels (b, *s) bool of the output that a target is summed over."""
    if target.label >= classes:
        raise InputError(f"--target {target}: the model has {classes} classes, 0 to {classes - 1}")
    if target.region == "predicted":
        return labels == target.label
    if target.region == "all":
        return torch.ones_like(labels, dtype=torch.bool)
    size = tuple(labels.shape[1:])
    if target.region == "mask":
        if masks is None:
            raise InputError(f"--target {target}: needs the images' masks; give --mask-dir")
        return resized_regions(masks[:, None], size)[:, 0].to(labels.device)
    if len(target.region) != len(size):
        axes = "x,y" if len(size) == 2 else "x,y,z"
        raise InputError(f"--target {target}: the model's pixels are {axes}")
    index: list[slice | int] = [slice(None)]
    for position, side, extent in zip(target.region[::-1], image, size, strict=True):
        if position >= side:
            sides = " x ".join(str(n) for n in image[::-1])
            raise InputError(f"--target {target}: lies outside of the model's input, {sides}")
        index.append(position * extent // side)
    region = torch.zeros_like(labels, dtype=torch.bool)
    region[tuple(index)] = True
    return region


def resized_regions(regions: Tensor, size: tuple[int, ...]) -> Tensor:
    """Regions (b, t, *S) bool at another size, the nearest pixel's."""
    if tuple(regions.shape[2:]) == size:
        return regions
    return functional.interpolate(regions.float(), size=size, mode="nearest-exact") > 0.5

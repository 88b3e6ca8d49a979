"""Which number of a model's answer a map explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastcam.attribution.batch_maps import Targets, logits_of
from fastcam.errors import InputError


@dataclass(frozen=True, eq=False)
class TargetScores:
    """The numbers that maps explain.

    - ``values`` (b, t), t for each image, in the model's graph
    - ``classes`` (b, t) int64, which outputs they are; None for a callable
    - ``several``: whether maps have an axis for targets; it can be of length 1
    - ``output`` (b, k) float32, the model's answer, detached
    """

    values: Tensor
    classes: Tensor | None
    several: bool
    output: Tensor


def target_scores(targets: Targets, output: Any, count: int | None = None) -> TargetScores:
    """The scores that ``targets`` names in a model's ``output`` (any that has logits in it) for
    ``count`` images.

    ``targets``: None: the predicted class, or the number itself where the model gives one (a
    regression); an int: that output for every image; b ints, or a tensor (b,): one for each
    image; b rows of t ints, or a tensor (b, t): several for each image; one row of t, [[2, 5]]:
    those for every image; a callable: gets the model's output and gives (b,) numbers in its graph.

    Raises InputError for a list of another length and for an output the model doesn't have.
    """
    if callable(targets) and not isinstance(targets, Tensor):
        return _callable_scores(targets, output, count)
    logits = logits_of(output, count)
    classes = _classes(targets, logits)
    several = classes.ndim == 2
    table = classes.reshape(len(logits), -1)
    return TargetScores(logits.gather(1, table), table, several, logits.detach().float())


def _callable_scores(
    target: Callable[[Any], Tensor], output: Any, count: int | None
) -> TargetScores:
    values = target(output)
    if not isinstance(values, Tensor) or values.ndim != 1:
        what = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values)
        raise InputError(f"the target callable gives {what}; it must give one number an image (b,)")
    try:
        answer = logits_of(output, count)
    except InputError:
        answer = values[:, None]
    if len(answer) != len(values):
        raise InputError(
            f"the target callable gives {len(values)} numbers for {len(answer)} images"
        )
    return TargetScores(values[:, None], None, False, answer.detach().float())


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
    if targets is None or (callable(targets) and not isinstance(targets, Tensor)):
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

"""Which number of a model's answer a map explains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastcam.attribution.batch_maps import logits_of
from fastcam.errors import InputError

Targets = None | int | Sequence[int] | Sequence[Sequence[int]] | Tensor | Callable[[Any], Tensor]


@dataclass(frozen=True, eq=False)
class Scores:
    """``values`` (b, t): the numbers explained, t for each image, in the model's graph.

    ``classes`` (b, t) int64 says which outputs they are; None for a callable. ``several`` says
    whether maps have an axis for targets (it can be of length 1). ``output`` (b, k) float32 is
    the model's answer, detached.
    """

    values: Tensor
    classes: Tensor | None
    several: bool
    output: Tensor


def scores_of(targets: Targets, output: Any) -> Scores:
    """The scores that ``targets`` names in a model's ``output`` (any that has logits in it).

    ``targets``: None: the predicted class, or the number itself where the model gives one (a
    regression); an int: that output for every image; b ints, or a tensor (b,): one for each
    image; b rows of t ints, or a tensor (b, t): several for each image; one row of t, [[2, 5]]:
    those for every image; a callable: gets the model's output and gives (b,) numbers in its graph.

    Raises InputError for a list of another length and for an output the model doesn't have.
    """
    if callable(targets) and not isinstance(targets, Tensor):
        return _called(targets, output)
    logits = logits_of(output)
    classes = _classes(targets, logits)
    several = classes.ndim == 2
    table = classes.reshape(len(logits), -1)
    return Scores(logits.gather(1, table), table, several, logits.detach().float())


def _called(target: Callable[[Any], Tensor], output: Any) -> Scores:
    values = target(output)
    if not isinstance(values, Tensor) or values.ndim != 1:
        what = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values)
        raise InputError(f"the target callable gives {what}; it must give one number an image (b,)")
    try:
        answer = logits_of(output)
    except InputError:
        answer = values[:, None]
    if len(answer) != len(values):
        raise InputError(
            f"the target callable gives {len(values)} numbers for {len(answer)} images"
        )
    return Scores(values[:, None], None, False, answer.detach().float())


def _classes(targets: Any, logits: Tensor) -> Tensor:
    count, outputs = logits.shape
    if targets is None:
        return logits.detach().argmax(1)
    # Looked at on the CPU, where it is a list already: no waiting for a GPU.
    wanted = as_classes(targets)
    if wanted.ndim == 0:
        wanted = wanted.expand(count)
    elif wanted.ndim == 2 and len(wanted) == 1:
        wanted = wanted.expand(count, -1)
    if len(wanted) != count:
        raise InputError(
            f"{len(wanted)} targets for a batch of {count} images: give one int for all, one for "
            "each image, a row for each image, or one row [[a, b]] for all"
        )
    wrong = wanted[(wanted < 0) | (wanted >= outputs)]
    if len(wrong):
        raise InputError(
            f"target {int(wrong[0])}: the model has {outputs} outputs, 0 to {outputs - 1}"
        )
    return wanted.to(logits.device, non_blocking=True)


def as_classes(targets: Any) -> Tensor:
    """``targets`` as int64 on the CPU, () or (b,) or (b, t); InputError where they are no ints."""
    try:
        wanted = torch.as_tensor(targets).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"targets {targets!r}: not whole numbers in rows of one length; give an int, one for "
            "each image, or as many for each image"
        ) from error
    if wanted.ndim > 2 or 0 in wanted.shape:
        raise InputError(f"targets of shape {tuple(wanted.shape)}: must be (), (b,) or (b, t)")
    if wanted.is_floating_point() or wanted.is_complex() or wanted.dtype == torch.bool:
        raise InputError(f"targets {targets!r}: must be whole numbers, the places of the outputs")
    return wanted.long()


def rows_of(targets: Targets, count: int) -> Tensor | None:
    """Targets that name something for each of ``count`` images, as rows (count,) or (count, t).

    None where one thing holds for all: None, an int, a callable. InputError for another length.
    """
    if targets is None or (callable(targets) and not isinstance(targets, Tensor)):
        return None
    wanted = as_classes(targets)
    if wanted.ndim == 0 or (wanted.ndim == 2 and len(wanted) == 1):
        return None
    if len(wanted) != count:
        raise InputError(
            f"{len(wanted)} targets for {count} images: give one int for all, one for each image, "
            "a row for each image, or one row [[a, b]] for all"
        )
    return wanted

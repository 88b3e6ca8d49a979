"""Where NaN and Inf come from: named by layer, and only the images concerned pay for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.modules import (
    ForwardHook,
    after_every_module,
    first_tensor,
    frozen_forward,
)
from fastcam.errors import InputError


@torch.no_grad()
def check_weights(model: nn.Module) -> None:
    """InputError naming the first layer whose weights hold NaN or Inf, or buffers hold NaN.

    Buffers may hold Inf: masks of attention do.
    """
    finite_by_name = [
        (name, p.isfinite().all()) for name, p in model.named_parameters() if _numbers(p)
    ]
    finite_by_name += [(name, ~b.isnan().any()) for name, b in model.named_buffers() if _numbers(b)]
    # One wait for the device, not one for each tensor.
    flags = (
        torch.stack([flag.cpu() for _, flag in finite_by_name]).tolist() if finite_by_name else []
    )
    names = [name for (name, _), good in zip(finite_by_name, flags, strict=True) if not good]
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise InputError(
            f"the model's weights are not finite: {names[0]!r}{more} hold NaN or Inf; "
            "the checkpoint is damaged or training diverged: use an earlier one"
        )


def keep_finite(maps: Tensor, output: Tensor) -> Tensor:
    """``maps`` (b, ...) with NaN where the image's ``output`` (b, k) is not finite.

    Nothing waits for the device: who wants to know looks at ``output``, and asks
    :func:`reasons` about the images concerned.
    """
    good = output.isfinite().all(1)
    return maps.where(good.reshape(-1, *(1,) * (maps.ndim - 1)), torch.nan)


def reasons(model: nn.Module, batch: Tensor) -> list[str]:
    """For every image of ``batch`` (b, c, *s): which layer first gives NaN or Inf, "" if none.

    One forward pass with every module hooks; meant for the few images that failed.
    """
    count = len(batch)
    causes = ["" if good else "the image itself holds NaN or Inf" for good in _rows(batch, count)]

    def hook_for(name: str) -> ForwardHook:
        return lambda _module, _inputs, output: _record_causes(output, causes, f"layer {name!r}")

    with after_every_module(model, hook_for):
        output = frozen_forward(model, batch)
    _record_causes(output, causes, "the model's output")
    return causes


def _record_causes(output: Any, causes: list[str], source: str) -> None:
    values = first_tensor(output)
    if values is not None:
        for row, good in enumerate(_rows(values, len(causes))):
            if not good and not causes[row]:
                causes[row] = f"{source} is the first to give NaN or Inf"


def _rows(values: Tensor, count: int) -> list[bool]:
    """Whether each image's share of ``values`` is finite; windows and slices are images' parts."""
    if values.ndim == 0 or values.shape[0] == 0 or values.shape[0] % count:
        return [True] * count
    flags: list[bool] = values.reshape(count, -1).isfinite().all(1).tolist()
    return flags


def _numbers(values: Tensor) -> bool:
    return values.is_floating_point() and values.numel() > 0

"""The layers of a detector that all of its boxes are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.modules import as_input, eager_mode, first_tensor, frozen_eval
from fastcam.attribution.outputs import output_tensors

_BACKBONE = "backbone"
# Parts that mix the backbone's levels, or read boxes from them.
_MIXING = ("fpn", "neck", "extra")
_READING = ("head", "rpn", "roi", "box", "cls", "class", "pred", "score", "anchor")


def before_the_boxes(model: nn.Module, example: Tensor, names: Sequence[str]) -> list[str]:
    """Those of the layers ``names`` that everything read from the backbone depends on.

    Of feature pyramids the backbone's last stage; of SSD, whose heads read its levels one by one,
    the last layer before the first level. Of a detector without a module ``backbone`` those that
    are in no part that is called as heads are; all where there is none. ``example`` (1, c, *s).
    """
    backbone = dict(model.named_modules()).get(_BACKBONE)
    inner = [
        name for name in names if name.startswith(f"{_BACKBONE}.") and not _has_part(name, _MIXING)
    ]
    if backbone is not None and inner:
        reached = _reached(model, backbone, example, inner)
        if reached:
            return reached
    return [name for name in names if not _has_part(name, _READING)] or list(names)


def _has_part(name: str, words: Sequence[str]) -> bool:
    parts = name.lower().split(".")
    return any(word in part for part in parts for word in words)


def _reached(
    model: nn.Module, backbone: nn.Module, example: Tensor, names: Sequence[str]
) -> list[str]:
    """Those of ``names`` on which every tensor depends that ``backbone`` gives."""
    tensors: dict[str, Tensor] = {}
    levels: list[Tensor] = []

    def keep(name: str) -> Any:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None and tensor.requires_grad:
                tensors[name] = tensor

        return after

    def keep_levels(_module: nn.Module, _inputs: Any, output: Any) -> None:
        levels.extend(entry.tensor for entry in output_tensors(output))

    modules = dict(model.named_modules())
    handles = [modules[name].register_forward_hook(keep(name)) for name in names]
    handles.append(backbone.register_forward_hook(keep_levels))
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            frozen_eval(model),
            eager_mode(model),
        ):
            model(as_input(model, example.detach().clone()).requires_grad_())
            kept = [name for name in names if name in tensors]
            reached = set(kept)
            for level in levels:
                if not reached:
                    break
                gradients = torch.autograd.grad(
                    level.sum(),
                    [tensors[name] for name in kept],
                    retain_graph=True,
                    allow_unused=True,
                )
                reached &= {n for n, g in zip(kept, gradients, strict=True) if g is not None}
    finally:
        for handle in handles:
            handle.remove()
    return [name for name in kept if name in reached]

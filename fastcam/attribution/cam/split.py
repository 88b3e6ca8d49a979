"""One forward pass split at the target layers: no graph before the first, a graph after it.

The first target layer's output becomes a leaf of autograd, and what comes after it is recorded.
Every parameter is frozen meanwhile, so that no gradient of a weight is made and linear layers
keep nothing for it; PyTorch's convolutions keep their input all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.modules import frozen_eval, tensor_in, with_tensor
from fastcam.errors import InputError


@dataclass(frozen=True, eq=False)
class Split:
    """``output`` of a model, and at each layer, by name, the ``activations`` as the layer gave
    them and the ``sources``, the tensors to differentiate by (empty where no gradients are wanted).

    A layer that is called several times in one forward pass stands with its last call.
    """

    output: Any
    activations: dict[str, Tensor]
    sources: dict[str, Tensor]


def run_split(
    model: nn.Module, layers: Mapping[str, nn.Module], batch: Tensor, gradients: bool = True
) -> Split:
    """One forward pass of ``model`` in eval mode, split at ``layers``.

    Works under ``no_grad`` and ``inference_mode``, with frozen parameters, and leaves the model's
    modes and ``requires_grad`` as they were, also on an exception. Raises InputError for a layer
    that isn't run or gives no tensor. Without ``gradients`` no graph is made at all.
    """
    kept: dict[str, Tensor] = {}
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        frozen_eval(model),
        _hooked(layers, kept, gradients),
    ):
        output = model(batch.clone() if batch.is_inference() else batch)
    check_run(layers, kept)
    return Split(output, {n: a.detach() for n, a in kept.items()}, kept if gradients else {})


def gradients_of(score: Tensor, split: Split, keep_graph: bool = False) -> dict[str, Tensor]:
    """∂score/∂activations for every layer, by one backward pass; ``score`` is a single number.

    Raises InputError for a layer on which the score does not depend. ``keep_graph`` where another
    score of the same split follows.
    """
    names, sources = list(split.sources), list(split.sources.values())
    if not score.requires_grad:
        raise InputError(
            f"the output has no gradient at {', '.join(names)}: the model, or the target, cuts the "
            "graph after it (detach, no_grad, argmax, numpy); choose a layer after the cut"
        )
    found = torch.autograd.grad(score, sources, retain_graph=keep_graph, allow_unused=True)
    for name, gradient in zip(names, found, strict=True):
        if gradient is None:
            raise InputError(
                f"layer {name!r}: the output does not depend on what it gives; choose another layer"
            )
    return dict(zip(names, found, strict=True))


def check_run(layers: Mapping[str, nn.Module], seen: Mapping[str, Tensor]) -> None:
    """InputError unless every layer was called."""
    for name in layers:
        if name not in seen:
            raise InputError(
                f"layer {name!r} is part of the model but its forward pass does not call it; "
                "choose another (fastcam inspect --model lists them)"
            )


@contextmanager
def _hooked(
    layers: Mapping[str, nn.Module], kept: dict[str, Tensor], gradients: bool
) -> Iterator[None]:
    def hook(name: str) -> Any:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            found = tensor_in(output, name)
            if not gradients:
                # The next operation may write into it.
                kept[name] = found.clone()
                return None
            # Not yet in a graph: the first layer, a branch beside it, or one after a no_grad block.
            if not found.requires_grad:
                found = found.clone() if found.is_inference() else found.detach()
                found.requires_grad_()
            kept[name] = found
            torch.set_grad_enabled(True)
            return with_tensor(output, found.clone())

        return after

    handles = []
    try:
        handles += [module.register_forward_hook(hook(name)) for name, module in layers.items()]
        yield
    finally:
        for handle in handles:
            handle.remove()

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

from fastcam.attribution.modules import frozen_forward, tensor_in, with_tensor
from fastcam.errors import InputError


@dataclass(frozen=True, eq=False)
class Split:
    """One forward pass.

    - ``output``: whatever the model returned
    - ``activations``: by layer, as the layer gave them, detached; of several calls the last one's
    - ``sources``: by layer, the tensors to differentiate by; empty for a pass without gradients
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
    tensors: dict[str, Tensor] = {}
    with _split_hooks(layers, tensors, gradients):
        output = frozen_forward(model, batch)
    check_run(layers, tensors)
    return Split(output, {n: a.detach() for n, a in tensors.items()}, tensors if gradients else {})


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
    gradients = torch.autograd.grad(score, sources, retain_graph=keep_graph, allow_unused=True)
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is None:
            raise InputError(
                f"layer {name!r}: the output does not depend on what it gives; choose another layer"
            )
    return dict(zip(names, gradients, strict=True))


def check_run(layers: Mapping[str, nn.Module], outputs: Mapping[str, Tensor]) -> None:
    """InputError unless every layer was called."""
    for name in layers:
        if name not in outputs:
            raise InputError(
                f"layer {name!r} is part of the model but its forward pass does not call it; "
                "choose another (fastcam inspect --model lists them)"
            )


@contextmanager
def _split_hooks(
    layers: Mapping[str, nn.Module], tensors: dict[str, Tensor], gradients: bool
) -> Iterator[None]:
    def hook(name: str) -> Any:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            tensor = tensor_in(output, name)
            if not gradients:
                # The next operation may write into it.
                tensors[name] = tensor.clone()
                return None
            # Not yet in a graph: the first layer, a branch beside it, or one after a no_grad block.
            if not tensor.requires_grad:
                tensor = tensor.clone() if tensor.is_inference() else tensor.detach()
                tensor.requires_grad_()
            tensors[name] = tensor
            torch.set_grad_enabled(True)
            return with_tensor(output, tensor.clone())

        return after

    handles = []
    try:
        handles += [module.register_forward_hook(hook(name)) for name, module in layers.items()]
        yield
    finally:
        for handle in handles:
            handle.remove()

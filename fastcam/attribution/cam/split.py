"""One forward pass split at the target layers: no graph before the first, a graph after it.

The first target layer's output becomes a leaf of autograd, and what comes after it is recorded.
Every parameter is frozen meanwhile, so that no gradient of a weight is made and linear layers
keep nothing for it; PyTorch's convolutions keep their input all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.layer_names import call_name, check_called, split_call
from fastcam.attribution.modules import frozen_forward, tensor_in, with_tensor
from fastcam.errors import InputError


@dataclass(frozen=True, eq=False)
class Split:
    """One forward pass.

    - ``output``: whatever the model returned
    - ``activations``: by call, as the layer gave them, detached. A layer that was called once has
      its own name; of several calls each has one, ``layer#0``, ``layer#1``
    - ``sources``: by call, the tensors to differentiate by; empty for a pass without gradients
    """

    output: Any
    activations: dict[str, Tensor]
    sources: dict[str, Tensor]


def run_split(
    model: nn.Module, layers: Mapping[str, nn.Module], batch: Tensor, gradients: bool = True
) -> Split:
    """One forward pass of ``model`` in eval mode, split at ``layers``, names to modules.

    A name is a module's, for all of its calls, or that of one call, ``layer#1``. Works under
    ``no_grad`` and ``inference_mode``, with frozen parameters, and leaves the model's modes and
    ``requires_grad`` as they were, also on an exception. Raises InputError for a layer that isn't
    run or gives no tensor. Without ``gradients`` no graph is made at all.
    """
    with _split_hooks(layers, gradients) as calls:
        output = frozen_forward(model, batch)
    tensors = select_calls(model, layers, calls)
    return Split(output, {n: a.detach() for n, a in tensors.items()}, tensors if gradients else {})


def gradients_of(
    score: Tensor, split: Split, keep_graph: bool = False, partly: bool = False
) -> dict[str, Tensor]:
    """∂score/∂activations for every layer, by one backward pass; ``score`` is a single number.

    Raises InputError for a layer on which the score does not depend. ``keep_graph`` where another
    score of the same split follows. ``partly``: a score may depend on some of the layers only, or
    be the 0 of a detector without boxes; then the gradients are 0.
    """
    names, sources = list(split.sources), list(split.sources.values())
    if partly and not score.requires_grad and not bool(score.detach().any()):
        return {name: torch.zeros_like(source) for name, source in split.sources.items()}
    if not score.requires_grad:
        raise InputError(
            f"the output has no gradient at {', '.join(names)}: the model, or the target, cuts the "
            "graph after it (detach, no_grad, argmax, numpy); choose a layer after the cut"
        )
    gradients = torch.autograd.grad(
        score, sources, retain_graph=keep_graph, allow_unused=True, materialize_grads=partly
    )
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is None:
            raise InputError(
                f"layer {name!r}: the output does not depend on what it gives; choose another layer"
            )
    return dict(zip(names, gradients, strict=True))


@dataclass(eq=False)
class Calls:
    """The calls of one module in a forward pass.

    - ``count``: how many there were so far
    - ``tensors``: by the number of the call, what those calls gave that are looked at
    - ``numbers``: the numbers of these; None for all
    """

    numbers: frozenset[int] | None
    count: int = 0
    tensors: dict[int, Tensor] = field(default_factory=dict)

    def begin(self) -> int | None:
        """Count a call; its number if it is looked at."""
        number = self.count
        self.count += 1
        return number if self.numbers is None or number in self.numbers else None


def calls_of(layers: Mapping[str, nn.Module]) -> dict[nn.Module, Calls]:
    """By module, which of its calls ``layers`` names."""
    numbers: dict[nn.Module, set[int | None]] = {}
    for name, module in layers.items():
        numbers.setdefault(module, set()).add(split_call(name)[1])
    return {
        module: Calls(
            None if None in of_module else frozenset(n for n in of_module if n is not None)
        )
        for module, of_module in numbers.items()
    }


def select_calls(
    model: nn.Module, layers: Mapping[str, nn.Module], calls: Mapping[nn.Module, Calls]
) -> dict[str, Tensor]:
    """What ``layers`` gave, by call, in their order; InputError for one that wasn't called."""
    selected = {}
    for name, module in layers.items():
        base, call = split_call(name)
        of_module = calls[module]
        check_called(model, name, {base: of_module.count})
        for number in range(of_module.count) if call is None else (call,):
            selected[call_name(base, number, of_module.count)] = of_module.tensors[number]
    return selected


@contextmanager
def _split_hooks(
    layers: Mapping[str, nn.Module], gradients: bool
) -> Iterator[dict[nn.Module, Calls]]:
    calls = calls_of(layers)

    def hook(name: str) -> Any:
        def after(module: nn.Module, _inputs: Any, output: Any) -> Any:
            number = calls[module].begin()
            if number is None:
                return None
            tensor = tensor_in(output, name)
            tensors = calls[module].tensors
            if not gradients:
                # The next operation may write into it.
                tensors[number] = tensor.clone()
                return None
            # Not yet in a graph: the first layer, a branch beside it, or one after a no_grad block.
            if not tensor.requires_grad:
                tensor = tensor.clone() if tensor.is_inference() else tensor.detach()
                tensor.requires_grad_()
            tensors[number] = tensor
            torch.set_grad_enabled(True)
            return with_tensor(output, tensor.clone())

        return after

    handles = []
    names = {module: split_call(name)[0] for name, module in layers.items()}
    try:
        handles += [module.register_forward_hook(hook(name)) for module, name in names.items()]
        yield calls
    finally:
        for handle in handles:
            handle.remove()

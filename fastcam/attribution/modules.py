"""Hooks on every part of a model, taken off again whatever happens."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from fastcam.errors import InputError

# What PyTorch calls after a module's forward: the module, its positional inputs, its output.
After = Callable[[nn.Module, Any, Any], None]


@contextmanager
def after_every_module(
    model: nn.Module,
    make: Callable[[str], After],
    wanted: Callable[[str, nn.Module], bool] = lambda name, module: True,
) -> Iterator[None]:
    """While it is open, ``make(name)`` is called after every module but the model itself, or those
    of them that are ``wanted``.

    Modules report as they finish: the innermost comes first.
    """
    handles = []
    try:
        for name, module in model.named_modules():
            if name and wanted(name, module):
                handles.append(module.register_forward_hook(make(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def frozen_eval(model: nn.Module) -> Iterator[None]:
    """``model`` in eval mode with every parameter frozen; both are put back at the end."""
    training = [module for module in model.modules() if module.training]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for module in training:
            module.training = False
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in trained:
            parameter.requires_grad_(True)


def tensor_in(output: Any, name: str) -> Tensor:
    """The first floating tensor of a layer's output; InputError where there is none."""
    found = first_tensor(output)
    if found is None:
        raise InputError(
            f"layer {name!r} gives {type(output).__name__} without a tensor of numbers in it; "
            "choose a layer inside or around it"
        )
    return found


def first_tensor(output: Any) -> Tensor | None:
    """The first floating tensor of what a module returns: a tensor, tuple, list or mapping."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    key = _key_of(output)
    return None if key is None else output[key]


def count_tensors(output: Any) -> int:
    """How many floating tensors a module returns at the top level of its output."""
    if isinstance(output, Tensor):
        return int(output.is_floating_point())
    return sum(isinstance(v, Tensor) and v.is_floating_point() for _, v in _pairs(output))


def with_tensor(output: Any, new: Tensor) -> Any:
    """``output`` with its first floating tensor replaced, in a copy of what holds it."""
    if isinstance(output, Tensor):
        return new
    key = _key_of(output)
    if isinstance(output, Mapping):
        changed: Any = copy.copy(output)
        changed[key] = new
        return changed
    items = [new if index == key else item for index, item in enumerate(output)]
    return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)


def _key_of(output: Any) -> Any:
    keys = (k for k, v in _pairs(output) if isinstance(v, Tensor) and v.is_floating_point())
    return next(keys, None)


def _pairs(output: Any) -> Any:
    if isinstance(output, Mapping):
        return output.items()
    return enumerate(output) if isinstance(output, Sequence) else ()

"""Hooks on every part of a model, taken off again whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

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

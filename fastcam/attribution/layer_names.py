"""What the layers of a model are called: dotted names of the modules inside, and of their calls.

Wrappers have no part in a name: what ``torch.compile``, ``DataParallel`` and
``DistributedDataParallel`` hold is called as if they weren't there. A module that one forward pass
calls several times has a name for every call, ``backbone.layer4#0`` and ``backbone.layer4#1``; its
own name means all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from fastcam.errors import InputError

_CALL = re.compile(r"(.+)#(\d+)", re.DOTALL)


def wrapped_by(module: nn.Module) -> nn.Module | None:
    """The module that a wrapper holds; None where ``module`` is no wrapper."""
    if isinstance(module, nn.DataParallel | DistributedDataParallel):
        inner: nn.Module = module.module
        return inner
    if isinstance(module, torch.jit.ScriptModule):
        return None
    compiled = module._modules.get("_orig_mod")
    return compiled if isinstance(compiled, nn.Module) else None


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside all wrappers, or ``model`` itself."""
    while (inner := wrapped_by(model)) is not None:
        model = inner
    return model


def open_module(model: nn.Module) -> nn.Module:
    """The module inside all wrappers; InputError for one whose layers can't be looked into."""
    model = unwrapped(model)
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            f"{_original_name(model)} is a scripted or traced model (TorchScript): its layers run "
            "in a graph in which PyTorch's hooks do not fire, so nothing can be seen of them; give "
            "the original module, with the archive's weights (torch.jit.load(...).state_dict())"
        )
    if is_flat_export(model):
        raise InputError(
            "the model is an exported graph, in which its layers have been taken apart; give the "
            "ExportedProgram itself, torch.export.unflatten(program), or the original module"
        )
    return model


def is_flat_export(model: nn.Module) -> bool:
    """Whether it is what ``ExportedProgram.module()`` gives: operations, no modules."""
    return isinstance(model, torch.fx.GraphModule) and not any(
        node.op == "call_module" and not str(node.target).startswith("_")
        for node in model.graph.nodes
    )


def named_layers(
    model: nn.Module, remove_duplicate: bool = True
) -> Iterator[tuple[str, nn.Module]]:
    """Names and modules as ``named_modules`` gives them, wrappers and TorchScript left out.

    The first is ("", the module inside all wrappers).
    """
    visited: set[int] = set()
    for name, module in _walk(model, ""):
        if not remove_duplicate or id(module) not in visited:
            visited.add(id(module))
            yield name, module


def _walk(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    module = unwrapped(module)
    # No hook can be set on it.
    if isinstance(module, torch.jit.ScriptModule):
        return
    yield name, module
    for own, child in module._modules.items():
        if child is not None:
            yield from _walk(child, f"{name}.{own}" if name else own)


def module_at(model: nn.Module, path: str) -> nn.Module:
    """The module called ``path``, "" for the model itself; LookupError where there is none."""
    module = unwrapped(model)
    for part in path.split(".") if path else ():
        child = module._modules.get(part)
        if child is None:
            raise LookupError(f"{type(model).__name__} has no module {path!r}")
        module = unwrapped(child)
    return module


def split_call(name: str) -> tuple[str, int | None]:
    """A layer's own name and the number of the call that ``name`` means; None for all calls."""
    match = _CALL.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, None)


def call_name(name: str, call: int, calls: int) -> str:
    """What call number ``call`` of ``calls`` is called: the layer's own name where it is the only
    one."""
    return name if calls == 1 else f"{name}#{call}"


def call_names(names: Sequence[str]) -> list[str]:
    """The names of calls of the layers ``names``, which stand in the order of the calls."""
    counts: dict[str, int] = {}
    numbers = []
    for name in names:
        numbers.append(counts.get(name, 0))
        counts[name] = numbers[-1] + 1
    return [
        call_name(name, number, counts[name]) for name, number in zip(names, numbers, strict=True)
    ]


def means(layer_id: str, layer: str) -> bool:
    """Whether the layer that was asked for as ``chosen`` is ``layer``, or ``layer`` is a call of
    it."""
    return layer_id in (layer, split_call(layer)[0])


def check_called(model: nn.Module, name: str, counts: Mapping[str, int]) -> None:
    """InputError unless the forward pass made the call that ``name`` means.

    ``counts``: by name of a module how often it was called.
    """
    base, call = split_call(name)
    base, call = (name, None) if name in counts else (base, call)
    count = counts.get(base, 0)
    if not count:
        raise InputError(f"layer {name!r} {_why_not_called(model, base)}")
    if call is not None and call >= count:
        calls = "once" if count == 1 else f"{count} times, #0 to #{count - 1}"
        own = f"give {base!r}" if count == 1 else f"give one of these, or {base!r} for all"
        raise InputError(f"layer {name!r}: the forward pass calls {base!r} {calls}; {own}")


def closed_part(model: nn.Module, name: str) -> str | None:
    """The TorchScript part of ``model`` that the layer ``name`` is, or is in; None outside of
    them."""
    module = unwrapped(model)
    parts: list[str] = []
    for part in name.split("."):
        child = module._modules.get(part)
        if child is None:
            return None
        parts.append(part)
        module = unwrapped(child)
        if isinstance(module, torch.jit.ScriptModule):
            return ".".join(parts)
    return None


def _why_not_called(model: nn.Module, name: str) -> str:
    graph = _taken_apart_by(model, name)
    if graph is None:
        return (
            "is part of the model but its forward pass does not call it; "
            "choose another (fastcam inspect --model lists them)"
        )
    inside = [n for n, _ in named_layers(model) if n.startswith(f"{name}.")]
    example = f", or a layer that the graph calls, such as {inside[-1]!r}" if inside else ""
    return (
        f"was taken apart when {graph} was traced (torch.fx): its operations run, but no longer as "
        f"one module, so no hook sees it; give the original module{example}"
    )


def _taken_apart_by(model: nn.Module, name: str) -> str | None:
    """The traced graph, by name, that holds the layer and doesn't call it."""
    parts = name.split(".")
    modules = dict(named_layers(model, remove_duplicate=False))
    for end in range(len(parts)):
        path = ".".join(parts[:end])
        if isinstance(modules.get(path), torch.fx.GraphModule):
            return repr(path) if path else "the model"
    return None


def _original_name(model: nn.Module) -> str:
    return str(getattr(model, "original_name", type(model).__name__))

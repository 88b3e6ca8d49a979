"""What is done with any model: hooks, modes, its device, the tensors in what a module returns."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from fastcam.attribution.layer_names import named_layers, open_module, wrapped_by
from fastcam.errors import InputError

# What PyTorch calls after a module's forward: the module, its positional inputs, its output.
ForwardHook = Callable[[nn.Module, Any, Any], None]

_NUMBER_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_INPUT_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


@contextmanager
def after_every_module(
    model: nn.Module,
    hook_for: Callable[[str], ForwardHook],
    include: Callable[[str, nn.Module], bool] = lambda name, module: True,
) -> Iterator[None]:
    """While it is open, ``hook_for(name)`` is called after every module but the model itself.

    ``include`` chooses among the modules. They report as they finish: the innermost comes first.
    Names are those of :func:`fastcam.attribution.layer_names.named_layers`.
    """
    handles = []
    try:
        for name, module in named_layers(model):
            if name and include(name, module):
                handles.append(module.register_forward_hook(hook_for(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """``model`` in eval mode; the mode of every part of it is put back at the end."""
    # Not by train(), which some models replace, and which would set one mode for all parts.
    modules = [module for module in model.modules() if module.training]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module in modules:
            module.training = True


@contextmanager
def frozen_eval(model: nn.Module) -> Iterator[None]:
    """``model`` in eval mode with every parameter frozen; both are put back at the end."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with eval_mode(model):
        try:
            for parameter in parameters:
                parameter.requires_grad_(False)
            yield
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)


def frozen_forward(model: nn.Module, batch: Tensor) -> Any:
    """What ``model`` returns for ``batch``, in eval mode and with every parameter frozen.

    No graph is made, unless a hook turns gradients on. Works under ``inference_mode``, too. The
    batch becomes of the model's own number type; parts that were compiled run uncompiled.
    """
    with torch.inference_mode(False), torch.no_grad(), frozen_eval(model), eager_mode(model):
        return model(as_input(model, batch.clone() if batch.is_inference() else batch))


@contextmanager
def gradient_pass(model: nn.Module) -> Iterator[None]:
    """Within it a graph can be made from the input of ``model``, under ``inference_mode``, too.

    Its parameters are frozen, and parts that were compiled run uncompiled.
    """
    with torch.inference_mode(False), frozen_eval(model), eager_mode(model), torch.enable_grad():
        yield


def as_input(model: nn.Module, batch: Tensor) -> Tensor:
    """``batch`` in the number type of the model's weights: float16, bfloat16, float64 or float32.

    That of the first convolution or linear layer, else of the first weights that are numbers; as it
    is for a model without weights.
    """
    dtype = weight_type(model)
    return batch if dtype is None or batch.dtype == dtype else batch.to(dtype)


def weight_type(model: nn.Module) -> torch.dtype | None:
    """The number type that ``model`` runs in, as :func:`as_input` has it; None without weights."""
    layers = (module for module in model.modules() if isinstance(module, _INPUT_LAYERS))
    weights = (getattr(layer, "weight", None) for layer in layers)
    tensors = itertools.chain(weights, model.parameters())
    types = (tensor.dtype for tensor in tensors if isinstance(tensor, Tensor))
    return next((dtype for dtype in types if dtype in _NUMBER_TYPES), None)


def eager_module(model: nn.Module) -> nn.Module:
    """The module inside ``torch.compile``, ``DataParallel`` and their like, or ``model`` itself.

    InputError for a model whose layers can't be looked into: TorchScript, or an exported graph.
    """
    return open_module(model)


def on_one_device(model: nn.Module) -> nn.Module:
    """The model that ``DataParallel`` and its like spread over devices, compiled if it was."""
    inner = open_module(model)
    while _is_parallel(model):
        model = model.module
    return inner if _is_parallel(wrapped_by(model)) else model


def eager_mode(model: nn.Module) -> AbstractContextManager[object]:
    """While it is open, all parts of ``model`` that were compiled run uncompiled."""
    if any(map(is_compiled, model.modules())):
        stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
        return stance
    return nullcontext()


def is_compiled(module: nn.Module) -> bool:
    """Whether ``module`` is compiled, as a wrapper or in place."""
    if getattr(module, "_compiled_call_impl", None) is not None:
        return True
    return not _is_parallel(module) and wrapped_by(module) is not None


def _is_parallel(module: nn.Module | None) -> TypeGuard[nn.DataParallel[Any]]:
    return isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel)


def no_autocast(like: Tensor) -> AbstractContextManager[object]:
    """Autocast off on the device of ``like``: maps are float32, whatever the model runs in."""
    # Entered for every layer of every batch: 10 us where autocast is off already.
    if not torch.is_autocast_enabled(like.device.type):
        return nullcontext()
    return torch.autocast(like.device.type, enabled=False)


def device_of(model: nn.Module) -> torch.device:
    """Where the model is: its first parameter, else its first buffer; the CPU for one without."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def tensor_in(output: Any, name: str) -> Tensor:
    """The first floating tensor of a layer's output; InputError where there is none."""
    tensor = first_tensor(output)
    if tensor is None:
        raise InputError(
            f"layer {name!r} gives {type(output).__name__} without a tensor of numbers in it; "
            "choose a layer inside or around it"
        )
    return tensor


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


def tensors_of(values: Iterable[Any]) -> Iterator[Tensor]:
    """All tensors among ``values``, and in tuples and lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from tensors_of(value)


def with_tensor(output: Any, tensor: Tensor) -> Any:
    """``output`` with its first floating tensor replaced, in a copy of what holds it."""
    if isinstance(output, Tensor):
        return tensor
    key = _key_of(output)
    if isinstance(output, Mapping):
        replaced: Any = copy.copy(output)
        replaced[key] = tensor
        return replaced
    items = [tensor if index == key else item for index, item in enumerate(output)]
    return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)


def _key_of(output: Any) -> Any:
    keys = (k for k, v in _pairs(output) if isinstance(v, Tensor) and v.is_floating_point())
    return next(keys, None)


def _pairs(output: Any) -> Any:
    if isinstance(output, Mapping):
        return output.items()
    return enumerate(output) if isinstance(output, Sequence) else ()

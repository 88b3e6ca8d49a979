"""How a model is called, and which of what it returns is its answer: one way for all engines.

Engines call a model with a batch and look for its answer in what comes back. What users say of
either stands in a :class:`ModelCall`, and hooks do it while :func:`called_as` is open.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.modules import eager_module, is_compiled
from fastcam.attribution.outputs import find_answer
from fastcam.attribution.packed_inputs import PackedInputs, UnpackingHook
from fastcam.errors import InputError
from fastcam.read.inputs.named_inputs import ModelInput

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class ModelCall:
    """What goes into a model, and what comes out.

    - ``output``: the name of the answer, as :func:`find_answer` takes it; empty: it is found
    - ``packed``: how several inputs lie in a batch; None for a model of one image
    - ``outputs``: how many numbers the answer has; 0 where that isn't known
    - ``dense``: whether it has these for every pixel
    - ``boxes``: whether it is a detector's, of boxes, scores and labels
    - ``norms``: names of convolutions and of the batch normalizations that may be folded into them,
      see :mod:`fastcam.attribution.folded_norms`
    """

    output: str = ""
    packed: PackedInputs | None = None
    outputs: int = 0
    dense: bool = False
    boxes: bool = False
    norms: tuple[tuple[str, str], ...] = ()


@contextmanager
def called_as(model: nn.Module, call: ModelCall) -> Iterator[None]:
    """While it is open, ``model`` takes the batches and gives the answer that ``call`` says.

    It may write into its batch, which is a copy, unless it is compiled. Callable targets get the
    answer, too, where ``call`` names one. The hooks are gone at the end, also on an exception.
    """
    # Compiled code has the hooks in it that were there when it was made, and no others.
    compiled = any(map(is_compiled, model.modules()))
    if compiled and not (call.output or call.packed):
        yield
        return
    module = eager_module(model)
    handles = []
    try:
        if compiled:
            torch.compiler.reset()
        if not isinstance(module, torch.jit.ScriptModule):
            # First of all: what unpacks a batch gives views of it.
            handles.append(module.register_forward_pre_hook(_own_input))
        if call.packed is not None:
            hook = UnpackingHook(call.packed)
            handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
        if call.output:
            handles.append(module.register_forward_hook(_AnswerHook(call.output, call.dense)))
        yield
    finally:
        for handle in handles:
            handle.remove()
        if compiled:
            torch.compiler.reset()


def _own_input(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A forward pre-hook that gives a model a copy of its images: one that writes into them, as in
    ``x -= mean``, would change what its next pass sees, and the caller's own tensor."""
    return tuple(_copied(value) if isinstance(value, Tensor) else value for value in args)


def _copied(images: Tensor) -> Tensor:
    """``images`` in a tensor of its own. On a CPU they are copied when somebody writes into either,
    which hardly a model does: at once it is 0.25 ms for each image of 3x224x224."""
    lazy = hasattr(torch, "_lazy_clone") and not torch.compiler.is_compiling()
    if images.device.type != "cpu" or not lazy:
        return images.clone()
    try:
        return torch._lazy_clone(images)
    except RuntimeError:  # memory of another library: NumPy's, shared, pinned
        return images.clone()


class _AnswerHook:
    """A forward hook that gives the answer called ``name`` in place of all that a model returns;
    ``dense``: one for every pixel."""

    def __init__(self, name: str, dense: bool) -> None:
        self.name = name
        self.dense = dense

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Tensor:
        return find_answer(output, self.name, dense=self.dense).tensor


def check_arguments(
    model: nn.Module, inputs: Sequence[ModelInput] = (), several: bool = True
) -> None:
    """InputError unless ``forward`` takes ``inputs``, or one image where there are none.

    Names the arguments that are missing, and those that don't exist. ``several``: whether the
    command takes models with several inputs. What has no signature that can be read (scripted
    models) is not looked at.
    """
    parameters = _parameters(eager_module(model))
    if parameters is None:
        return
    kind = type(eager_module(model)).__name__
    required = [
        p.name
        for p in parameters
        if p.default is inspect.Parameter.empty
        and p.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
    ]
    if inputs:
        _check_given(kind, parameters, required, inputs)
        return
    if len(required) > 1:
        remedy = (
            "say which columns of a table go into them, as in "
            f"--input {required[0]}=COLUMN --input {required[1]}=COLUMN"
            if several
            else "this command is for models of one image; fastcam infer, explain and evaluate "
            "take several (--input)"
        )
        raise InputError(f"{kind}.forward takes {', '.join(required)}: {remedy}")
    if [p.name for p in parameters][:2] == ["input_ids", "pixel_values"]:
        # All have a default, and an image given by its place would be taken for a text.
        raise InputError(
            f"{kind}.forward takes texts before images: give fastcam explain or infer the texts "
            "that images are compared with, as in --target 'text:a photo of a cat'; or save the "
            "vision model alone into a folder of its own"
        )
    if not any(p.kind in (*_POSITIONAL, inspect.Parameter.VAR_POSITIONAL) for p in parameters):
        raise InputError(
            f"{kind}.forward takes no image: it has no argument that is given by its place; name "
            "one with --input NAME=COLUMN, or wrap the model in a module that takes images"
        )


def _check_given(
    kind: str,
    parameters: Sequence[inspect.Parameter],
    required: Sequence[str],
    inputs: Sequence[ModelInput],
) -> None:
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [p.name for p in parameters if p.kind in by_keyword]
    by_place = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_ONLY]
    for entry in inputs:
        if entry.name not in names and (not anything or entry.name in by_place):
            raise InputError(
                f"--input {entry.name}={entry.column}: {kind}.forward has no argument "
                f"{entry.name!r} that is given by its name; it takes {', '.join(names) or 'none'}"
            )
    input_names = {entry.name for entry in inputs}
    missing = [name for name in required if name not in input_names]
    if missing:
        raise InputError(
            f"{kind}.forward also takes {', '.join(missing)}, for which there is no column: give "
            f"--input {missing[0]}=COLUMN"
        )


def _parameters(module: nn.Module) -> list[inspect.Parameter] | None:
    if isinstance(module, torch.jit.ScriptModule):
        return None
    try:
        return list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return None

"""The split forward pass through ``torch.compile``: layers are tapped before, not after it.

Hooks added after compilation are not seen. So a copy of the model, which shares its weights, is
tapped and then compiled: at each layer it adds a zero tensor that it was given, and returns what
the layer made. The gradient by the zero is the gradient by the activation, and since nothing else
has one, only what comes after the first layer is kept for the backward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.cam.split import Split
from fastcam.attribution.layer_names import call_name, check_called, named_layers, split_call
from fastcam.attribution.modules import as_input, frozen_eval, tensor_in, with_tensor
from fastcam.errors import InputError


class CompiledSplit:
    """``model`` compiled once, split at ``layers``; called like ``run_split`` on each batch.

    Weights are the model's own: changing them in place is seen, replacing modules is not. A new
    shape of batch costs one plain forward pass, and a compilation the first and the second time.
    Use it within :func:`several_backwards`.
    """

    def __init__(
        self, model: nn.Module, layers: Mapping[str, nn.Module], backend: str = "inductor"
    ) -> None:
        with frozen_eval(model):
            self._tapped_model = _TappedModel(model, list(layers))
        self._run: Callable[..., tuple[Any, list[Tensor]]] = torch.compile(
            self._tapped_model, backend=backend
        )
        self._zeros: dict[Any, _Taps] = {}

    def __call__(self, batch: Tensor, gradients: bool = True) -> Split:
        with torch.inference_mode(False), frozen_eval(self._tapped_model):
            batch = batch.clone() if batch.is_inference() else batch.detach()
            batch = as_input(self._tapped_model, batch)
            taps = self._taps(batch)
            calls = self._tapped_model.calls = taps.calls
            if not gradients:
                with torch.no_grad():
                    output, activations = self._run(batch)
                return Split(output, dict(zip(calls, activations, strict=True)), {})
            zeros = [
                torch.zeros(shape, dtype=dtype, device=batch.device, requires_grad=True)
                for shape, dtype in taps.shapes
            ]
            with torch.enable_grad():
                output, activations = self._run(batch, *zeros)
            self._tapped_model.forget()
        return Split(
            output,
            {name: a.detach() for name, a in zip(calls, activations, strict=True)},
            dict(zip(calls, zeros, strict=True)),
        )

    def _taps(self, batch: Tensor) -> _Taps:
        device = batch.device.type
        # Autocast decides what the layers give.
        key = (
            batch.shape,
            batch.dtype,
            torch.is_autocast_enabled(device),
            torch.get_autocast_dtype(device),
        )
        if key not in self._zeros:
            self._tapped_model.calls = {}
            with torch.no_grad():
                self._tapped_model(batch)
            calls, outputs = self._tapped_model.named_calls(), self._tapped_model.outputs
            shapes = [(outputs[tap].shape, outputs[tap].dtype) for tap in calls.values()]
            self._zeros[key] = _Taps(calls, shapes)
            self._tapped_model.forget()
        return self._zeros[key]


@dataclass(frozen=True)
class _Taps:
    """Where one shape of batch is tapped.

    - ``calls``: by name of a call, its module's number and its own
    - ``shapes``: in the same order, shape and type of what these calls give
    """

    calls: dict[str, tuple[int, int]]
    shapes: list[tuple[torch.Size, torch.dtype]]


@contextmanager
def several_backwards() -> Iterator[None]:
    """One compiled forward pass may have several backward passes in here, one for each target."""
    import torch._functorch.config as functorch

    # Donated buffers are freed, or written over, by the first; torch's own error names this switch.
    with functorch.patch(donated_buffer=False):
        yield


class _TappedModel(nn.Module):
    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model = _weight_sharing_copy(model)
        self.names = names
        modules = dict(named_layers(self.model, remove_duplicate=False))
        # Modules by number, since one may have several names.
        self.numbers = {name: _index(modules, split_call(name)[0]) for name in names}
        self.zeros_by_tap: dict[tuple[int, int], Tensor] = {}
        self.outputs: dict[tuple[int, int], Tensor] = {}
        self.counts: dict[int, int] = {}
        # Those looked at, known after a plain pass.
        self.calls: dict[str, tuple[int, int]] = {}
        bases = {number: split_call(name)[0] for name, number in self.numbers.items()}
        for number, base in bases.items():
            modules[base].register_forward_hook(self._hook(number, base))

    def forward(self, batch: Tensor, *zeros: Tensor) -> tuple[Any, list[Tensor]]:
        self.zeros_by_tap = dict(zip(self.calls.values(), zeros, strict=False))
        self.outputs = {}
        self.counts = dict.fromkeys(self.numbers.values(), 0)
        output = self.model(batch)
        return output, [self.outputs[tap] for tap in self.calls.values()]

    def named_calls(self) -> dict[str, tuple[int, int]]:
        """The calls of the last pass as in ``_Taps``; InputError for a layer it didn't call."""
        calls = {}
        for name, number in self.numbers.items():
            base, call = split_call(name)
            count = self.counts[number]
            check_called(self.model, name, {base: count})
            for index in range(count) if call is None else (call,):
                calls[call_name(base, index, count)] = (number, index)
        return calls

    def forget(self) -> None:
        """Let go of the last batch's tensors."""
        self.zeros_by_tap, self.outputs, self.counts = {}, {}, {}

    def _hook(self, number: int, name: str) -> Any:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            tensor = tensor_in(output, name)
            tap = (number, self.counts[number])
            self.outputs[tap] = tensor
            self.counts[number] += 1
            zero = self.zeros_by_tap.get(tap)
            # A new tensor either way: the next operation may write into it.
            return with_tensor(output, tensor.clone() if zero is None else tensor + zero)

        return after


def _index(modules: dict[str, nn.Module], name: str) -> int:
    """Which of the different modules is called ``name``."""
    numbers: dict[nn.Module, int] = {}
    for module in modules.values():
        numbers.setdefault(module, len(numbers))
    return numbers[modules[name]]


def _weight_sharing_copy(model: nn.Module) -> nn.Module:
    """A copy of the modules that shares all parameters and buffers."""
    shared: dict[int, Any] = {id(t): t for t in (*model.parameters(), *model.buffers())}
    try:
        return copy.deepcopy(model, shared)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"{type(model).__name__} can't be copied, which compiling needs: {error}; "
            "run with --no-compile"
        ) from error

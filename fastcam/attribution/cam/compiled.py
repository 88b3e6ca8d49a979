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
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.cam.split import Split, check_run
from fastcam.attribution.modules import frozen_eval, tensor_in, with_tensor
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
        self._layers = layers
        self._run: Callable[..., tuple[Any, list[Tensor]]] = torch.compile(
            self._tapped_model, backend=backend
        )
        self._zeros: dict[Any, list[tuple[torch.Size, torch.dtype]]] = {}

    def __call__(self, batch: Tensor, gradients: bool = True) -> Split:
        with torch.inference_mode(False), frozen_eval(self._tapped_model):
            batch = batch.clone() if batch.is_inference() else batch.detach()
            if not gradients:
                with torch.no_grad():
                    output, activations = self._run(batch)
                return Split(output, dict(zip(self._layers, activations, strict=True)), {})
            zeros = [
                torch.zeros(shape, dtype=dtype, device=batch.device, requires_grad=True)
                for shape, dtype in self._shapes(batch)
            ]
            with torch.enable_grad():
                output, activations = self._run(batch, *zeros)
            self._tapped_model.forget()
        return Split(
            output,
            {name: a.detach() for name, a in zip(self._layers, activations, strict=True)},
            dict(zip(self._layers, zeros, strict=True)),
        )

    def _shapes(self, batch: Tensor) -> list[tuple[torch.Size, torch.dtype]]:
        device = batch.device.type
        # Autocast decides what the layers give.
        key = (
            batch.shape,
            batch.dtype,
            torch.is_autocast_enabled(device),
            torch.get_autocast_dtype(device),
        )
        if key not in self._zeros:
            with torch.no_grad():
                self._tapped_model(batch)
            check_run(self._layers, self._tapped_model.outputs)
            self._tapped_model.last_call = dict(self._tapped_model.calls)
            self._zeros[key] = [
                (
                    self._tapped_model.outputs[name].shape,
                    self._tapped_model.outputs[name].dtype,
                )
                for name in self._layers
            ]
            self._tapped_model.forget()
        return self._zeros[key]


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
        self.zeros_by_name: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self.calls: dict[str, int] = {}
        # Which call of each layer is its last, the one that counts; known after a plain pass.
        self.last_call: dict[str, int] = {}
        for name in names:
            self.model.get_submodule(name).register_forward_hook(self._hook(name))

    def forward(self, batch: Tensor, *zeros: Tensor) -> tuple[Any, list[Tensor]]:
        self.zeros_by_name = dict(zip(self.names, zeros, strict=False))
        self.outputs = {}
        self.calls = dict.fromkeys(self.names, 0)
        output = self.model(batch)
        return output, [self.outputs[name] for name in self.names if name in self.outputs]

    def forget(self) -> None:
        """Let go of the last batch's tensors."""
        self.zeros_by_name, self.outputs, self.calls = {}, {}, {}

    def _hook(self, name: str) -> Any:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            tensor = tensor_in(output, name)
            self.outputs[name] = tensor
            self.calls[name] += 1
            zero = (
                self.zeros_by_name.get(name)
                if self.calls[name] == self.last_call.get(name)
                else None
            )
            # A new tensor either way: the next operation may write into it.
            return with_tensor(output, tensor.clone() if zero is None else tensor + zero)

        return after


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

"""Record the attention of any model while it runs, with no change to it, fused kernels staying on.

with capture(model, lambda call: call.attention.row(0)) as recording:
    output = model(images)
recording.records        # one Record for each call, in order

A ``TorchFunctionMode`` sees what a model calls: ``F.scaled_dot_product_attention``, softmax over
scores, and the sigmoid of a channel gate. ``nn.MultiheadAttention`` makes its calls within
``F.multi_head_attention_forward``, where no mode looks; that function is run with two of its
names replaced. Its fast path would be one opaque call and is switched off meanwhile. No hooks are
set: the module's path is read from the calling frames.

Under ``torch.compile`` the mode stands outside the compiled call: Dynamo traces what it does into
the graph, so records come out of the compiled code, with the path "" and without gates.
``nn.MultiheadAttention`` breaks the graph there. Measured with PyTorch 2.13.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fastcam.attribution.attention.calls import (
    flow_of,
    scores_of,
    separable_modules,
    separate_patches,
    softmax_axis,
    softmax_flow,
    weights_of,
)
from fastcam.attribution.attention.records import (
    KINDS,
    Attention,
    AttentionCall,
    AttentionFlow,
    Kind,
    Record,
    Reducer,
    Weights,
)
from fastcam.attribution.attention.sdpa_override import overridden_sdpa
from fastcam.attribution.layer_names import named_layers

# PyTorch's own, whatever stands in its place later.
_SDPA = F.scaled_dot_product_attention

SOFTMAX = (F.softmax, torch.softmax, torch.Tensor.softmax, torch.special.softmax)
_SIGMOID = (
    torch.sigmoid,
    torch.sigmoid_,
    torch.Tensor.sigmoid,
    torch.Tensor.sigmoid_,
    torch.special.expit,
    F.hardsigmoid,
)
_TIMES = (
    torch.mul,
    torch.multiply,
    torch.Tensor.mul,
    torch.Tensor.mul_,
    torch.Tensor.multiply,
    torch.Tensor.multiply_,
    torch.Tensor.__mul__,
    torch.Tensor.__rmul__,
    torch.Tensor.__imul__,
)


# Given a call and its values (b, h, m, d): what the call returns and what the record keeps, or None
# where PyTorch's kernel had better make the call and ``reduce`` see it.
Replacement = Callable[[AttentionCall, Tensor], tuple[Tensor, Any] | None]


@contextmanager
def capture(
    model: nn.Module,
    reduce: Reducer,
    kinds: Sequence[Kind] = KINDS,
    replacement: Replacement | None = None,
    paths: dict[int, str] | None = None,
    by_name: bool = False,
) -> Iterator[Capture]:
    """While it is open, every attention call of ``model`` is given to ``reduce``.

    ``kinds``: those to record. ``paths``: those of the model's modules, where :func:`paths_of` was
    asked before (0.4 ms for a ViT). ``by_name``: the model is known to attend only through
    ``F.scaled_dot_product_attention`` (:mod:`.sdpa_override`); records then have the path "". The
    calls are made as they are, by the kernels PyTorch chooses; the model's output is the same to
    the last bit (to rounding where the fast path of ``nn.MultiheadAttention`` would have been
    taken, or where ``replacement`` made the call). Everything is undone at the end, also when the
    model raises.
    """
    mode = Capture(model, reduce, kinds, replacement, {} if by_name else paths)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with overridden_sdpa(mode.attend) if by_name else mode:
            yield mode
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


class Capture(TorchFunctionMode):
    """The mode itself; ``records`` grows while the model runs."""

    def __init__(
        self,
        model: nn.Module,
        reduce: Reducer,
        kinds: Sequence[Kind] = KINDS,
        replacement: Replacement | None = None,
        paths: dict[int, str] | None = None,
    ) -> None:
        super().__init__()
        self.records: list[Record] = []
        self._model = model
        self._reduce = reduce
        self._replacement = replacement
        self._kinds = frozenset(kinds)
        self._names = paths_of(model) if paths is None else paths
        self._gates: list[Tensor] = []
        self._handlers = self._handler_table()

    def _handler_table(self) -> dict[Any, Callable[..., Any]]:
        handlers: dict[Any, Callable[..., Any]] = {F.multi_head_attention_forward: self._multi_head}
        if "sdpa" in self._kinds:
            handlers[_SDPA] = self.attend
        if self._kinds & {"softmax", "pooling"}:
            handlers |= dict.fromkeys(SOFTMAX, self._softmax)
        if "gate" in self._kinds:
            handlers |= dict.fromkeys(_SIGMOID, self._sigmoid) | dict.fromkeys(_TIMES, self._times)
        return handlers

    # PyTorch calls this for every function and attribute of tensors, some twenty times a block:
    # whatever isn't watched goes through with one look-up.
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        handler = self._handlers.get(func)
        if handler is None:
            return func(*args, **kwargs) if kwargs else func(*args)
        return handler(func, args, kwargs or {})

    def attend(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """``F.scaled_dot_product_attention``, recorded."""
        if self._replacement is not None:
            result = self._replacement_result(self._replacement, *args, **kwargs)
            if result is not None:
                return result
        output = func(*args, **kwargs)
        flow = None
        if not torch.compiler.is_compiling():
            flow = flow_of(output, args[2] if len(args) > 2 else kwargs["value"])
        self._record("sdpa", scores_of(*args, **kwargs), flow=flow)
        return output

    def _replacement_result(
        self,
        replacement: Replacement,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **keywords: Any,
    ) -> Tensor | None:
        if dropout_p or query.ndim != 4:
            return None
        scores = scores_of(query, key, value, attn_mask, dropout_p, is_causal, **keywords)
        call = AttentionCall(self._path(), "sdpa", scores)
        with torch.no_grad(), _modes_off():
            result = replacement(call, value)
        if result is None:
            return None
        self.records.append(Record(call.path, "sdpa", scores.shape, result[1]))
        return result[0]

    def _softmax(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        if args and isinstance(args[0], nn.Parameter) and args[0].ndim == 1:
            return output  # the same for every image: the weights of layers, say
        axis = softmax_axis(output, *args[1:], **kwargs)
        kind_and_weights = weights_of(output, axis)
        if kind_and_weights is not None and kind_and_weights[0] in self._kinds:
            kind, weights = kind_and_weights
            matrix = kind == "softmax" and not torch.compiler.is_compiling()
            flow = softmax_flow(output, axis) if matrix else None
            if kind == "softmax" and self._separable and self._path() in self._separable:
                weights, flow = separate_patches(weights, flow)
            self._record(kind, weights, flow=flow)
        return output

    def _multi_head(self, func: FunctionType, args: Any, kwargs: dict[str, Any]) -> Any:
        heads = args[4] if len(args) > 4 else kwargs["num_heads"]

        def sdpa(*inner: Any, **keywords: Any) -> Tensor:
            if "sdpa" not in self._kinds:
                return F.scaled_dot_product_attention(*inner, **keywords)
            output: Tensor = self.attend(F.scaled_dot_product_attention, inner, keywords)
            return output

        def softmax(scores: Tensor, dim: int) -> Tensor:
            output = F.softmax(scores, dim=dim)
            if "softmax" in self._kinds:
                weights = Weights(output.detach().reshape(-1, heads, *output.shape[1:]))
                flow = AttentionFlow(output, None, lambda t: t.reshape(-1, heads, *t.shape[1:]))
                self._record("softmax", weights, flow=flow)
            return output

        replacements = {
            "scaled_dot_product_attention": sdpa,
            "softmax": softmax,
            "has_torch_function": _has_no_overrides,
        }
        function = FunctionType(
            func.__code__,
            {**func.__globals__, **replacements},
            func.__name__,
            func.__defaults__,
            func.__closure__,
        )
        function.__kwdefaults__ = func.__kwdefaults__
        return function(*args, **kwargs)

    def _sigmoid(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        # Of parameters (a learned scale) it is the same for every image, and no gate.
        fixed = bool(args) and isinstance(args[0], nn.Parameter)
        if not fixed and not torch.compiler.is_compiling() and _per_channel(output):
            self._gates.append(output)
        return output

    def _times(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if self._gates and len(args) == 2 and all(isinstance(arg, Tensor) for arg in args):
            self._match(*args)
        return func(*args, **kwargs)

    def _match(self, first_factor: Tensor, second_factor: Tensor) -> None:
        for index, gate in enumerate(self._gates):
            for factor, features in ((first_factor, second_factor), (second_factor, first_factor)):
                if _gates(factor, features, gate):
                    del self._gates[index]
                    weights = Weights(gate.reshape(gate.shape[0], 1, 1, -1))
                    first = features.shape[1] == weights.shape[3]
                    self._record("gate", weights, features if first else features.movedim(-1, 1))
                    return

    @functools.cached_property
    def _separable(self) -> frozenset[str]:
        """Paths of the modules whose attention is separable."""
        return separable_modules(self._model)

    def _record(
        self,
        kind: Kind,
        attention: Attention,
        features: Tensor | None = None,
        flow: AttentionFlow | None = None,
    ) -> None:
        call = AttentionCall(self._path(), kind, attention, features, flow)
        with torch.no_grad(), _modes_off():
            value = self._reduce(call)
        self.records.append(Record(call.path, kind, attention.shape, value))

    def _path(self) -> str:
        if not self._names or torch.compiler.is_compiling():
            return ""
        frame = sys._getframe(3)
        while frame is not None:
            name = self._names.get(id(frame.f_locals.get("self")))
            if name is not None:
                return name
            frame = frame.f_back  # type: ignore[assignment]
        return ""


def _per_channel(gate: Tensor) -> bool:
    sizes = [size for size in gate.shape[1:] if size > 1]
    return gate.ndim > 1 and len(sizes) == 1


def _gates(factor: Tensor, features: Tensor, gate: Tensor) -> bool:
    """Whether ``factor`` is ``gate``, or a view of it, that multiplies channels of features."""
    channels = gate.numel() // gate.shape[0]
    if features.ndim < 3 or features.numel() <= gate.numel() or len(features) != len(gate):
        return False
    if channels not in (features.shape[1], features.shape[-1]):
        return False
    return factor.untyped_storage().data_ptr() == gate.untyped_storage().data_ptr()


def paths_of(model: nn.Module) -> dict[int, str]:
    """Dotted path of every module by its id; a call within nn.Softmax belongs to its parent."""
    return {
        id(module): name
        for name, module in named_layers(model)
        if not isinstance(module, nn.Softmax | nn.Sigmoid)
    }


def _modes_off() -> AbstractContextManager[Any]:
    """No mode of anybody's sees the reducer's own arithmetic: its softmax isn't the model's."""
    if torch.compiler.is_compiling():
        return nullcontext()
    hidden: AbstractContextManager[Any] = torch._C.DisableTorchFunction()
    return hidden


def _has_no_overrides(_tensors: Any) -> bool:
    return False

"""Record the attention of any model while it runs, with no change to it, fused kernels staying on.

with capture(model, query_row(0)) as seen:
    output = model(images)
seen.records        # one Record for each call, in order

A ``TorchFunctionMode`` sees what a model calls: ``F.scaled_dot_product_attention``, softmax over
scores, and the sigmoid of a channel gate. ``nn.MultiheadAttention`` makes its calls within
``F.multi_head_attention_forward``, where no mode looks; that function is run with two of its
names exchanged. Its fast path would be one opaque call and is switched off meanwhile. No hooks are
set: the module's path is read from the calling frames.

Under ``torch.compile`` the mode stands outside the compiled call: Dynamo traces what it does into
the graph, so records come out of the compiled code, with the path "" and without gates.
``nn.MultiheadAttention`` breaks the graph there. Measured with PyTorch 2.13.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fastcam.attribution.records import (
    KINDS,
    Attention,
    AttentionCall,
    Kind,
    Record,
    Reducer,
    Scores,
    Weights,
)

_SOFTMAX = (F.softmax, torch.softmax, torch.Tensor.softmax, torch.special.softmax)
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


@contextmanager
def capture(model: nn.Module, reduce: Reducer, kinds: Sequence[Kind] = KINDS) -> Iterator[Capture]:
    """While it is open, every attention call of ``model`` is given to ``reduce``.

    ``kinds``: those to record. The calls are made as they are, by the kernels PyTorch chooses;
    the model's output is the same to the last bit (to rounding where the fast path of
    ``nn.MultiheadAttention`` would have been taken). Everything is undone at the end, also when
    the model raises.
    """
    mode = Capture(model, reduce, kinds)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with mode:
            yield mode
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


class Capture(TorchFunctionMode):
    """The mode itself; ``records`` grows while the model runs."""

    def __init__(self, model: nn.Module, reduce: Reducer, kinds: Sequence[Kind] = KINDS) -> None:
        super().__init__()
        self.records: list[Record] = []
        self._reduce = reduce
        self._kinds = frozenset(kinds)
        self._names = _names(model)
        self._gates: list[Tensor] = []
        self._watched = self._table()

    def _table(self) -> dict[Any, Callable[..., Any]]:
        watched: dict[Any, Callable[..., Any]] = {F.multi_head_attention_forward: self._multi_head}
        if "sdpa" in self._kinds:
            watched[F.scaled_dot_product_attention] = self._sdpa
        if self._kinds & {"softmax", "pooling"}:
            watched |= dict.fromkeys(_SOFTMAX, self._softmax)
        if "gate" in self._kinds:
            watched |= dict.fromkeys(_SIGMOID, self._sigmoid) | dict.fromkeys(_TIMES, self._times)
        return watched

    # PyTorch calls this for every function and attribute of tensors, some twenty times a block:
    # whatever isn't watched goes through with one look-up.
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        watch = self._watched.get(func)
        if watch is None:
            return func(*args, **kwargs) if kwargs else func(*args)
        return watch(func, args, kwargs or {})

    def _sdpa(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        self._record("sdpa", scores_of(*args, **kwargs))
        return output

    def _softmax(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        found = weights_of(output, _softmax_axis(output, *args[1:], **kwargs))
        if found is not None and found[0] in self._kinds:
            self._record(*found)
        return output

    def _multi_head(self, func: FunctionType, args: Any, kwargs: dict[str, Any]) -> Any:
        heads = args[4] if len(args) > 4 else kwargs["num_heads"]

        def sdpa(*inner: Any, **named: Any) -> Tensor:
            output: Tensor = F.scaled_dot_product_attention(*inner, **named)
            if "sdpa" in self._kinds:
                self._record("sdpa", scores_of(*inner, **named))
            return output

        def softmax(scores: Tensor, dim: int) -> Tensor:
            output = F.softmax(scores, dim=dim)
            if "softmax" in self._kinds:
                weights = output.detach()
                self._record("softmax", Weights(weights.reshape(-1, heads, *weights.shape[1:])))
            return output

        exchanged = {
            "scaled_dot_product_attention": sdpa,
            "softmax": softmax,
            "has_torch_function": _no,
        }
        inside = FunctionType(
            func.__code__,
            {**func.__globals__, **exchanged},
            func.__name__,
            func.__defaults__,
            func.__closure__,
        )
        inside.__kwdefaults__ = func.__kwdefaults__
        return inside(*args, **kwargs)

    def _sigmoid(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        if not torch.compiler.is_compiling() and _per_channel(output):
            self._gates.append(output)
        return output

    def _times(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if self._gates and len(args) == 2 and all(isinstance(arg, Tensor) for arg in args):
            self._match(*args)
        return func(*args, **kwargs)

    def _match(self, left: Tensor, right: Tensor) -> None:
        for index, gate in enumerate(self._gates):
            for factor, features in ((left, right), (right, left)):
                if _gates(factor, features, gate):
                    del self._gates[index]
                    weights = Weights(gate.reshape(gate.shape[0], 1, 1, -1))
                    first = features.shape[1] == weights.shape[3]
                    self._record("gate", weights, features if first else features.movedim(-1, 1))
                    return

    def _record(self, kind: Kind, attention: Attention, features: Tensor | None = None) -> None:
        call = AttentionCall(self._path(), kind, attention, features)
        with torch.no_grad(), _unseen():
            value = self._reduce(call)
        self.records.append(Record(call.path, kind, attention.shape, value))

    def _path(self) -> str:
        if torch.compiler.is_compiling():
            return ""
        frame = sys._getframe(3)
        while frame is not None:
            name = self._names.get(id(frame.f_locals.get("self")))
            if name is not None:
                return name
            frame = frame.f_back  # type: ignore[assignment]
        return ""


def scores_of(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Scores:
    """The arguments of ``F.scaled_dot_product_attention`` with axes (b, h, n, d).

    Inputs (b, h, n, d); with other leading axes they are all b, and h is 1. Dropout is left out.
    """
    lead = query.shape[:-2]
    mask = attn_mask
    if len(lead) != 2:
        # Two windows on the way (Hiera), or none; rare, so copies don't matter.
        if enable_gqa:
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        if mask is not None:
            mask = mask.expand(*lead, query.shape[-2], key.shape[-2])
            mask = mask.reshape(_four(mask, lead))
        query = query.reshape(_four(query, lead))
        key = key.expand(*lead, *key.shape[-2:]).reshape(_four(key, lead))
    return Scores(
        query.detach(),
        key.detach(),
        query.shape[-1] ** -0.5 if scale is None else scale,
        None if mask is None else mask.detach(),
        is_causal,
    )


def weights_of(output: Tensor, axis: int) -> tuple[Kind, Weights] | None:
    """What a softmax along ``axis`` is: matrices (b, h, n, m), pooling (b, 1, 1, m), or None.

    The keys are the axis that sums to one; it is moved to the end where it is the last but one.
    A softmax with nothing along any other axis than images is pooling. One along another axis
    (the choice among branches, say) isn't attention between places.
    """
    axis %= max(output.ndim, 1)
    if output.shape[axis : axis + 1].numel() < 2:
        return None
    batch = output.shape[0] if output.ndim > 1 and axis != 0 else 1
    if output.numel() == batch * output.shape[axis]:
        return "pooling", Weights(output.detach().reshape(batch, 1, 1, -1))
    if output.ndim == 2:
        # (branches, places) or (places, branches) of a single bag.
        pooled = output if axis == 1 else output.transpose(0, 1)
        return "pooling", Weights(pooled.detach()[None, None])
    if axis < output.ndim - 2:
        return None
    matrix = output if axis == output.ndim - 1 else output.transpose(-1, -2)
    return "softmax", Weights(matrix.detach().reshape(_four(matrix, matrix.shape[:-2])))


def _four(tensor: Tensor, lead: Sequence[int]) -> tuple[int, int, int, int]:
    """Axes (b, h, n, m) of (b, h, n, m); any other number of leading axes is all b."""
    heads = lead[1] if len(lead) == 2 else 1
    return -1, heads, tensor.shape[-2], tensor.shape[-1]


def _softmax_axis(output: Tensor, dim: int | None = None, *_rest: Any, **_named: Any) -> int:
    if isinstance(dim, int):
        return dim
    return 0 if output.ndim in (0, 1, 3) else 1


def _per_channel(gate: Tensor) -> bool:
    sizes = [size for size in gate.shape[1:] if size > 1]
    return gate.ndim > 1 and len(sizes) == 1


def _gates(factor: Tensor, features: Tensor, gate: Tensor) -> bool:
    """Whether ``factor`` is ``gate``, or a view of it, that multiplies channels of features."""
    channels = gate.numel() // gate.shape[0]
    if features.ndim < 3 or features.numel() <= gate.numel():
        return False
    if channels not in (features.shape[1], features.shape[-1]):
        return False
    return factor.untyped_storage().data_ptr() == gate.untyped_storage().data_ptr()


def _names(model: nn.Module) -> dict[int, str]:
    """Dotted path of every module by its id; a call within nn.Softmax belongs to its parent."""
    return {
        id(module): name.replace("_orig_mod.", "").removesuffix("_orig_mod")
        for name, module in model.named_modules()
        if not isinstance(module, nn.Softmax | nn.Sigmoid)
    }


def _unseen() -> AbstractContextManager[Any]:
    """No mode of anybody's sees the reducer's own arithmetic: its softmax isn't the model's."""
    if torch.compiler.is_compiling():
        return nullcontext()
    hidden: AbstractContextManager[Any] = torch._C.DisableTorchFunction()
    return hidden


def _no(_tensors: Any) -> bool:
    return False

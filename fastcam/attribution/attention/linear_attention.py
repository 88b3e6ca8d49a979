"""Softmaxes over places whose sums are weighed anew: no weights from one place to another.

Linear attention normalizes keys alone over the places, for each of their channels, and queries
weigh the sums (Shen et al. 2021, Efficient Attention; Bello 2021, LambdaNetworks; Xu et al. 2021,
CoaT). A state space model multiplies its softmax by other numbers before it sums (Lee et al. 2025,
EfficientViM). They are told from attention by what the model does with them: a mode follows which
tensors are products of two others, softmaxes of anything else, and sums by these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from fastcam.attribution.attention.capture import SOFTMAX, capture, paths_of
from fastcam.attribution.attention.records import AttentionCall, Kind, Record
from fastcam.attribution.modules import eager_mode, eval_mode, tensors_of

_READ = (
    "its softmax is over keys alone, as in linear attention: queries weigh the sums afterwards, by "
    "numbers that may be negative, so it says of no place which others it looks at"
)
_SCALED = (
    "its softmax is multiplied by other numbers of either sign before places are summed, as in a "
    "state space model, so it isn't a place's weight"
)

# What a tensor is. scores: a product of two tensors. weights: a softmax of anything else. sums: by
# such weights. features: all else that depends on the images.
_Role = Literal["features", "scores", "weights", "sums"]
_ORDER: tuple[_Role, ...] = ("features", "scores", "weights", "sums")
_Origins = frozenset[int]

_PRODUCTS = frozenset(
    ("matmul", "__matmul__", "__rmatmul__", "bmm", "mm", "baddbmm", "einsum", "mv")
)
_FACTORS = frozenset(("mul", "multiply", "mul_", "multiply_", "__mul__", "__rmul__", "__imul__"))
# After these what a tensor was is forgotten: it's features.
_NEW = ("linear", "conv", "norm", "scaled_dot_product_attention", "multi_head_attention")


class _Roles(TorchFunctionMode):
    """Follows what tensors are; ``reasons``: by number of a softmax, why it is no attention."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.reasons: dict[int, str] = {}
        self._roles: Any = WeakTensorKeyDictionary()
        self._softmaxes: Any = WeakTensorKeyDictionary()
        self._count = 0
        self._roles[images] = ("features", _Origins())

    def number(self, output: Tensor) -> int | None:
        """The number of the softmax that gave ``output``."""
        number: int | None = self._softmaxes.get(output)
        return number

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = [t for t in tensors_of((*args, *kwargs.values())) if t in self._roles]
        # Before it is called: it may write into what it was given.
        found = self._role(func, inputs) if inputs else None
        output = func(*args, **kwargs)
        if found is not None:
            for tensor in tensors_of((output,)):
                self._roles[tensor] = found
                if func in SOFTMAX:
                    self._softmaxes[tensor] = self._count
        return output

    def _role(self, func: Any, inputs: Sequence[Tensor]) -> tuple[_Role, _Origins]:
        roles = [self._roles[tensor] for tensor in inputs]
        strongest: tuple[_Role, _Origins] = max(roles, key=lambda role: _ORDER.index(role[0]))
        name = getattr(func, "__name__", "")
        if func in SOFTMAX:
            self._count += 1
            attends = strongest[0] == "scores"
            return ("features", _Origins()) if attends else ("weights", _Origins({self._count}))
        if any(part in name for part in _NEW):
            return "features", _Origins()
        if len(inputs) < 2:
            return strongest
        if name in _PRODUCTS:
            return self._product([*roles])
        if name in _FACTORS and strongest[0] == "weights":
            if inputs[0].shape != inputs[1].shape:
                return "sums", strongest[1]
            self._refuse(strongest[1], _SCALED)
        return strongest

    def _product(self, roles: Sequence[tuple[_Role, _Origins]]) -> tuple[_Role, _Origins]:
        """What a product of matrices is: of sums, queries that read them."""
        for role, origins in roles:
            if role == "sums":
                of_queries = [own for other, own in roles if other == "weights"]
                self._refuse(origins.union(*of_queries), _READ)
                return "features", _Origins()
        for role, origins in roles:
            if role == "weights":
                return "sums", origins
        return "scores", _Origins()

    def _refuse(self, origins: _Origins, reason: str) -> None:
        self.reasons = dict.fromkeys(origins, reason) | self.reasons


def reweighed_sums(model: nn.Module, batch: Tensor, records: Sequence[Record]) -> dict[int, str]:
    """By number of a record, why its softmax says of no place which others it looks at.

    ``records`` are those that ``model`` made for ``batch`` (b, c, *S), of every kind but gates. One
    image is run again, where there is a softmax among them that isn't pooling.
    """
    if not any(record.kind == "softmax" for record in records):
        return {}
    kinds: tuple[Kind, ...] = ("sdpa", "softmax", "pooling")
    image = batch[:1].detach().clone()
    roles = _Roles(image)

    def number(call: AttentionCall) -> int | None:
        return None if call.flow is None else roles.number(call.flow.output)

    capturing = capture(model, number, kinds, paths=paths_of(model))
    with torch.no_grad(), eager_mode(model), eval_mode(model), roles, capturing as recording:
        model(image)
    again = [r for r in recording.records if r.kind in {record.kind for record in records}]
    if [(r.kind, r.path) for r in again] != [(r.kind, r.path) for r in records]:
        return {}
    numbers = {r.value: index for index, r in enumerate(again) if r.value is not None}
    return {numbers[n]: reason for n, reason in roles.reasons.items() if n in numbers}

"""Batch normalizations computed by the convolutions before them, in arithmetic of low precision.

In eval mode a normalization of y = w * x + b, γ (y - μ) / √(σ² + ε) + β, is a convolution itself,
of weights w γ / √(σ² + ε) and bias β + (b - μ) γ / √(σ² + ε). On a CPU in bfloat16 normalizations
are a fifth of a ResNet-50's forward pass, and converting weights for every batch is a twentieth.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from fastcam.attribution.batch_maps import BatchMaps, Engine, Targets
from fastcam.attribution.modules import eager_module, is_compiled, tensors_of

# Names of a convolution and of the normalization that alone sees what it gives.
NormPair = tuple[str, str]

# Not their subclasses, which may compute anything.
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# What is asked of a tensor without using its values.
_QUESTIONS = (
    "__get__", "__len__", "dim", "size", "numel", "stride", "is_contiguous", "is_floating_point",
)  # fmt: skip
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


@contextmanager
def seen_pairs(model: nn.Module) -> Iterator[list[NormPair]]:
    """The pairs of ``model`` that a forward pass within the block shows, in the list at its end.

    A pair is a convolution and a batch normalization of which each was called as often as the
    other, always with that convolution's output, which nothing else has used, and which nothing
    holds when the block ends, as what the pass returned would.
    """
    pairs: list[NormPair] = []
    module = eager_module(model)
    if isinstance(module, torch.jit.ScriptModule):
        yield pairs
        return
    watch = _Watch()
    handles = []
    names: dict[nn.Module, str] = {}
    try:
        for name, part in module.named_modules():
            if type(part) in _CONVOLUTIONS and part.padding_mode == "zeros":
                names[part] = name
                handles.append(part.register_forward_hook(watch.convolved))
            elif type(part) in _NORMS and part.running_mean is not None:
                names[part] = name
                handles.append(part.register_forward_pre_hook(watch.normalizes))
        with watch:
            yield pairs
    finally:
        for handle in handles:
            handle.remove()
    pairs += [(names[conv], names[norm]) for conv, norm in watch.pairs()]


class _Watch(TorchFunctionMode):
    """Follows what convolutions give until it is normalized."""

    def __init__(self) -> None:
        super().__init__()
        self._outputs: dict[int, tuple[weakref.ref[Tensor], nn.Module]] = {}
        self._calls: Counter[nn.Module] = Counter()
        self._matches: Counter[tuple[nn.Module, nn.Module]] = Counter()
        self._others: set[nn.Module] = set()
        self._normalized: Tensor | None = None

    def convolved(self, conv: nn.Module, _args: Any, output: Any) -> None:
        """A forward hook of convolutions."""
        self._calls[conv] += 1
        if isinstance(output, Tensor):
            self._outputs[id(output)] = weakref.ref(output), conv

    def normalizes(self, norm: nn.Module, args: tuple[Any, ...]) -> None:
        """A forward pre-hook of normalizations."""
        self._calls[norm] += 1
        conv = self._source(args[0]) if len(args) == 1 else None
        if conv is not None:
            self._matches[conv, norm] += 1
            # The next use of it, which is the normalization's own.
            self._normalized = args[0]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _QUESTIONS and not isinstance(result, Tensor):
            return result
        for value in tensors_of([*args, *(kwargs or {}).values()]):
            if func is functional.batch_norm and value is self._normalized:
                self._normalized = None
            elif (conv := self._source(value)) is not None:
                self._others.add(conv)
        return result

    def _source(self, value: Any) -> nn.Module | None:
        """The convolution that gave this very tensor; None where none did."""
        output, conv = self._outputs.get(id(value), (None, None))
        return conv if output is not None and output() is value else None

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Those that it has seen."""
        held = {conv for output, conv in self._outputs.values() if output() is not None}
        norms = Counter(conv for conv, _ in self._matches)
        return [
            (conv, norm)
            for (conv, norm), count in self._matches.items()
            if self._calls[conv] == self._calls[norm] == count
            and norms[conv] == 1
            and conv not in self._others | held
        ]


@contextmanager
def folded(
    model: nn.Module, pairs: Sequence[NormPair], dtype: torch.dtype, engine: Engine
) -> Iterator[Engine]:
    """``engine``, whose ``model`` computes ``pairs`` in autocast to ``dtype`` as one convolution
    each while the block is open.

    Not where somebody looks at what is between the two, by hooks. Where a convolution's output goes
    another way than in the pass that showed the pairs, the batch is run again as if there were none
    of them, and so are those after it.
    """
    module = eager_module(model)
    if not pairs or any(map(is_compiled, model.modules())):
        yield engine
        return
    parts = dict(module.named_modules())
    folds = [_Fold(parts[conv], parts[norm], dtype) for conv, norm in pairs]

    def run(batch: Tensor, targets: Targets = None) -> BatchMaps:
        for fold in folds:
            fold.begin()
        result = engine(batch, targets)
        if any(fold.went_astray for fold in folds):
            for fold in folds:
                fold.close()
            folds.clear()
            result = engine(batch, targets)
        return result

    try:
        for fold in folds:
            fold.open()
        yield run
    finally:
        for fold in folds:
            fold.close()


@dataclass(eq=False)
class _Fold:
    """A convolution that normalizes its output, and a normalization that passes that on."""

    conv: Any
    norm: Any
    dtype: torch.dtype
    _weights: tuple[Tensor, Tensor] | None = None
    _output: weakref.ref[Tensor] | None = None
    _lost: bool = False

    def begin(self) -> None:
        """A call of the engine begins."""
        self._output, self._lost = None, False

    @property
    def went_astray(self) -> bool:
        """Whether some output of the convolution has not been normalized."""
        return self._lost or self._output is not None

    def open(self) -> None:
        """Let the two modules do so."""
        conv, norm = self.conv, self.norm
        if conv.weight.dtype != torch.float32 or {"forward"} & (vars(conv).keys() | vars(norm)):
            return
        with torch.no_grad():
            folded_weight, folded_bias = fuse_conv_bn_weights(
                conv.weight,
                conv.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            layout = _LAYOUTS.get(folded_weight.ndim, torch.contiguous_format)
            weight = folded_weight.detach().to(self.dtype).contiguous(memory_format=layout)
            self._weights = weight, folded_bias.detach().to(self.dtype)
        conv.forward, norm.forward = self._convolve, self._normalize

    def close(self) -> None:
        """Let them be as they were."""
        if self._weights is not None:
            del self.conv.forward, self.norm.forward
            self._weights = None

    def _is_seen(self) -> bool:
        return any(getattr(part, hooks) for part in (self.conv, self.norm) for hooks in _HOOKS)

    def _convolve(self, images: Tensor) -> Tensor:
        conv, weights = self.conv, self._weights
        device = images.device.type
        if (
            weights is None
            or self._is_seen()
            or self.norm.training
            or not torch.is_autocast_enabled(device)
            or torch.get_autocast_dtype(device) != self.dtype
        ):
            output: Tensor = type(conv).forward(conv, images)
            return output
        output = conv._conv_forward(images, *weights)
        self._lost |= self._output is not None
        self._output = weakref.ref(output)
        return output

    def _normalize(self, values: Tensor) -> Tensor:
        if self._output is not None and self._output() is values:
            self._output = None
            return values
        output: Tensor = type(self.norm).forward(self.norm, values)
        return output

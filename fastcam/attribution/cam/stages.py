"""The last layer of each stage of a model: maps from shallow to deep."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from fastcam.attribution.cam.detector_layers import before_the_boxes
from fastcam.attribution.cam.layers import Candidate, candidates, default_layer, is_detector
from fastcam.attribution.cam.reshape import layout_of
from fastcam.attribution.modules import ForwardHook, after_every_module, frozen_forward

# Four depths are what people compare, and a row of four fits on a page.
_DEPTHS = 4
_CONVOLUTION = nn.modules.conv._ConvNd
_NUMBERED = re.compile(r"(^|[._])\d+$")
_SHORTCUTS = ("downsample", "shortcut", "skip", "residual")


def stage_layers(
    model: nn.Module, example: Tensor, prefix_tokens: int | None = None
) -> tuple[str, ...]:
    """The last convolution before each change of resolution, from shallow to deep.

    Of a ResNet: ``layer1.1.conv2`` ... ``layer4.1.conv2``. A convolution in one of several branches
    stands for the block that puts them together; shortcuts are passed over, and single convolutions
    at the start where four stages follow. Of a transformer of one resolution: the last patches
    that reach the output, and three blocks evenly spaced before them. Of a detector the stages that
    all of its boxes depend on. ``example`` (b, c, h, w) or (b, c, d, h, w), one image. InputError
    where the model has no spatial layer.
    """
    layers = candidates(model, example, prefix_tokens)
    last = default_layer(model, example, prefix_tokens)
    if next(c for c in layers if c.name == last).layout.order == "tokens":
        return _blocks(layers, last)
    convolutions = _convolutions(model, example)
    if is_detector(model, example):
        names = [*(c.name for c in layers), *(c.name for c in convolutions)]
        kept = set(before_the_boxes(model, example, names))
        layers = [c for c in layers if c.name in kept]
        convolutions = [c for c in convolutions if c.name in kept]
    stages = _stages(convolutions)
    if len(stages) < 2:
        # Transformers of several resolutions have one convolution, which cuts the patches.
        ends: dict[tuple[int, ...], str] = {}
        for candidate in layers:
            ends.pop(candidate.layout.grid, None)
            ends[candidate.layout.grid] = candidate.name
        return tuple(ends.values())[-_DEPTHS:]
    while len(stages) > _DEPTHS and len(stages[0]) == 1:
        stages = stages[1:]
    return tuple(dict.fromkeys(_whole(stage[-1], layers) for stage in stages))


@dataclass(frozen=True)
class _Convolution:
    name: str
    channels: int
    grid: tuple[int, ...]

    @property
    def positions(self) -> int:
        return math.prod(self.grid)


def _convolutions(model: nn.Module, example: Tensor) -> list[_Convolution]:
    """Convolutions with maps in the order they finish; by their own hooks, since ``candidates``
    lists the outermost of modules that return one tensor."""
    convolutions: dict[str, _Convolution] = {}

    def hook(name: str) -> ForwardHook:
        def after(module: nn.Module, _inputs: object, output: Tensor) -> None:
            layout = layout_of(model, module, tuple(output.shape), tuple(example.shape[2:]))
            convolutions.pop(name, None)
            if layout is not None:
                convolutions[name] = _Convolution(name, layout.channels, layout.grid)

        return after

    def include(name: str, module: nn.Module) -> bool:
        return isinstance(module, _CONVOLUTION) and not any(word in name for word in _SHORTCUTS)

    with after_every_module(model, hook, include):
        frozen_forward(model, example)
    return list(convolutions.values())


def _stages(convolutions: Sequence[_Convolution]) -> list[list[_Convolution]]:
    """Parted where maps become smaller. What is larger again lies in a branch, or in a decoder,
    and counts for no stage."""
    stages: list[list[_Convolution]] = []
    for layer in convolutions:
        smallest = stages[-1][-1].positions if stages else math.inf
        if layer.positions < smallest:
            if stages:
                _leave_to_next(stages[-1], layer)
            stages.append([layer])
        elif layer.positions == smallest:
            stages[-1].append(layer)
    return stages


def _leave_to_next(stage: list[_Convolution], following: _Convolution) -> None:
    """Drop from the end what belongs to the block that makes maps smaller, such as the 1x1 in front
    of a bottleneck's strided convolution."""
    while len(stage) > 1 and _shared(stage[-1].name, following.name) > _shared(
        stage[-1].name, stage[-2].name
    ):
        stage.pop()


def _shared(first: str, second: str) -> int:
    """How many parts two dotted names begin with alike."""
    parts = zip(first.split("."), second.split("."), strict=False)
    return next((index for index, (a, b) in enumerate(parts) if a != b), 0)


def _whole(layer: _Convolution, layers: Sequence[Candidate]) -> str:
    """The block that puts a branch together with others: around it, of its size, wider."""
    wider = [
        c.name
        for c in layers
        if layer.name.startswith(f"{c.name}.")
        and c.layout.grid == layer.grid
        and c.layout.channels > layer.channels
    ]
    return max(wider, key=len, default=layer.name)


def _blocks(layers: Sequence[Candidate], last: str) -> tuple[str, ...]:
    """Blocks evenly spaced before ``last``, and ``last`` itself."""
    grid = next(c.layout.grid for c in layers if c.name == last)
    names = [
        c.name
        for c in layers
        if c.layout.order == "tokens" and c.layout.grid == grid and _NUMBERED.search(c.name)
    ]
    end = next(
        (index for index, name in enumerate(names) if f"{last}.".startswith(f"{name}.")), None
    )
    before = names if end is None else names[:end]
    count = min(_DEPTHS - 1, len(before))
    # With `last` they end equal parts of the depth.
    selected = [
        before[(index + 1) * (len(before) + 1) // (count + 1) - 1] for index in range(count)
    ]
    return (*dict.fromkeys(selected), last)

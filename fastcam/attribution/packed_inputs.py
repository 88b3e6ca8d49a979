"""Several inputs of a model as one tensor: what reads, halves and masks batches knows only one.

The images lie after each other along the channels, and each number is a plane of its own behind
them. A hook in front of the model's ``forward`` takes them apart again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.modules import eager_module
from fastcam.read.inputs.named_inputs import ModelInput


@dataclass(frozen=True)
class PackedInputs:
    """How inputs lie in a batch (b, c, *S).

    - ``images``, ``numbers``: names of ``forward``'s arguments, in the order of the channels
    - ``channels``: of one image
    - ``layers``: by layer, or call of one, the images that reach it; those that are missing are
      reached by all
    """

    images: tuple[str, ...]
    numbers: tuple[str, ...]
    channels: int
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Sequence[ModelInput], channels: int) -> PackedInputs:
        """Of ``inputs`` whose images have ``channels`` each."""
        images = tuple(entry.name for entry in inputs if entry.kind == "image")
        numbers = tuple(entry.name for entry in inputs if entry.kind == "number")
        return cls(images, numbers, channels)

    @property
    def count(self) -> int:
        """Channels of a batch."""
        return len(self.images) * self.channels + len(self.numbers)

    def pack(self, images: Sequence[Tensor], numbers: Sequence[float]) -> Tensor:
        """One row (count, *S) of images (channels, *S) and numbers, in this order, float32."""
        planes = [torch.full_like(images[0][:1], number) for number in numbers]
        return torch.cat([*images, *planes])

    def unpack(self, batch: Tensor) -> dict[str, Tensor]:
        """The arguments of ``forward``: images (b, channels, *S), numbers (b,)."""
        parts: dict[str, Tensor] = {
            name: batch[:, number * self.channels : (number + 1) * self.channels]
            for number, name in enumerate(self.images)
        }
        first = len(self.images) * self.channels
        for number, name in enumerate(self.numbers, first):
            # A plane has one value: that of its first pixel.
            parts[name] = batch[:, number].flatten(1)[:, 0]
        return parts

    def images_of(self, layer: str) -> tuple[str, ...]:
        """The images that a map of ``layer``, or of one call ``layer#k``, was made of."""
        if layer in self.images and layer not in self.layers:
            return (layer,)
        if layer in self.layers:
            return self.layers[layer]
        calls = [names for name, names in self.layers.items() if name.startswith(f"{layer}#")]
        reached = {name for names in calls for name in names}
        return tuple(name for name in self.images if name in reached) or self.images

    def channels_of(self, names: Sequence[str]) -> Tensor:
        """(count,) bool: the channels of the images called ``names``."""
        planes = [name in names for name in self.images for _ in range(self.channels)]
        return torch.tensor([*planes, *[False] * len(self.numbers)])


class UnpackingHook:
    """A forward pre-hook that calls a model by the names of its arguments."""

    def __init__(self, packed: PackedInputs) -> None:
        self.packed = packed

    def __call__(
        self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if len(args) != 1 or kwargs:
            return None
        return (), self.packed.unpack(args[0])


def packed_inputs_of(model: nn.Module) -> PackedInputs | None:
    """How ``model`` is given several inputs at the moment; None for a model of one image."""
    hooks = eager_module(model)._forward_pre_hooks.values()
    return next((hook.packed for hook in hooks if isinstance(hook, UnpackingHook)), None)


def image_channels(model: nn.Module, layer: str) -> Tensor | None:
    """(c,) bool: the channels of a batch that a map of ``layer`` lies over, which are those that
    may be masked or deleted to test it; None for all of them, of a model of one image."""
    packed = packed_inputs_of(model)
    return None if packed is None else packed.channels_of(packed.images_of(layer))

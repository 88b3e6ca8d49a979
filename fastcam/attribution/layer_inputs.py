"""Which of a model's images reach which of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.cam.layers import candidates, default_layers
from fastcam.attribution.layer_names import call_name, split_call
from fastcam.attribution.modules import (
    ForwardHook,
    after_every_module,
    first_tensor,
    frozen_forward,
)
from fastcam.attribution.packed_inputs import PackedInputs

# What tells one tensor from another: its shape, its sum and the sum of its squares.
_Digest = tuple[tuple[int, ...], float, float]


def with_layers(model: nn.Module, packed: PackedInputs, example: Tensor) -> PackedInputs:
    """``packed`` with the images that reach each call of each layer.

    ``model`` is called as ``packed`` says. Found by one forward pass on ``example`` (b, c, *S), and
    one with each image changed: what a layer gives then is not what it gave before, wherever that
    image reaches it. So nothing needs a gradient. Of the calls of a layer that one of the passes
    doesn't make nothing is said.
    """
    before = _digests(model, example)
    changed = {}
    for number, name in enumerate(packed.images):
        other = example.clone()
        part = other[:, number * packed.channels : (number + 1) * packed.channels]
        part.copy_(part.flip(-1) * 0.5 + 1.0)
        changed[name] = _digests(model, other)
    layers: dict[str, tuple[str, ...]] = {}
    for layer, calls in before.items():
        for call, digest in enumerate(calls):
            reached = tuple(
                name
                for name, of_image in changed.items()
                if call >= len(of_image.get(layer, ())) or of_image[layer][call] != digest
            )
            if reached:
                layers[call_name(layer, call, len(calls))] = reached
    return replace(packed, layers=layers)


def layers_of_every_image(
    model: nn.Module, packed: PackedInputs, example: Tensor, prefix_tokens: int | None = None
) -> tuple[str, ...]:
    """The last spatial layer, and for images that don't reach it the last one that they reach.

    ``packed`` knows the images of the layers, and ``model`` is called as it says.
    """
    layers = list(default_layers(model, example, prefix_tokens))
    covered = _images(packed, layers)
    for candidate in reversed(candidates(model, example, prefix_tokens)):
        reached = _images(packed, candidate.auto)
        if reached - covered:
            layers[:0] = candidate.auto
            covered |= reached
    return tuple(layers)


def _images(packed: PackedInputs, layers: Sequence[str]) -> set[str]:
    """The images that reach ``layers``; none for those that only numbers reach."""
    names = {*packed.layers, *(split_call(name)[0] for name in packed.layers)}
    return {name for layer in layers if layer in names for name in packed.images_of(layer)}


def _digests(model: nn.Module, batch: Tensor) -> dict[str, list[_Digest]]:
    digests: dict[str, list[_Digest]] = {}

    def hook(name: str) -> ForwardHook:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                wide = tensor.detach().double()
                total, squares = torch.stack([wide.sum(), wide.square().sum()]).tolist()
                digests.setdefault(name, []).append((tuple(tensor.shape), total, squares))

        return after

    with after_every_module(model, hook):
        frozen_forward(model, batch)
    return digests

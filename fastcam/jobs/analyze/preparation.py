"""What an analysis asks of a model: how it sees images, and which of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Sign, MapRequest
    from fastcam.read.inputs.preprocess import Fit, Halves, Preprocessing

_HALVES_CHANNELS = 6


def preprocessing(
    model: nn.Module,
    image_size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: Fit | None = None,
    asymmetry: bool | None = None,
    mirror: bool = False,
) -> Preprocessing:
    """How ``model`` sees images. ``asymmetry`` None: as halves where its first convolution has six
    input channels; ``mirror`` turns the right half over. Three numbers of ``mean`` and ``std`` hold
    for both halves. InputError where these don't go together."""
    spec = resolve_preprocessing(model, image_size)
    if len(spec.size) == 3:
        raise InputError("fastcam analyze is for images, and the model takes volumes: use infer")
    if asymmetry is None:
        asymmetry = spec.channels == _HALVES_CHANNELS
    if mirror and not asymmetry:
        raise InputError(
            "--mirror turns over the right half, and this model doesn't see halves: add "
            "--asymmetry or leave --mirror out"
        )
    halves: Halves = "no"
    if asymmetry:
        halves, fit = "mirror" if mirror else "plain", fit or "stretch"
    numbers = [
        own if given is None else _for_halves(given, spec.channels, asymmetry)
        for own, given in ((spec.mean, mean), (spec.std, std))
    ]
    return replace(spec, mean=numbers[0], std=numbers[1], fit=fit or spec.fit, halves=halves)


def _for_halves(given: Sequence[float], channels: int, asymmetry: bool) -> tuple[float, ...]:
    twice = asymmetry and 2 * len(given) == channels
    return (*given, *given) if twice else tuple(given)


def maps_wanted(
    model: nn.Module,
    spec: Preprocessing,
    layers: Sequence[str],
    method: str = "gradcam",
    target: int | None = None,
    sign: Sign = "positive",
    prefix_tokens: int | None = None,
) -> MapRequest:
    """The maps of an analysis; ``layers`` empty or "auto": the last convolution of each stage.
    InputError for a method that isn't a CAM and for layers that don't exist."""
    import torch

    from fastcam.attribution.cam.layers import resolve
    from fastcam.attribution.cam.stages import stage_layers
    from fastcam.attribution.request import CAM_METHODS, MapRequest

    if method not in CAM_METHODS:
        raise InputError(f"--method {method!r}: analyze compares CAMs: {', '.join(CAM_METHODS)}")
    if sign == "both":
        raise InputError("--sign both: the numbers of an analysis are of evidence for or against")
    names = tuple(layers)
    if names in ((), ("auto",)):
        first = next(model.parameters(), None)
        device = None if first is None else first.device
        example = torch.zeros(1, spec.channels, *spec.size, device=device)
        try:
            names = stage_layers(model, example, prefix_tokens)
        except RuntimeError as error:
            raise InputError(
                f"the model fails on a batch of shape {tuple(example.shape)}: "
                f"{str(error).splitlines()[0]}; check --image-size and the channels"
            ) from error
    elif "auto" in names:
        raise InputError("--layer auto goes alone: it finds all layers")
    resolve(model, names)
    classes = () if target is None else (target,)
    return MapRequest((method,), names, classes, sign, prefix_tokens)

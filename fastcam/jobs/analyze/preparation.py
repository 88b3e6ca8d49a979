"""What an analysis finds out about a model: how it sees images, and which of its layers it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fastcam.attribution.box_target import BoxTarget
from fastcam.attribution.cam.layers import called_layers, layer_modules
from fastcam.attribution.cam.stages import stage_layers
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.modules import device_of
from fastcam.attribution.packed_inputs import PackedInputs
from fastcam.attribution.request import CAM_METHODS, MapRequest
from fastcam.attribution.window_plan import WindowPlan
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.models.data_config import by_channel
from fastcam.options import Sign
from fastcam.read.inputs.preprocessing import Fit, Halves, Preprocessing

_HALVES_CHANNELS = 6


def preprocessing_of(
    model: nn.Module,
    image_size: int | Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    fit: Fit | None = None,
    *,
    asymmetry: bool | None = None,
    mirror: bool = False,
) -> Preprocessing:
    """How ``model`` sees images.

    ``asymmetry`` None: as bilateral halves where its first convolution has six input channels;
    ``mirror`` turns the right half over. Three numbers of ``mean`` and ``std`` hold for both
    halves. InputError where these don't go together.
    """
    base = resolve_preprocessing(model, image_size)
    if len(base.size) == 3:
        raise InputError("fastcam analyze is for images, and the model takes volumes: use infer")
    if asymmetry is None:
        asymmetry = base.channels == _HALVES_CHANNELS
    if mirror and not asymmetry:
        raise InputError(
            "--mirror turns over the right half, and this model doesn't see halves: add "
            "--asymmetry or leave --mirror out"
        )
    halves: Halves = "no"
    if asymmetry:
        halves, fit = "mirror" if mirror else "plain", fit or "stretch"
    mean, std = (
        default if given is None else _for_halves(by_channel(name, given), base.channels, asymmetry)
        for name, default, given in (("mean", base.mean, mean), ("std", base.std, std))
    )
    return replace(base, mean=mean, std=std, fit=fit or base.fit, halves=halves)


def _for_halves(numbers: Sequence[float], channels: int, asymmetry: bool) -> tuple[float, ...]:
    twice = asymmetry and 2 * len(numbers) == channels
    return (*numbers, *numbers) if twice else tuple(numbers)


def one_target(target: int | str | None) -> int | BoxTarget | None:
    """What an analysis explains, the number of an output or a box, as ``--target`` has it.

    InputError for any other text.
    """
    if not isinstance(target, str):
        return target
    text = target.strip()
    if text.startswith("box:"):
        return BoxTarget.parse(text)
    if not text.isdecimal():
        raise InputError(
            f"--target {target!r}: give the number of an output, or of a detector box:best, box:N "
            "or box:label:CLASS"
        )
    return int(text)


def map_request(
    model: nn.Module,
    preprocessing: Preprocessing,
    layers: Sequence[str],
    *,
    packed: PackedInputs | None = None,
    method: str = "gradcam",
    target: int | BoxTarget | None = None,
    sign: Sign = "positive",
    prefix_tokens: int | None = None,
    windows: WindowPlan | None = None,
    batch_size: int = MethodSettings.pass_size,
) -> MapRequest:
    """The maps of an analysis; ``layers`` empty or "auto": the last convolution of each stage.

    ``target``: the output that maps explain, or of a detector the box; None: what is predicted.
    ``packed``: how several inputs lie in a batch, where the model is called so. ``windows``: what
    the model sees of an image at a time, ``batch_size`` of them in a pass.
    InputError for a method that isn't a CAM and for layers that don't exist.
    """
    if windows is not None:
        windows.warn_if_whole(preprocessing.size)
        preprocessing = replace(preprocessing, size=windows.sides(preprocessing.size))
    if method not in CAM_METHODS:
        raise InputError(f"--method {method!r}: analyze compares CAMs: {', '.join(CAM_METHODS)}")
    if sign == "both":
        raise InputError("--sign both: the numbers of an analysis are of evidence for or against")
    names = tuple(layers)
    if names in ((), ("auto",)):
        names = _on_example(
            model,
            preprocessing,
            packed,
            lambda example: stage_layers(model, example, prefix_tokens),
        )
    elif "auto" in names:
        raise InputError("--layer auto goes alone: it finds all layers")
    layer_modules(model, names)
    names = _on_example(
        model, preprocessing, packed, lambda example: called_layers(model, names, example)
    )
    boxes = (target,) if isinstance(target, BoxTarget) else ()
    classes = (target,) if isinstance(target, int) else ()
    return MapRequest(
        (method,),
        names,
        classes,
        boxes=boxes,
        sign=sign,
        prefix_tokens=prefix_tokens,
        windows=windows,
        settings=MethodSettings(pass_size=batch_size),
    )


def _on_example(
    model: nn.Module,
    preprocessing: Preprocessing,
    packed: PackedInputs | None,
    find: Callable[[Tensor], tuple[str, ...]],
) -> tuple[str, ...]:
    """What ``find`` finds of an input of the model's size; InputError where the model fails."""
    channels = preprocessing.channels if packed is None else packed.count
    shape = (1, channels, *preprocessing.size)
    try:
        return find(torch.zeros(*shape, device=device_of(model)))
    except RuntimeError as error:
        raise InputError(
            f"the model fails on a batch of shape {shape}: "
            f"{str(error).splitlines()[0]}; check --image-size and the channels"
        ) from error

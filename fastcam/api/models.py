"""``fastcam.load_model``, and what the other functions share of loading a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fastcam.api.arguments import optional_path
from fastcam.api.keyword_messages import keyword_messages
from fastcam.attribution.cam.layers import candidates, default_layers
from fastcam.attribution.engines import default_method
from fastcam.attribution.layer_names import split_call, unwrapped
from fastcam.attribution.model_call import check_arguments
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.jobs.inspect.contents import Inventory
from fastcam.models import registry
from fastcam.models.fewshot.build import FewshotOptions
from fastcam.models.model_files import module_of
from fastcam.options import PathLike


@keyword_messages
def load_model(
    model: str | nn.Module,
    checkpoint: PathLike | None = None,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | Sequence[int] | None = None,
    allow_partial: bool = False,
    fewshot: FewshotOptions | None = None,
) -> nn.Module:
    """A model by its name, in eval mode, on the CPU.

    ``model``: a built-in name (``vit_small``, ``resnet50``, ``patch_attention``, ...),
    ``timm:NAME``, ``torchvision:NAME``, ``hf:FOLDER``, ``monai:CLASS?key=value``,
    ``file.py:factory``, or a module of your own. ``fewshot``: which parts ``fewshot_vit`` has
    (``fastcam.models.fewshot.build.FewshotOptions``). ``checkpoint``: ``.safetensors``, ``.pth``,
    ``.pt`` or ``.ckpt``; only tensors are read from it, nothing in it is run. What is not given is
    taken from the checkpoint.

    Raises :class:`~fastcam.errors.InputError` for an unknown name, a missing package, a file that
    is not a recognized checkpoint or is one for another architecture, and for missing or
    unexpected keys unless ``allow_partial``.
    """
    return registry.load_model(
        model,
        optional_path(checkpoint),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        allow_partial=allow_partial,
        fewshot=fewshot,
    )


def load_with_info(
    model: str | nn.Module,
    checkpoint: PathLike | None,
    image_size: int | Sequence[int] | None,
    **options: Any,
) -> tuple[nn.Module, dict[str, Any]]:
    """A model for a job, and its name and checkpoint as a store keeps them.

    ``image_size`` is for models loaded by name: a module of your own has its size. The other
    options are those of :func:`load_model`.
    """
    name = model if isinstance(model, str) else type(unwrapped(module_of(model))).__name__
    by_name = isinstance(model, str)
    # A module of your own is in eval mode while it runs, and stays what it was.
    training = [m for m in model.modules() if m.training] if isinstance(model, nn.Module) else []
    loaded = load_model(model, checkpoint, image_size=image_size if by_name else None, **options)
    for module in training:
        module.training = True
    return loaded, {"model": name, "checkpoint": checkpoint}


def describe_model(model: str, checkpoint: PathLike | None = None, **options: Any) -> Inventory:
    """The layers of a model that have maps, with their shapes; options as :func:`load_model`."""
    loaded = load_model(model, checkpoint, **options)
    preprocessing = resolve_preprocessing(loaded, options.get("image_size"))
    check_arguments(loaded, several=False)
    example = torch.zeros(1, preprocessing.channels, *preprocessing.size)
    try:
        layers = candidates(loaded, example)
        by_default = default_layers(loaded, example)
    except RuntimeError as error:
        raise InputError(
            f"the model fails on a batch of shape {tuple(example.shape)}: "
            f"{str(error).splitlines()[0]}; check --image-size and --in-channels"
        ) from error
    millions = sum(p.numel() for p in loaded.parameters()) / 1e6
    size = " x ".join(map(str, preprocessing.size))
    rows = [
        (
            layer.name,
            layer.kind if layer.calls == 1 else f"{layer.kind}, runs {layer.calls} times",
            " x ".join(map(str, layer.shape)),
            _default_text(layer.name, by_default),
        )
        for layer in layers
    ]
    return Inventory(
        model,
        "model",
        [
            ("class", type(loaded).__name__),
            ("parameters", f"{millions:.2f} million"),
            ("input", f"{preprocessing.channels} channels, {size}"),
            ("mean, std", f"{_numbers(preprocessing.mean)}; {_numbers(preprocessing.std)}"),
            ("default method", default_method(loaded)),
            ("layers with maps", str(len(rows))),
        ],
        ("layer", "kind", "channels x map", "chosen"),
        rows,
    )


def _default_text(layer: str, by_default: Sequence[str]) -> str:
    """Whether ``--layer auto`` takes a layer, or which of its calls."""
    if layer in by_default:
        return "auto"
    calls = [name.removeprefix(layer) for name in by_default if split_call(name)[0] == layer]
    return f"auto: {', '.join(calls)}" if calls else ""


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)

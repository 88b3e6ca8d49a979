"""TODO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.inference.images import resolve_preprocessing
from fastcam.jobs.inspect.inventory import Inventory
from fastcam.options import PathLike

if TYPE_CHECKING:
    from torch import nn

    from fastcam.models.fewshot.build import FewshotOptions


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
    is no checkpoint or is one for another architecture, and for missing or unexpected keys unless
    ``allow_partial``.
    """
    from fastcam.models.named import load_model as load

    return load(
        model, None if checkpoint is None else Path(checkpoint), num_classes=num_classes,
        in_channels=in_channels, image_size=image_size, allow_partial=allow_partial,
        fewshot=fewshot,
    )  # fmt: skip


def describe_model(model: str, checkpoint: PathLike | None = None, **options: Any) -> Inventory:
    """The layers of a model that have maps, with their shapes; options as :func:`load_model`."""
    import torch

    from fastcam.attribution.cam.layers import auto, candidates
    from fastcam.attribution.engines import default_method

    loaded = load_model(model, checkpoint, **options)
    spec = resolve_preprocessing(loaded, options.get("image_size"))
    example = torch.zeros(1, spec.channels, *spec.size)
    found = candidates(loaded, example)
    chosen = auto(loaded, example)
    millions = sum(p.numel() for p in loaded.parameters()) / 1e6
    size = " x ".join(map(str, spec.size))
    rows = [
        (c.name, c.kind, " x ".join(map(str, c.shape)), "auto" if c.name == chosen else "")
        for c in found
    ]
    return Inventory(
        model,
        "model",
        [
            ("class", type(loaded).__name__),
            ("parameters", f"{millions:.2f} million"),
            ("input", f"{spec.channels} channels, {size}"),
            ("mean, std", f"{_short(spec.mean)}; {_short(spec.std)}"),
            ("default method", default_method(loaded)),
            ("layers with maps", str(len(rows))),
        ],
        ("layer", "kind", "channels x map", "chosen"),
        rows,
    )


def _short(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)

"""The model registry: by a name, a file or a module, with its checkpoint, ready to be run."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from fastcam.errors import InputError
from fastcam.models import external, resnet, vit_checkpoint
from fastcam.models.checkpoints import LoadReport, align_prefix, load_into, read_state_dict
from fastcam.models.fewshot.build import FewshotOptions
from fastcam.models.fewshot.build import build as build_fewshot
from fastcam.models.huggingface import load_huggingface
from fastcam.models.model_files import file_refusal, module_of, without_function
from fastcam.models.patch_attention.network import build as build_patch_attention
from fastcam.models.random_weights import mark_random, same_every_time
from fastcam.models.resnet import DESIGNS, build_resnet
from fastcam.models.sizes import Sizes, image_size_of, plane_of
from fastcam.models.vit import VisionTransformer, VitSettings
from fastcam.models.vit_checkpoint import settings_of, with_positions_of

_VITS = {"vit_tiny": (192, 3), "vit_small": (384, 6), "vit_base": (768, 12)}
_VIT_NAME = re.compile(r"(vit_tiny|vit_small|vit_base)(?:_patch(\d+))?(?:_heads(\d+))?")
FEWSHOT = "fewshot_vit"
BUILT_IN = (*_VITS, *DESIGNS, "patch_attention", FEWSHOT)


def load_model(
    model: str | nn.Module,
    checkpoint: str | Path | None = None,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | Sequence[int] | None = None,
    allow_partial: bool = False,
    fewshot: FewshotOptions | None = None,
) -> nn.Module:
    """The model, in eval mode, on the CPU, with the checkpoint's weights.

    ``model`` is a built-in name (``vit_tiny``, ``vit_small``, ``vit_base``, also with ``_patchN``
    and ``_headsN``; ``resnet18``, ``resnet34``, ``resnet50``; ``patch_attention``;
    ``fewshot_vit``, for which ``fewshot`` is), ``timm:NAME``, ``torchvision:NAME``, ``hf:FOLDER``,
    ``monai:CLASS?argument=value&…``, ``path/to/file.py:factory``, or a module, which is changed in
    place, or an exported program (``torch.export.load``).
    ``image_size``: (h, w) in pixels, (d, h, w) for volumes, or one number for both sides.
    Sizes left out come from the checkpoint; a Vision Transformer's positions are resampled to
    ``image_size``.

    Warns of what was left out with ``allow_partial``, and of random weights, which are the same
    every time. Raises InputError when
    there is no such model or checkpoint, or the two don't fit (see ``load_into``).
    """
    sizes = Sizes(num_classes, in_channels, image_size_of(image_size))
    state = None if checkpoint is None else read_state_dict(checkpoint)
    source, report = str(checkpoint), LoadReport()
    if fewshot is not None and fewshot.option_names and model != FEWSHOT:
        name = model if isinstance(model, str) else type(model).__name__
        raise InputError(
            f"{', '.join(fewshot.option_names)}: only --model {FEWSHOT} has this, {name} has not"
        )
    if not isinstance(model, str):
        if sizes != Sizes():
            raise InputError(
                "num_classes, in_channels and image_size go with a model's name; a module that is "
                "given has its own"
            )
        built, random = module_of(model), False
    elif model.startswith("hf:"):
        with external.import_errors("transformers", "hf"):
            built, report = load_huggingface(
                model.removeprefix("hf:"), state, source, sizes, allow_partial
            )
        state, random, source = None, False, model if checkpoint is None else source
    elif external.is_external(model):
        with same_every_time():
            built, random = external.build(model, state, sizes)
    elif model == FEWSHOT:
        with same_every_time():
            built = build_fewshot(fewshot, state, sizes, source, allow_partial=allow_partial)
        random = True
    else:
        with same_every_time():
            built, random = _built_in(model, state, sizes, source), True
    if state is not None:
        state = with_positions_of(align_prefix(state, built.state_dict().keys()), built, source)
        report = load_into(built, state, source, allow_partial)
    if not report.complete:
        warnings.warn(f"{source}: loaded in part: {report}", stacklevel=2)
    if random and checkpoint is None:
        mark_random(built)
        warnings.warn(
            f"{model}: has no checkpoint: its weights are random, and its maps mean nothing",
            stacklevel=2,
        )
    return built.eval()


def _built_in(name: str, state: dict[str, Tensor] | None, sizes: Sizes, source: str) -> nn.Module:
    if name in DESIGNS:
        if state is not None:
            state = align_prefix(state, resnet.SIGNATURE_KEYS)
        return build_resnet(name, state, sizes, source)
    if match := _VIT_NAME.fullmatch(name):
        patch, heads = (int(number) if number else None for number in match.group(2, 3))
        return _vit(match[1], patch, heads, state, sizes, source)
    if name == "patch_attention":
        return build_patch_attention(state, sizes.num_classes or 2, sizes.in_channels or 1)
    raise _unknown(name)


def _vit(
    name: str,
    patch: int | None,
    heads: int | None,
    state: dict[str, Tensor] | None,
    sizes: Sizes,
    source: str,
) -> VisionTransformer:
    if state is None:
        dim, usual_heads = _VITS[name]
        side = patch or 16
        image_size = plane_of(sizes.image_size or (224, 224))
        return VisionTransformer(
            VitSettings(
                dim=dim,
                depth=12,
                heads=heads or usual_heads,
                patch_size=(side, side),
                image_size=image_size,
                in_channels=sizes.in_channels or 3,
                num_classes=sizes.num_classes or 1000,
            )
        )
    state = align_prefix(state, vit_checkpoint.SIGNATURE_KEYS)
    settings = settings_of(state, sizes, source, heads)
    if patch is not None and settings.patch_size != (patch, patch):
        raise InputError(
            f"{source}: has patches of {settings.patch_size[0]}x{settings.patch_size[1]} pixels, "
            f"not {patch}; use --model {name}, which takes them as they are"
        )
    return VisionTransformer(settings)


def _unknown(name: str) -> InputError:
    if refusal := file_refusal(name) or without_function(name):
        return InputError(refusal)
    near = difflib.get_close_matches(name, BUILT_IN, n=3)
    if near:
        offer = f"did you mean {' or '.join(near)}?"
    else:
        offer = f"use {', '.join(BUILT_IN)}, or {', '.join(external.FORMS)}"
    return InputError(f"--model {name!r} is not known: {offer}")
